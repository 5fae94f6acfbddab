//! Tells whether a component is fit to schedule, whoever wrote it: [`check`] asks it what a server would ask, and much
//! that a server hopes never to, and says in a [`Report`] what a stranger needs to know.
//!
//! Every call into the policy is bounded by the limits, the whole by [`Options::time`], whatever the policy does.
//!
//! Where to start reading: [`Check`], the list of what is asked, then `suite.rs`. [`queues`] makes the random queues,
//! for benchmarks and tests too.

#![forbid(unsafe_code)]

mod answers;
mod chance;
mod check;
mod claims;
pub mod queues;
mod report;
mod settings;
mod suite;
mod tally;
mod upkeep;

use std::time::Duration;

use mosel_sandbox::{Engine, Limits};

pub use chance::Chance;
pub use check::Check;
pub use report::{Figures, Finding, Outcome, Report, Spread, Verdict};

/// How a policy is checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the random queues are drawn with.
    pub seed: u64,
    /// How many random queues there are, apart from a few very long ones.
    pub queues: usize,
    /// What the policy may use up in a call: as on the server it is meant for.
    pub limits: Limits,
    /// How long the checks may take together, loading not counted; what is not done by then is reported.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 1, queues: 120, limits: Limits::default(), time: Duration::from_secs(60) }
    }
}

/// Checks a component with these settings (JSON text, `{}` for none).
///
/// Fails only if this machine cannot run an engine; whatever is wrong with the policy is in the report.
pub fn check(bytes: &[u8], settings: &str, options: &Options) -> anyhow::Result<Report> {
    let engine = Engine::new(options.limits.clone())?;
    Ok(match engine.load("the policy", bytes) {
        Ok(loaded) => suite::run(&loaded, settings, options),
        Err(error) => Report::of_one_that_does_not_load(&error),
    })
}
