//! `mosel bench policy`: how long a policy takes to decide, and how far from the optimum its answers are.
//!
//! A row is a policy on an engine: `wasm` is the whole call as the server makes it (conversion there and back, crossing
//! the border, deciding), `native` the same code in this program, without any of that. Engines take turns, so that a
//! machine whose speed drifts slows all of them.

mod args;
mod candidate;
mod loads;
mod queue_case;
mod row;

use anyhow::Result;
use mosel_sandbox::{Engine, LoadedPolicy};

use args::limits;
use candidate::{Candidate, Engines, candidates};
use queue_case::{QueueCase, Size, measured_by};
use row::{Row, Samples};

pub use args::PolicyBenchArgs;

/// `mosel bench policy`.
pub fn run(args: &PolicyBenchArgs) -> Result<()> {
    let settings = serde_json::to_string(&crate::policy_file::settings(args.settings.as_deref())?)?;
    let engine = Engine::new(limits(args.metering))?;
    let candidates = candidates(args, &engine)?;
    if args.loads {
        return loads::run(args, &candidates, &settings);
    }
    let measured_by = measured_by(&engine)?;
    let mut rows = Vec::new();
    for &strategies in &args.strategies {
        for &jobs in &args.jobs {
            let size = Size { jobs, strategies };
            rows.extend(measure(args, size, &candidates, &settings, measured_by.as_ref())?);
        }
    }
    row::print(args, &rows);
    Ok(())
}

/// Every candidate on `instances` queues of this size.
fn measure(
    args: &PolicyBenchArgs,
    size: Size,
    candidates: &[Candidate],
    settings: &str,
    measured_by: Option<&LoadedPolicy>,
) -> Result<Vec<Row>> {
    let mut samples: Vec<Samples> = candidates.iter().map(|_| Samples::default()).collect();
    for instance in 0..args.instances {
        let case = QueueCase::draw(args, size, instance, measured_by)?;
        let mut engines = Vec::new();
        for candidate in candidates {
            engines.push(Engines::start(candidate, settings, &case, args.seed)?);
        }
        for (engines, samples) in engines.iter_mut().zip(&mut samples) {
            samples.judge(&case, engines.warm_up(&case));
        }
        for _ in 0..args.repeats {
            for (engines, samples) in engines.iter_mut().zip(&mut samples) {
                engines.take_turns(&case, samples);
            }
        }
    }
    let finished = candidates.iter().zip(samples);
    Ok(finished.flat_map(|(candidate, samples)| samples.rows(&candidate.name, size)).collect())
}
