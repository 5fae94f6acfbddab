//! The simulator: the same scheduling core as the live server, in virtual time, with no thread and no clock.
//!
//! A [`Simulation`] is a loop round [`mosel_core::Scheduler`]: what comes from outside (jobs, cancellations, faults),
//! what devices do ([`Devices`], with latencies drawn from profiles), and what a policy answers ([`Mind`]) are events
//! on one agenda. The same seed gives the same events, to the byte.
//!
//! What comes from outside is described by a [`Workload`], in a file, and drawn from a seed.
//!
//! Where to start reading: `simulation.rs`; `workload/` for what is offered.

#![forbid(unsafe_code)]

mod devices;
mod mind;
mod simulation;
mod stream;
mod tally;
pub mod workload;

pub use devices::{Devices, Pace, Recorded};
pub use mind::{Mind, Thought, Unmoved};
pub use simulation::{Outside, Simulation, Stuck, Watcher};
pub use stream::stream;
pub use tally::{Served, Tally};
pub use workload::{Arrival, Offered, Workload, WorkloadError};
