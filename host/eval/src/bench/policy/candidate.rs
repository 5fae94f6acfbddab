//! A policy that is measured: its component, and the same code natively.

use std::time::Instant;

use anyhow::{Context, Result};
use mosel_sandbox::{Engine, LoadedPolicy, RunningPolicy};

use super::args::PolicyBenchArgs;
use super::queue_case::QueueCase;
use super::row::Samples;
use crate::bench::native::{self, Native};

/// A policy that takes part.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) component: Vec<u8>,
    pub(super) loaded: LoadedPolicy,
    pub(super) native: Option<native::Start>,
}

/// Those that the command line names, or all that are shipped.
pub(super) fn candidates(args: &PolicyBenchArgs, engine: &Engine) -> Result<Vec<Candidate>> {
    let shipped = || mosel_policies::SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect();
    let policies = if args.policies.is_empty() { shipped() } else { args.policies.clone() };
    let candidate = |policy: &String| {
        let (name, component) = crate::policy_file::component(policy)?;
        let loaded = engine.load(&name, &component).with_context(|| format!("loading {policy}"))?;
        // a file may be another build than the code in this program
        let native = mosel_policies::shipped(policy).and_then(|_| native::of(policy));
        Ok(Candidate { name, component, loaded, native })
    };
    policies.iter().map(candidate).collect()
}

/// A policy on one queue, in both forms.
pub(super) struct Engines {
    wasm: RunningPolicy,
    native: Option<Box<dyn Native>>,
    seed: u64,
}

impl Engines {
    pub(super) fn start(candidate: &Candidate, settings: &str, case: &QueueCase, seed: u64) -> Result<Engines> {
        let starting = || format!("starting {}", candidate.name);
        let wasm =
            RunningPolicy::start(candidate.loaded.clone(), settings, &case.catalog, seed).with_context(starting)?;
        let native = candidate.native.map(|start| {
            native::begin(0, &native::queue(&case.snapshot));
            start(settings, native::catalog(&case.catalog))
        });
        let native = native.transpose().map_err(|error| anyhow::anyhow!("{error:?}")).with_context(starting)?;
        Ok(Engines { wasm, native, seed })
    }

    /// What it answers, from caches that are warm afterwards.
    pub(super) fn warm_up(&mut self, case: &QueueCase) -> mosel_sandbox::MeteredReply {
        if let Some(native) = &mut self.native {
            time_native(native.as_mut(), case, self.seed);
        }
        self.wasm.decide(&case.snapshot)
    }

    pub(super) fn take_turns(&mut self, case: &QueueCase, samples: &mut Samples) {
        let start = Instant::now();
        let reply = self.wasm.decide(&case.snapshot);
        samples.wasm_us.push(start.elapsed().as_secs_f64() * 1e6);
        samples.fuel.extend(reply.fuel_used.map(|fuel| fuel as f64));
        if let Some(native) = &mut self.native {
            samples.native_us.push(time_native(native.as_mut(), case, self.seed));
        }
    }
}

/// Microseconds of one decision; its queue is made before.
fn time_native(native: &mut dyn Native, case: &QueueCase, seed: u64) -> f64 {
    let queue = native::queue(&case.snapshot);
    native::begin(seed, &queue);
    let start = Instant::now();
    let decision = native.decide(queue);
    let micros = start.elapsed().as_secs_f64() * 1e6;
    drop(std::hint::black_box(decision));
    micros
}
