//! The invariants: what holds at every step of every case, whatever applications, devices and policies do.
//!
//! [`Invariants`] watches a simulation from outside: it reads what the scheduler was told, what it said, and its state as it
//! writes it down, and computes once more what it promises. Where to start reading: [`Invariant`], then a file a subject.

mod accounting;
mod estimates;
mod fallback;
mod invariant;
mod late;
mod offers;
mod order;
mod plans;
mod questions;
mod queue;
mod queues;
mod resume_check;
mod shares;
mod transition;
mod wake_ups;

#[cfg(test)]
mod tests;

use mosel_core::{Action, Checkpoint, Event, Scheduler, Time};

use self::accounting::Accounting;
use self::invariant::Breach;
use self::questions::Questions;
use self::resume_check::ResumeCheck;
use self::transition::Transition;
use self::wake_ups::WakeUps;
use crate::Observer;

pub use self::invariant::Invariant;

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
        self.report(ended)
    }

    fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        self.accounting.check(transition)?;
        transition.check_apart()?;
        offers::check(transition)?;
        shares::check(transition)?;
        for change in transition.lane_changes() {
            queues::check(&change)?;
            order::check(&change)?;
            late::check(&change)?;
            estimates::check(&change)?;
            plans::check(&change)?;
            fallback::check(&change)?;
        }
        plans::check_strangers(transition)?;
        self.questions.check(transition)?;
        self.wake_ups.check(transition)?;
        self.resumed.check(transition)
    }

    fn report(&mut self, checked: Result<(), Breach>) -> Result<(), String> {
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
        self.report(checked)
    }
}
