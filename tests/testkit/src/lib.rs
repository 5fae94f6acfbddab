//! What tests share.
//!
//! Where to start reading: [`toy`] (the model that most tests are about), then [`jobs`] (jobs and outcomes, of which a test
//! names only what it is about), [`queue`] (what a policy is shown) and [`cases`] (files of simulation cases with the log that is expected). With the
//! feature `server` there are `client` (HTTP, as rude as need be) and `server` (`mosel serve` as a child process).

pub mod cases;
#[cfg(feature = "server")]
pub mod client;
pub mod jobs;
pub mod queue;
#[cfg(feature = "server")]
pub mod server;
pub mod toy;
