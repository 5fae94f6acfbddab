//! Plans: a policy's decision, checked. The one place where what a policy said becomes what the host does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Catalog, Decision, JobId, JobRow, PolicyError, Snapshot, at_least};

/// How far below the objective, as a share of it, a bound may lie: both are sums of floats, which have rounding.
const BOUND_TOLERANCE: f64 = 1e-9;

/// A decision that is legal for the snapshot it answers. Adopted whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Strategies by job, as indices into the tables the snapshot names.
    pub choices: BTreeMap<JobId, u32>,
    /// The rank of every job of the snapshot; empty keeps the order.
    pub order: BTreeMap<JobId, usize>,
}

/// Why a policy's answer is not used.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionError {
    /// There is no answer.
    Policy(PolicyError),
    /// It came after its budget, or nobody waits for it any more.
    TooLate,
    /// It names a job that the snapshot does not have.
    UnknownJob(JobId),
    /// It names a job twice.
    Twice(JobId),
    /// The job's table is shorter than that.
    NoSuchStrategy {
        /// The job.
        job: JobId,
        /// Strategies in its table.
        strategies: usize,
        /// The index it was given.
        chosen: u32,
    },
    /// The job would fall below its floor.
    BelowFloor {
        /// The job.
        job: JobId,
        /// Accuracy of the strategy it was given.
        accuracy: f64,
        /// What it must keep.
        floor: f64,
    },
    /// An order must name every job or none.
    OrderIncomplete {
        /// Jobs in the snapshot.
        expected: usize,
        /// Jobs in the order.
        named: usize,
    },
    /// Its objective or its bound is not a number.
    NotFinite,
    /// It claims to have proven that its own answer is impossible.
    BoundBelowObjective {
        /// What it says of its answer.
        objective: f64,
        /// What it says no answer can exceed.
        bound: f64,
    },
    /// A job that is on time now would be late.
    MakesLate {
        /// The job.
        job: JobId,
        /// How late.
        by: Duration,
    },
}

impl Plan {
    /// Checks a decision against the snapshot it answers.
    ///
    /// Whether it makes a job late is checked when it is adopted, against the queue as it is then.
    pub fn check(snapshot: &Snapshot, catalog: &Catalog, decision: &Decision) -> Result<Plan, DecisionError> {
        let rows: BTreeMap<JobId, &JobRow> = snapshot.jobs.iter().map(|row| (row.id, row)).collect();
        if [decision.objective, decision.bound].into_iter().flatten().any(|number| !number.is_finite()) {
            return Err(DecisionError::NotFinite);
        }
        if let (Some(objective), Some(bound)) = (decision.objective, decision.bound)
            && bound < objective - BOUND_TOLERANCE * objective.abs()
        {
            return Err(DecisionError::BoundBelowObjective { objective, bound });
        }
        let mut choices = BTreeMap::new();
        for &(job, choice) in &decision.assignments {
            let row = rows.get(&job).ok_or(DecisionError::UnknownJob(job))?;
            check_choice(row, catalog, choice)?;
            if choices.insert(job, choice).is_some() {
                return Err(DecisionError::Twice(job));
            }
        }
        let mut order = BTreeMap::new();
        for (rank, &job) in decision.order.iter().enumerate() {
            if !rows.contains_key(&job) {
                return Err(DecisionError::UnknownJob(job));
            }
            if order.insert(job, rank).is_some() {
                return Err(DecisionError::Twice(job));
            }
        }
        if !order.is_empty() && order.len() != rows.len() {
            return Err(DecisionError::OrderIncomplete { expected: rows.len(), named: order.len() });
        }
        Ok(Plan { choices, order })
    }
}

fn check_choice(row: &JobRow, catalog: &Catalog, choice: u32) -> Result<(), DecisionError> {
    let strategies = catalog.table(row.table).map_or(&[][..], |table| &table.strategies);
    let Some(strategy) = strategies.get(choice as usize) else {
        return Err(DecisionError::NoSuchStrategy { job: row.id, strategies: strategies.len(), chosen: choice });
    };
    // Keeping what it has is always legal, even where the table holds no exact image of it.
    if choice != row.current && !at_least(strategy.accuracy, row.min_accuracy) {
        return Err(DecisionError::BelowFloor { job: row.id, accuracy: strategy.accuracy, floor: row.min_accuracy });
    }
    Ok(())
}

impl DecisionError {
    /// A stable short name, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Policy(PolicyError::Declined(_)) => "declined",
            Self::Policy(PolicyError::TimedOut(_)) => "timed_out",
            Self::Policy(PolicyError::OutOfFuel(_)) => "out_of_fuel",
            Self::Policy(PolicyError::OutOfMemory(_)) => "out_of_memory",
            Self::Policy(PolicyError::Trapped(_)) => "trapped",
            Self::Policy(PolicyError::Malformed(_)) => "malformed",
            Self::Policy(PolicyError::Unavailable(_)) => "unavailable",
            Self::TooLate => "late",
            Self::UnknownJob(_) => "unknown_job",
            Self::Twice(_) => "duplicate_job",
            Self::NoSuchStrategy { .. } => "no_such_strategy",
            Self::BelowFloor { .. } => "below_floor",
            Self::OrderIncomplete { .. } => "order_incomplete",
            Self::NotFinite => "not_finite",
            Self::BoundBelowObjective { .. } => "bound_below_objective",
            Self::MakesLate { .. } => "makes_late",
        }
    }
}

impl fmt::Display for DecisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::TooLate => write!(f, "the answer came when nobody waited for it any more"),
            Self::UnknownJob(job) => write!(f, "job {job} is not in the snapshot"),
            Self::Twice(job) => write!(f, "job {job} is named twice"),
            Self::NoSuchStrategy { job, strategies, chosen } => {
                write!(f, "job {job} has {strategies} strategies, the policy chose {chosen} (counting from 0)")
            }
            Self::BelowFloor { job, accuracy, floor } => {
                write!(f, "job {job} must keep {floor:.6}, the policy chose a strategy at {accuracy:.6}")
            }
            Self::OrderIncomplete { expected, named } => {
                write!(f, "an order names all {expected} jobs or none, the policy named {named}")
            }
            Self::NotFinite => write!(f, "objective and bound must be finite numbers"),
            Self::BoundBelowObjective { objective, bound } => {
                write!(f, "the bound {bound} is below the objective {objective}, which it should limit")
            }
            Self::MakesLate { job, by } => write!(f, "job {job} is on time now and would be {by:?} late"),
        }
    }
}

impl std::error::Error for DecisionError {}
