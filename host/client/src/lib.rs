//! The client side of the HTTP interface, for the program's own commands, benchmarks and tests: talks to a server like
//! anybody else.
//!
//! Where to start reading: [`connection`] (one connection, one answer), then [`inputs`] (jobs of real or made-up requests)
//! and [`spawned`] (a server as a child process).

pub mod connection;
pub mod inputs;
pub mod spawned;

use anyhow::{Context, Result};

/// What clients and benchmarks run on.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("starting tokio")
}
