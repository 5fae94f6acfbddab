//! Workloads: what is offered to a server or to the simulator, whatever the model.

mod arrivals;
mod distribution;
mod error;
mod pairs;
mod pieces;
mod rows;
mod shares;
mod sizes;
mod stream;
mod times;
mod trace;

pub use arrivals::{Arrivals, Kind, Rate};
pub use distribution::Distribution;
pub use error::WorkloadError;
pub use trace::{Form, TraceFile};

/// The most jobs that are drawn at once.
pub const MOST_JOBS: usize = 5_000_000;
