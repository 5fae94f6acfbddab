//! Checkpoints: the whole state of a scheduler as plain facts, to be written down and taken up again.
//!
//! A scheduler that was resumed from a checkpoint does exactly what the one before would have done. What was written
//! down may have been changed by others, so everything a scheduler relies on is checked when it is resumed.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{
    Batch, Decider, Job, JobId, LaneCondition, LaneId, LateCredit, Mode, ModelId, Profile, Snapshot, Step,
    StrategyMatrix, TableId, Tenant, TenantDemand, Time, Trigger, Turn,
};

/// The state of a scheduler, apart from its configuration and its models.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The policy in place is asked after every change.
    pub eager: bool,
    /// The number of the next question.
    pub next_decision: u64,
    /// The number of the next batch.
    pub next_batch: u64,
    /// The last wake-up that was asked for and has not come.
    pub wake_at: Option<Time>,
    /// Families of models that take no new jobs.
    pub retired: Vec<ModelId>,
    /// What the devices of which lanes cannot run.
    pub lost: Vec<(LaneId, ModelId)>,
    /// What tenants have offered of late, by lane; none where tenants have no shares.
    pub tenants: Vec<Vec<(Tenant, TenantDemand)>>,
    /// By lane.
    pub lanes: Vec<LaneState>,
}

/// The state of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneState {
    /// Measured time over profiled time, as learned when the device was busy last.
    pub correction: f64,
    /// The last such ratios, the oldest first, five at most; missing ones are as the correction.
    pub recent: Vec<f64>,
    /// Since when nothing is on the device: it is forgotten what was learned.
    pub idle_since: Option<Time>,
    /// When a job was taken in last to find out whether the device is as fast again as its profile.
    pub last_probe: Option<Time>,
    /// What is thought of its device.
    pub condition: LaneCondition,
    /// The batch on the device.
    pub running: Option<RunningState>,
    /// What the policy was asked and has not answered, and when the answer is no longer waited for.
    pub question: Option<(Snapshot, Time)>,
    /// What changed the queue since the policy was last asked.
    pub changed: Option<Trigger>,
    /// What is saved for late jobs.
    pub late: LateCredit,
    /// The queue, in execution order; those given up come last.
    pub entries: Vec<QueuedJobState>,
}

impl Default for LaneState {
    /// A lane that has nothing and has learned nothing.
    fn default() -> LaneState {
        LaneState {
            correction: 1.0,
            recent: Vec::new(),
            idle_since: None,
            last_probe: None,
            condition: LaneCondition::Sound,
            running: None,
            question: None,
            changed: None,
            late: LateCredit::default(),
            entries: Vec::new(),
        }
    }
}

/// The state of a batch on a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningState {
    /// It.
    pub batch: Batch,
    /// When it was started.
    pub started: Time,
    /// What the profile says it takes.
    pub profiled: Duration,
    /// On whose account it runs.
    pub turn: Turn,
    /// How long the whole process stood still meanwhile.
    pub paused: Duration,
}

/// The state of a job in a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuedJobState {
    /// It, as it was submitted.
    pub job: Job,
    /// When it was accepted.
    pub arrival: Time,
    /// When its first batch was started.
    pub started: Option<Time>,
    /// Cannot meet its deadline any more.
    pub given_up: bool,
    /// A batch of it has failed.
    pub failed_once: bool,
    /// It was taken in to find out whether the device is as fast again as its profile.
    pub probe: bool,
    /// Time its batches took so far.
    pub device_time: Duration,
    /// Time they should have taken.
    pub expected_time: Duration,
    /// Who changed its strategy, oldest first.
    pub decisions: Vec<Decider>,
    /// The rest of its strategy, in execution order.
    pub steps: Vec<Step>,
    /// The strategy's index in the table of what is left, unless batches were taken from it.
    pub choice: Option<u32>,
    /// The strategy it was given last, as table and index there.
    pub last_choice: (TableId, u32),
    /// Requests that no batch was started for.
    pub pending: Vec<Range<u32>>,
    /// Requests that were started and have an answer, as far as is known, by mode.
    pub mix: Vec<(Mode, u32)>,
    /// Requests that were run and have no answer.
    pub unanswered: u32,
}

