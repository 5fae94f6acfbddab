//! What tests share.
//!
//! Where to start reading: [`toy`] (the model that most tests are about), then [`jobs`] (jobs, rows and outcomes, of which
//! a test names only what it is about) and [`cases`] (files of simulation cases with the log that is expected).

pub mod cases;
pub mod jobs;
pub mod toy;
