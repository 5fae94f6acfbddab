//! The simulator: the same scheduling core as the live server, in virtual time, with no thread and no clock.
//!
//! A [`Simulation`] is a loop round [`mosel_core::Scheduler`]: what comes from outside (jobs, cancellations, faults),
//! what devices do ([`Devices`], with latencies drawn from profiles), and what a policy answers ([`Mind`]) are events
//! on one agenda. The same seed gives the same events, to the byte.
//!
//! What is offered is described by a [`Workload`], in a file, and drawn from a seed.
//!
//! For tests, a [`Day`] is all that a simulation begins with, faults included, as data; the [`Laws`] hold on every day,
//! and a day on which one does not is [`shrink`]ed to what is needed for it.
//!
//! Where to start reading: `simulation.rs`; `workload/` for what is offered; `laws.rs` for what always holds.

#![forbid(unsafe_code)]

mod day;
mod devices;
mod laws;
mod mind;
mod shrink;
mod simulation;
mod stream;
mod tally;
pub mod workload;

pub use day::{Broken, Day, Log, MOST_REQUESTS, Mood, Whims};
pub use devices::{Devices, Pace, Recorded};
pub use laws::{Law, Laws};
pub use mind::{Mind, Thought, Unmoved};
pub use shrink::shrink;
pub use simulation::{Outside, Simulation, Stuck, Watcher};
pub use stream::stream;
pub use tally::{Served, Tally};
pub use workload::{Arrival, Offered, Workload, WorkloadError};
