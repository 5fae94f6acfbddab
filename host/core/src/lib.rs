//! The scheduling core: which job runs next, and on which modalities.
//!
//! Pure: no clock, no I/O, no threads, no policies, no tensors. A driver calls
//! [`Scheduler::step`] with the time and an event and carries out the actions it returns; the live
//! server and the simulator are two such drivers.
//!
//! Where to start reading: `scheduler.rs`, then `lane.rs` (a queue and its estimates) and `queued_job.rs` (a job in
//! it), then the nouns, one a file.

#![forbid(unsafe_code)]

mod checkpoint;
mod condition;
mod estimate;
mod event;
mod fairness;
mod fallback;
mod forecast;
mod id;
mod job;
mod lane;
mod late_share;
mod modality;
mod mode;
mod overdue;
mod plan;
mod precision;
mod profile;
mod queued_job;
mod scheduler;
mod snapshot;
mod strategy;
mod tenant_share;
mod tenants;
mod time;
mod watch;

pub use checkpoint::{Checkpoint, CheckpointError, LaneState, QueuedJobState, RunningState};
pub use condition::{LaneCondition, Suspicion};
pub use event::{Accepted, Action, Batch, BatchReport, Decider, End, Event, Outcome, OverShare, Refusal};
pub use fairness::Fairness;
pub use forecast::Forecast;
pub use id::{BatchId, DecisionId, DeviceKind, LaneId, ModelId, TableId};
pub use job::{Job, JobId, OnLate, Tenant};
pub use late_share::{LateCredit, Turn};
pub use modality::ModalitySet;
pub use mode::Mode;
pub use overdue::OverdueLimits;
pub use plan::{DecisionError, Plan};
pub use precision::{Precision, UnknownPrecision};
pub use profile::{Accuracy, Latency, Measurement, Profile, ProfileError};
pub use scheduler::{Config, Scheduler, variant};
pub use snapshot::{Catalog, Decision, JobRow, PolicyError, Quality, Snapshot, Trigger};
pub use strategy::{MAX_REQUESTS, MAX_STRATEGIES, Step, Strategy, StrategyMatrix, StrategyTable, front};
pub use tenants::TenantDemand;
pub use time::{Time, scale};

/// How far below a floor a mean may lie and still count as at it: sums of floats have rounding.
/// Policies are told to keep within half of it.
pub const FLOOR_TOLERANCE: f64 = 2e-9;

/// `accuracy` is at or above `floor`, up to [`FLOOR_TOLERANCE`].
pub fn at_least(accuracy: f64, floor: f64) -> bool {
    accuracy + FLOOR_TOLERANCE >= floor
}
