//! What a policy is shown and what it answers: the catalog, one lane's queue, a decision.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{DecisionId, JobId, LaneId, ModelId, Profile, StrategyMatrix, StrategyTable, TableId, Tenant, Time};

/// The models and strategy tables a policy may meet. Given once, and again when it grows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    /// Grows whenever models, profiles or tables change.
    pub revision: u64,
    /// Every model with its profile.
    pub models: Vec<(ModelId, Arc<Profile>)>,
    /// Every table that a job of a snapshot may name, by ascending id.
    pub tables: Vec<Arc<StrategyTable>>,
}

impl Catalog {
    /// What a scheduler of these models tells its policies; `models[i]` is the matrix of `ModelId(i)`.
    pub fn of(models: &[Arc<StrategyMatrix>]) -> Catalog {
        let mut catalog = Catalog::default();
        catalog.add(models);
        catalog
    }

    /// Takes more models in, whose ids follow.
    pub fn add(&mut self, models: &[Arc<StrategyMatrix>]) {
        self.models.extend(models.iter().map(|matrix| (matrix.variant(), matrix.profile().clone())));
        self.tables.extend(models.iter().flat_map(|matrix| matrix.tables().iter().cloned()));
        // models are only ever added, and so a scheduler that was resumed counts like the one before
        self.revision = self.models.len() as u64;
    }

    /// The table of this name.
    pub fn table(&self, id: TableId) -> Option<&Arc<StrategyTable>> {
        let index = self.tables.binary_search_by_key(&id, |table| table.id).ok()?;
        Some(&self.tables[index])
    }
}

/// One lane's queue at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Names the question; the answer comes back under it.
    pub decision: DecisionId,
    /// Which lane.
    pub lane: LaneId,
    /// Why the policy is asked.
    pub trigger: Trigger,
    /// When the snapshot was taken.
    pub now: Time,
    /// When the lane is free for the first of `jobs`.
    pub start: Time,
    /// How long the policy may think.
    pub budget: Duration,
    /// Measured time over profiled time on this lane, with the safety margin: multiply a strategy's
    /// latency by it to get what to expect.
    pub time_factor: f64,
    /// [`Catalog::revision`] at that moment; the policy has been given this one.
    pub catalog_revision: u64,
    /// In execution order. What a started job has left stands first, as a job of its own size.
    pub jobs: Vec<JobRow>,
}

/// A waiting job, or what is left of a started one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobRow {
    /// Which job.
    pub id: JobId,
    /// The strategy table of its model for `requests` requests.
    pub table: TableId,
    /// Requests that no batch was started for.
    pub requests: u32,
    /// When the job was accepted.
    pub arrival: Time,
    /// When it has to be finished.
    pub deadline: Time,
    /// The mean accuracy these requests must keep so that the whole job keeps its floor.
    pub min_accuracy: f64,
    /// Importance relative to other jobs; 1 by default.
    pub weight: f64,
    /// Who it is for.
    pub tenant: Tenant,
    /// Index of the current strategy in the table.
    pub current: u32,
    /// Cannot meet its deadline any more whatever is chosen; runs after all others.
    pub given_up: bool,
}

/// Why a policy is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Some queued job would miss its deadline.
    Violation,
    /// A job has arrived, and some waiting job is not on its most accurate strategy.
    Arrival,
    /// A batch or a job has ended, and some waiting job is not on its most accurate strategy.
    Completion,
    /// A dry run: the answer is checked, never applied.
    Rehearsal,
}

/// A policy's answer, as it came: nothing in it has been checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// New strategies, as (job, index into the job's table). Jobs not named keep theirs.
    pub assignments: Vec<(JobId, u32)>,
    /// The new execution order, every job of the snapshot once; empty keeps the order.
    pub order: Vec<JobId>,
    /// What the policy says of its own answer.
    pub quality: Quality,
    /// The policy's objective, higher is better.
    pub objective: Option<f64>,
    /// What the policy proved no answer can exceed.
    pub bound: Option<f64>,
}

/// What a policy says of its own answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quality {
    /// Proven optimal for the policy's own objective.
    Optimal,
    /// Feasible, with a bound on the objective.
    Bounded,
    /// Feasible, no claim.
    #[default]
    Heuristic,
    /// Some deadlines are missed whatever is chosen.
    BestEffort,
}

/// Why a policy gave no answer. Words for an operator are in each `String`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// It said so itself (`policy-error` of the contract).
    Declined(String),
    /// It used up its wall-clock budget.
    TimedOut(Duration),
    /// It used up its fuel, the deterministic budget.
    OutOfFuel(u64),
    /// It asked for more memory than the cap, in bytes.
    OutOfMemory(u64),
    /// It trapped: panic, unreachable, out of bounds, stack overflow.
    Trapped(String),
    /// Its answer was no answer: too long, or not of the contract's shape.
    Malformed(String),
    /// There is no live instance to ask.
    Unavailable(String),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined(reason) => write!(f, "the policy declined: {reason}"),
            Self::TimedOut(budget) => write!(f, "the policy did not answer within its {budget:?}"),
            Self::OutOfFuel(fuel) => write!(f, "the policy used up its {fuel} units of fuel"),
            Self::OutOfMemory(cap) => write!(f, "the policy asked for more than its {cap} bytes of memory"),
            Self::Trapped(reason) => write!(f, "the policy trapped: {reason}"),
            Self::Malformed(reason) => write!(f, "the policy's answer is malformed: {reason}"),
            Self::Unavailable(reason) => write!(f, "no policy to ask: {reason}"),
        }
    }
}

impl std::error::Error for PolicyError {}
