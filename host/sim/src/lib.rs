//! Days of jobs without a server.
//!
//! [`workload`] says what is offered: a file that describes arrivals and jobs, drawn from a seed.

#![forbid(unsafe_code)]

pub mod workload;

pub use workload::{Arrival, Offered, Workload, WorkloadError};
