//! The invariants: what holds at every step of every case, whatever applications, devices and policies do.
//!
//! [`Invariants`] watches a simulation from outside: it reads what the scheduler was told, what it said, and its state as it
//! writes it down, and computes once more what it promises. Where to start reading: [`Invariant`], then a file a subject.

mod accounting;
mod estimates;
mod offers;
mod order;
mod plans;
mod questions;
mod queue;
mod queues;
mod resume_check;
mod squeeze;
mod transition;
mod wake_ups;

#[cfg(test)]
mod tests;

use std::fmt;

use mosel_core::{Action, Checkpoint, Event, Scheduler, Time};

use self::accounting::Accounting;
use self::questions::Questions;
use self::resume_check::ResumeCheck;
use self::transition::Transition;
use self::wake_ups::WakeUps;
use crate::Observer;

/// What can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A submitted job is accepted or refused at once, an accepted one ends once.
    Answered,
    /// Every request of a served job ran once; no batch is of a job that ended.
    Requests,
    /// What an outcome says is what happened.
    Outcome,
    /// What was started of a job and what is planned for the rest keep its floor.
    Floor,
    /// A strategy changes by a decision that is told, and by nothing else.
    Decided,
    /// A job that is on time just before something is decided is on time just after.
    Promise,
    /// A legal answer that makes no job late is adopted, whole.
    Adopted,
    /// Any other answer is refused, whole, and for a true reason.
    RefusedPlan,
    /// The squeeze takes the cheapest steps and saves every job that can be saved.
    Squeeze,
    /// One question a lane is out at most; asked again only after the queue changed; shown as it is.
    Question,
    /// Where a job needs help the policy is asked.
    Monitor,
    /// Late jobs come last and stay late, others keep their order, and nobody is given up who could be on time.
    Order,
    /// Estimates move towards measured times, and by nothing else.
    Estimate,
    /// What is accepted can be on time, and waits where it is finished first.
    Admission,
    /// Refusals are true, and their counter-offers are accepted.
    CounterOffer,
    /// A device is idle while a job waits only as long as a policy may think.
    Busy,
    /// A wake-up is asked for before anything is due, and not for ever in the past.
    WakeUp,
    /// A scheduler that was resumed from its checkpoint does what the one before does.
    Checkpoint,
    /// What happens on a lane changes no other.
    Apart,
    /// With exact estimates, nothing in reserve, no faults and no time for policies every accepted job is on time.
    OnTime,
    /// A case comes to its end.
    End,
    /// The same case is the same.
    Repeatable,
    /// No event makes the scheduler panic.
    Panic,
}

/// Watches a simulation whose scheduler begins without jobs; the first broken invariant ends it.
#[derive(Debug)]
pub struct Invariants {
    accounting: Accounting,
    questions: Questions,
    wake_ups: WakeUps,
    resumed: ResumeCheck,
    /// The state after the step before.
    last: Option<Checkpoint>,
    broken: Option<Invariant>,
}

/// A broken invariant, in words with job and numbers.
pub(crate) struct Breach {
    pub(crate) invariant: Invariant,
    pub(crate) words: String,
}

impl Invariants {
    /// All invariants but [`Invariant::OnTime`], or with it, for a case that has nothing to be late by.
    pub fn new(on_time: bool) -> Invariants {
        Invariants {
            accounting: Accounting::new(on_time),
            questions: Questions::default(),
            wake_ups: WakeUps::default(),
            resumed: ResumeCheck::default(),
            last: None,
            broken: None,
        }
    }

    /// The invariant that was broken, if one was.
    pub fn broken(&self) -> Option<Invariant> {
        self.broken
    }

    /// What has to hold once nothing is left to happen.
    pub fn check_end(&mut self) -> Result<(), String> {
        let ended = self.accounting.check_end();
        self.tell(ended)
    }

    fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        self.accounting.check(transition)?;
        transition.check_apart()?;
        offers::check(transition)?;
        for change in transition.lane_changes() {
            queues::check(&change)?;
            order::check(&change)?;
            estimates::check(&change)?;
            plans::check(&change)?;
            squeeze::check(&change)?;
        }
        plans::check_strangers(transition)?;
        self.questions.check(transition)?;
        self.wake_ups.check(transition)?;
        self.resumed.check(transition)
    }

    fn tell(&mut self, checked: Result<(), Breach>) -> Result<(), String> {
        checked.map_err(|breach| {
            self.broken = Some(breach.invariant);
            format!("{}: {}", breach.invariant, breach.words)
        })
    }
}

impl Observer for Invariants {
    fn before(&mut self, scheduler: &Scheduler, _: Time, _: &Event) {
        self.last.get_or_insert_with(|| scheduler.checkpoint());
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        let after = scheduler.checkpoint();
        let before = self.last.take().unwrap_or_else(|| after.clone());
        let checked = self.check(&Transition { scheduler, now, event, actions, before: &before, after: &after });
        self.last = Some(after);
        self.tell(checked)
    }
}

impl Invariant {
    /// A breach of this invariant unless `holds`.
    pub(crate) fn demand(self, holds: bool, words: impl FnOnce() -> String) -> Result<(), Breach> {
        if holds { Ok(()) } else { self.broken(words()) }
    }

    pub(crate) fn broken<T>(self, words: String) -> Result<T, Breach> {
        Err(Breach { invariant: self, words })
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "every job is answered once",
            Self::Requests => "every request runs once",
            Self::Outcome => "an outcome says what happened",
            Self::Floor => "a floor is kept",
            Self::Decided => "a strategy changes by a decision only",
            Self::Promise => "who is on time stays on time",
            Self::Adopted => "a legal answer is adopted whole",
            Self::RefusedPlan => "an answer is refused whole and for a true reason",
            Self::Squeeze => "the squeeze saves whom it can",
            Self::Question => "one question at most, and only after a change",
            Self::Monitor => "where a job needs help the policy is asked",
            Self::Order => "late jobs come last, others keep their order",
            Self::Estimate => "estimates follow measured time",
            Self::Admission => "what is accepted can be on time",
            Self::CounterOffer => "a refusal is true, its counter-offer is accepted",
            Self::Busy => "a device waits as long as a policy may think",
            Self::WakeUp => "a wake-up comes before anything is due",
            Self::Checkpoint => "a resumed scheduler does the same",
            Self::Apart => "what happens on a lane changes no other",
            Self::OnTime => "with nothing to be late by nobody is late",
            Self::End => "a case comes to its end",
            Self::Repeatable => "the same case is the same",
            Self::Panic => "no event makes the scheduler panic",
        })
    }
}
