//! What holds, each with a name, and the breach of one.

use std::fmt;

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
    /// The fallback takes the cheapest steps and saves every job that can be saved.
    Fallback,
    /// One question a lane is out at most; asked again only after the queue changed; shown as it is.
    Question,
    /// Where a job needs help the policy is asked.
    Monitor,
    /// Late jobs come last and stay late, others keep their order, and nobody is given up who could be on time.
    Order,
    /// A late batch starts before others when its share is saved and it harms nobody, and only then.
    LateShare,
    /// A tenant's places and promises are within its share; who is active is remembered.
    Share,
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

/// A broken invariant, in words with job and numbers.
pub(super) struct Breach {
    pub(super) invariant: Invariant,
    pub(super) words: String,
}

impl Invariant {
    /// A breach of this invariant unless `holds`.
    pub(super) fn demand(self, holds: bool, words: impl FnOnce() -> String) -> Result<(), Breach> {
        if holds { Ok(()) } else { self.broken(words()) }
    }

    pub(super) fn broken<T>(self, words: String) -> Result<T, Breach> {
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
            Self::Fallback => "the fallback saves whom it can",
            Self::Question => "one question at most, and only after a change",
            Self::Monitor => "where a job needs help the policy is asked",
            Self::Order => "late jobs come last, others keep their order",
            Self::LateShare => "late jobs get their share and harm nobody",
            Self::Share => "tenants keep within their shares",
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
