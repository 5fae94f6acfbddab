//! Workloads: what is offered to a server or to the simulator, whatever the model.

mod distribution;
mod error;
mod pairs;
mod shares;
mod sizes;
mod stream;

pub use distribution::Distribution;
pub use error::WorkloadError;

/// The most jobs that are drawn at once.
pub const MOST_JOBS: usize = 5_000_000;