/// Plans and batches are numbered from 1; no server lives so long.
pub(crate) const MOST_NUMBERS: u64 = 1 << 62;
const LONGEST_BATCH: Duration = Duration::from_secs(86_400);

/// Why a checkpoint cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is of another number of lanes.
    Lanes {
        /// As configured.
        expected: u32,
        /// In the checkpoint.
        found: usize,
    },
    /// So many questions or batches were never numbered.
    Numbers(u64),
    /// A lane's correction is not a positive number.
    Correction(LaneId),
    /// More tenants than a lane remembers, or what one offered is not a number of seconds.
    Tenants(LaneId),
    /// Something about a job does not fit the models or itself.
    Job(JobId, &'static str),
    /// What is on a lane's device does not fit the queue.
    Running(LaneId, &'static str),
}

impl QueuedJobState {
    /// Everything that an entry relies on.
    pub(crate) fn check(&self, matrix: &StrategyMatrix) -> Result<(), &'static str> {
        let profile: &Profile = matrix.profile();
        let measured = |mode: Mode| profile.accuracy(mode).is_some();
        let table = matrix.table(self.job.requests).ok_or("no table is that large")?;
        let mut end = 0;
        for range in &self.pending {
            if range.start >= range.end || range.end > self.job.requests {
                return Err("a range of requests that are left is not within the job");
            }
            end += u64::from(range.end - range.start);
        }
        let started: u64 = self.mix.iter().map(|&(_, requests)| u64::from(requests)).sum();
        if end + started + u64::from(self.unanswered) != u64::from(self.job.requests) {
            return Err("what is left and what was started are not the whole job");
        }
        let planned: u64 = self.steps.iter().map(|step| u64::from(step.requests)).sum();
        if planned != end || self.steps.iter().any(|step| step.batch_size == 0 || step.requests == 0) {
            return Err("the steps do not serve what is left");
        }
        // Times are added up: what no profile says must not overflow.
        if self.steps.iter().any(|step| step.batches > step.requests || step.batch_latency > LONGEST_BATCH) {
            return Err("a step has more batches than requests, or batches of more than a day");
        }
        if !self.mix.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("the modes that were started are not in their order, each once");
        }
        let steps = |step: &Step| is_measured(profile, step.mode, step.batch_size);
        if !self.steps.iter().all(steps) || !self.mix.iter().all(|mix| measured(mix.0)) {
            return Err("a mode was never measured");
        }
        let table_left = u32::try_from(end).ok().and_then(|left| matrix.table(left));
        let choices = table_left.map_or(0, |table| table.strategies.len());
        if self.choice.is_some_and(|choice| choice as usize >= choices) {
            return Err("the chosen strategy is not in the table of what is left");
        }
        let best = table.strategy(table.most_accurate()).accuracy;
        if !(self.job.min_accuracy >= 0.0 && crate::at_least(best, self.job.min_accuracy)) {
            return Err("the model never reaches the floor");
        }
        if !(self.job.weight > 0.0 && self.job.weight.is_finite()) {
            return Err("the weight is not a positive number");
        }
        Ok(())
    }
}

/// A batch of this size was measured in this mode.
pub(crate) fn is_measured(profile: &Profile, mode: Mode, batch_size: u32) -> bool {
    let same = |m: &crate::Measurement| m.mode == mode && m.batch_size == batch_size;
    profile.measurements.iter().any(same)
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lanes { expected, found } => write!(f, "the checkpoint is of {found} lanes, expected {expected}"),
            Self::Numbers(number) => {
                write!(f, "expected numbers of plans and batches up to {MOST_NUMBERS}, found {number}")
            }
            Self::Correction(lane) => write!(f, "the correction of lane {lane} is not a positive number"),
            Self::Tenants(lane) => write!(f, "what tenants offered to lane {lane} of the checkpoint makes no sense"),
            Self::Job(job, what) => write!(f, "job {job} of the checkpoint: {what}"),
            Self::Running(lane, what) => write!(f, "the batch on lane {lane} of the checkpoint: {what}"),
        }
    }
}

impl std::error::Error for CheckpointError {}
