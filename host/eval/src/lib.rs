//! What measures the server and its policies: simulation, replay, benchmarks, the figures of the paper.
//!
//! Where to start reading: [`simulate`] (a server in virtual time), whose parts are in `sim_setup.rs` and
//! `policy_under_test.rs`; then [`replay`] (journals, with `what_if.rs`), [`bench`](mod@bench) (live measurements) and
//! [`figures`] (the paper's, simulated).

mod arguments;
pub mod bench;
pub mod connect;
pub mod demo;
pub mod figures;
mod fitting;
pub mod policy_file;
mod policy_under_test;
pub mod profiling;
pub mod replay;
mod sim_setup;
pub mod simulate;
mod summary;
mod what_if;
