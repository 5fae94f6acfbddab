//! The arguments of `mosel demo`, and the policies that it compares.

use std::path::PathBuf;

use clap::Args;

/// Serves one overload three times, without and with modality selection, and compares.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The task
    #[arg(long, default_value = "emoji")]
    pub(super) model: String,
    /// Offered load, as a multiple of what the device can serve on all modalities
    #[arg(long, default_value_t = 1.6)]
    pub(super) load: f64,
    /// Seconds of arrivals, for each policy
    #[arg(long, default_value_t = 20.0)]
    pub(super) seconds: f64,
    /// Requests a job
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) requests: u32,
    /// A job's deadline, as a multiple of its own time on all modalities
    #[arg(long, default_value_t = 18.0)]
    pub(super) slack: f64,
    /// What arrivals, floors and inputs are drawn with
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Write a page that shows what some jobs were made of and what the server ran
    #[arg(long, value_name = "FILE.html")]
    pub(super) page: Option<PathBuf>,
}

/// The policies that are compared, the baseline first.
pub(super) const POLICIES: [&str; 3] = ["highest-accuracy", "greedy", "exact"];
