//! The simulator: the same scheduling core as the live server, in virtual time, with no thread and no clock.
//!
//! A [`Simulation`] is a loop round [`mosel_core::Scheduler`]: what comes from outside (jobs, cancellations, faults),
//! what devices do ([`Devices`], with latencies drawn from profiles), and what a policy answers ([`PolicyDriver`]) are events
//! on one agenda. The same seed gives the same events, to the byte.
//!
//! What is offered is described by a [`Workload`](workload::Workload), in a file, and drawn from a seed (feature
//! `workload`, on by default).
//!
//! For tests, a [`SimCase`] is all that a simulation begins with, faults included, as data; the [`Invariants`] hold in every case,
//! and a case in which one does not is [`shrink`]ed to what is needed for it.
//!
//! Where to start reading: `simulation.rs`; `workload/` for what is offered; `invariants.rs` for what always holds.

#![forbid(unsafe_code)]

mod case;
mod devices;
mod invariants;
mod policy_driver;
mod shrink;
mod simulation;
mod stream;
mod tally;
#[cfg(feature = "workload")]
pub mod workload;

pub use case::{CaseFailure, FaultMode, FaultyPolicy, LARGEST_JOB, Log, SimCase};
pub use devices::{Devices, Recorded, Slowdown};
pub use invariants::{Invariant, Invariants};
pub use policy_driver::{PolicyDriver, PolicyFn, PolicyReply, Unmoved};
pub use shrink::shrink;
pub use simulation::{ExternalEvent, Observer, SimError, Simulation};
pub use stream::stream;
pub use tally::{Served, Tally};
#[cfg(feature = "workload")]
pub use workload::{Arrival, Offered, Workload, WorkloadError};
