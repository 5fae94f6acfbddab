//! A change of a job's strategy: from what to what, who decided it, what for, and what it spared others.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{DecisionError, DecisionId, JobId, Time, Trigger};

use super::Choice;

/// A change of a job's strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the requests that were left were on.
    pub from: Choice,
    /// What they were put on.
    pub to: Choice,
    /// The decision, which may have changed other jobs as well.
    pub decision: Arc<DecisionRecord>,
    /// What would have come of it had this job alone stayed as it was.
    pub counterfactual: Counterfactual,
}

/// Strategies of some jobs of a lane were changed, all at once.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    /// When it was made.
    pub at: Time,
    /// Who made it.
    pub by: DecidedBy,
    /// The question that it answers, or is done for want of an answer to; `None` if that was never seen, or does not
    /// fit what was decided.
    pub cause: Option<Cause>,
}

/// Who changed strategies.
#[derive(Clone, Debug, PartialEq)]
pub enum DecidedBy {
    /// A policy.
    Policy {
        /// Its name.
        name: Arc<str>,
        /// Its answer.
        decision: DecisionId,
    },
    /// The fallback.
    Fallback {
        /// The name of the policy in place.
        policy: Arc<str>,
        /// Why its answer was of no use; texts in it are cut to one short line. `None` if it was not that: the next batch
        /// would have cost some job its last chance, and a device does not wait for one answer after another.
        why: Option<DecisionError>,
    },
    /// The scheduler: requests had no answer, and the rest could not keep the floor on the strategy it was on.
    Floor,
}

/// What a question to the policy was about: its lane's queue, as it was shown to the policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// When it was asked.
    pub at: Time,
    /// Why it was asked.
    pub trigger: Trigger,
    /// The first jobs of the queue that would have been late, though not given up, had nothing been changed.
    pub late: Vec<LateJob>,
    /// How many would have been late.
    pub late_before: usize,
    /// How many would be late as it was decided.
    pub late_after: usize,
}

/// A job that would be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LateJob {
    /// Which one.
    pub job: JobId,
    /// How late, by the estimates when the question was asked, with their margin.
    pub by: Duration,
}

/// What would have come of the queue that a question was about, had one job alone kept its strategy and all else been
/// decided as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterfactual {
    /// That cannot be told: the job was not part of the question.
    Unknown,
    /// No job that was not given up would have been late.
    Nobody,
    /// This one would have been late, and none later.
    Late {
        /// The job, which may be the one itself.
        job: JobId,
        /// How late it would have been.
        by: Duration,
        /// How late it would have been had nothing been changed at all; zero if it would not.
        before: Duration,
        /// How late it would be as it was decided; zero if it would not.
        after: Duration,
    },
}
