//! Tells whether a component is fit to schedule, whoever wrote it: [`check`] asks it what a server would ask, and much
//! that a server hopes never to, and says in a [`Report`] what a stranger needs to know.
//!
//! Every call into the policy is bounded by the limits, the whole by [`Options::time`], whatever the policy does.
//!
//! Where to start reading: [`Check`], the list of what is asked, then `suite.rs`. [`queues`] makes the random queues,
//! for benchmarks and tests too.

#![forbid(unsafe_code)]

mod answers;
mod check;
mod check_run;
mod claims;
mod housekeeping;
mod judgment;
mod options;
pub mod queues;
mod random;
mod report;
mod settings;
mod suite;
mod tally;

use mosel_sandbox::Engine;

pub use check::Check;
pub use options::Options;
pub use report::{Figures, Finding, Outcome, Report, Spread, Verdict};

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
