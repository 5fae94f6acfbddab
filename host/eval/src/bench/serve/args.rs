//! The arguments of `mosel bench serve`.

use std::path::PathBuf;

use clap::Args;
use mosel_models::zoo::Task;

/// What `mosel bench serve` takes.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// What is offered, as TOML (see docs/results/workloads.md); without it Poisson arrivals at --load
    #[arg(long, value_name = "FILE")]
    pub(super) workload: Option<PathBuf>,
    /// A model of the zoo, served with real held-out inputs; or a profile's file, served by sleeping as long as it says.
    /// With --url: a model of that server
    #[arg(long, default_value = "emoji", value_name = "NAME|PROFILE.json")]
    pub(super) model: String,
    /// A shipped policy, an example, or a component's file; may be given more than once: each gets a server of its own
    /// and the same jobs
    #[arg(long = "policy", value_name = "NAME|FILE", default_value = "exact", conflicts_with = "url")]
    pub(super) policies: Vec<String>,
    /// Offered load, as a multiple of what the lanes can serve on all modalities; instead of the workload's
    #[arg(long)]
    pub(super) load: Option<f64>,
    /// Seconds of arrivals, for each policy; instead of the workload's
    #[arg(long)]
    pub(super) seconds: Option<f64>,
    /// What arrivals and inputs are drawn with
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Lanes of the server: a queue and a device each. With --url: how many that server has
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) lanes: u32,
    /// Offer the jobs to the server there, as it is and with the policy it has, instead of starting one
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Serve a model of the zoo by sleeping as long as its shipped profile says: no libtorch, repeatable. With --url:
    /// that server's model needs no real inputs
    #[arg(long)]
    pub(super) timed: bool,
    /// Have the server write its journal into this directory, for `mosel replay` and `mosel explain`; with several
    /// policies, into one of its own for each
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    pub(super) journal: Option<PathBuf>,
    /// A line of JSON for each policy instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Nothing but the results and what goes wrong
    #[arg(long)]
    pub(super) quiet: bool,
}

impl ServeArgs {
    /// It runs a model in this process: whether the profile of a model of the zoo fits this machine is found out so.
    pub fn computes(&self) -> bool {
        self.url.is_none() && !self.timed && self.model.parse::<Task>().is_ok()
    }

    /// For whoever watches.
    pub(super) fn say(&self, words: &str) {
        if !self.quiet {
            eprintln!("{words}");
        }
    }
}
