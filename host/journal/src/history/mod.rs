//! One job's history: what was chosen for it over time, by whom and why, and what it would have cost otherwise.
//!
//! Where to start reading: this file, then `histories.rs`, which takes steps in, `decide.rs`, where a job's choice changes,
//! and `question.rs`, which tells what a change was for.

mod change;
mod choice;
mod decide;
mod ended;
mod histories;
mod question;
mod queue;
mod remaining;
mod resume;

pub use change::{Cause, Change, Counterfactual, DecidedBy, DecisionRecord, LateJob};
pub use choice::Choice;
pub use histories::JobHistories;

use std::time::Duration;

use mosel_core::{Batch, Job, LaneId, Mode, Outcome, Refusal, Time};

use remaining::Remaining;

/// The most events a history has, its end not counted.
const MOST_EVENTS: usize = 128;

/// What happened to one job, from when it came until it ended, or until now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobHistory {
    /// The job, as it was submitted.
    pub job: Job,
    /// When it came.
    pub arrival: Time,
    /// Its most accurate strategy; `None` for a job that was refused.
    pub best: Option<Choice>,
    /// What happened to it, in order.
    pub events: Vec<HistoryEvent>,
    /// Chapters beyond the most that are kept: they would stand behind the others, but before the end.
    pub left_out: usize,
    remaining: Remaining,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryEvent {
    /// It was not accepted. Nothing follows.
    Refused {
        /// When it was submitted.
        at: Time,
        /// Why it was refused.
        refusal: Refusal,
    },
    /// It was accepted.
    Accepted {
        /// When it was submitted.
        at: Time,
        /// The lane it waits on.
        lane: LaneId,
        /// When it was expected to be finished.
        predicted_finish: Time,
        /// What it began on.
        choice: Choice,
    },
    /// It was there already when the record begins.
    Resumed {
        /// The lane it waits on.
        lane: LaneId,
        /// What it was on then; of no requests if nothing of it waited any more.
        choice: Choice,
        /// How often its strategy had been changed, as far as a checkpoint remembers.
        changes: usize,
        /// It had been given up.
        late: bool,
    },
    /// Its strategy was changed.
    Changed(Box<Change>),
    /// Batches of it were started, one after another.
    Ran(Ran),
    /// It was moved to another lane, since the device of its own could not be trusted.
    Moved {
        /// When.
        at: Time,
        /// The lane it waits on from then on.
        lane: LaneId,
    },
    /// Its deadline could not be met any more.
    GivenUp {
        /// When that was found.
        at: Time,
    },
    /// It ended. Nothing follows, but what is on the device still.
    Ended(Box<Outcome>),
}

/// Batches of a job on one selection, between which nothing else happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// What they ran on.
    pub mode: Mode,
    /// When the first was started.
    pub started: Time,
    /// Batches, without one that failed.
    pub batches: u32,
    /// Their requests.
    pub requests: u32,
    /// Time on the device of those that are done.
    pub took: Duration,
    /// And the time that the profile says they take.
    pub profiled: Duration,
    /// The last one is on the device still.
    pub running: bool,
    /// The last one failed, which was of so many requests.
    pub failed: Option<u32>,
}

impl JobHistory {
    fn new(job: Job, arrival: Time) -> JobHistory {
        JobHistory { job, arrival, best: None, events: Vec::new(), left_out: 0, remaining: Remaining::default() }
    }

    /// What is left of it is on this; `None` if nothing is left, or it ended.
    pub fn current(&self) -> Option<Choice> {
        (!self.has_ended() && self.remaining.left() > 0).then(|| self.remaining.choice())
    }

    /// It was refused, or nothing more will come for it.
    pub fn has_ended(&self) -> bool {
        matches!(self.events.last(), Some(HistoryEvent::Ended(_) | HistoryEvent::Refused { .. }))
    }

    /// Adds a event; says where it is, unless there were too many.
    fn add(&mut self, event: HistoryEvent) -> Option<usize> {
        if self.events.len() >= MOST_EVENTS {
            self.left_out += 1;
            return None;
        }
        self.events.push(event);
        Some(self.events.len() - 1)
    }

    /// The end is never left out.
    fn end(&mut self, event: HistoryEvent) {
        self.events.push(event);
    }

    /// A batch was started; says which event tells of it.
    fn start(&mut self, at: Time, batch: &Batch) -> Option<usize> {
        let last = self.events.len().checked_sub(1)?;
        if let HistoryEvent::Ran(ran) = &mut self.events[last]
            && ran.go_on(batch)
        {
            return Some(last);
        }
        self.add(HistoryEvent::Ran(Ran::new(at, batch)))
    }

    /// Batches that this event tells of.
    fn ran(&mut self, event: usize) -> Option<&mut Ran> {
        match self.events.get_mut(event) {
            Some(HistoryEvent::Ran(ran)) => Some(ran),
            _ => None,
        }
    }
}

impl Ran {
    fn new(started: Time, batch: &Batch) -> Ran {
        let (mode, requests) = (batch.mode, batch.requests);
        let (took, profiled) = (Duration::ZERO, Duration::ZERO);
        Ran { mode, started, batches: 1, requests, took, profiled, running: true, failed: None }
    }

    /// Counts another batch in, if it is of the same kind.
    fn go_on(&mut self, batch: &Batch) -> bool {
        let same = self.mode == batch.mode && self.failed.is_none();
        if same {
            self.batches = self.batches.saturating_add(1);
            self.requests = self.requests.saturating_add(batch.requests);
            self.running = true;
        }
        same
    }

    fn done(&mut self, took: Duration, profiled: Duration) {
        self.took = self.took.saturating_add(took);
        self.profiled = self.profiled.saturating_add(profiled);
        self.running = false;
    }

    fn fail(&mut self, requests: u32) {
        self.batches = self.batches.saturating_sub(1);
        self.requests = self.requests.saturating_sub(requests);
        self.running = false;
        self.failed = Some(requests);
    }
}
