//! What measures the server and its policies: simulation, replay, benchmarks, the figures of the paper.
//!
//! Where to start reading: [`simulate`] (a server in virtual time) and [`simulated`] (what it is made of), then
//! [`replay`] (journals) and [`bench`](mod@bench) (live measurements, and the figures).

pub mod bench;
#[cfg(feature = "torch")]
pub mod figure;
#[cfg(feature = "torch")]
pub mod fitting;
pub mod policy_file;
#[cfg(feature = "torch")]
pub mod profiling;
pub mod replay;
pub mod simulate;
mod simulated;
