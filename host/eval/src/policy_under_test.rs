//! Policies that take part in simulations.

use std::time::Duration;

use anyhow::{Context, Result};
use mosel_core::{Catalog, Outcome, Snapshot};
use mosel_journal::PolicyRecord;
use mosel_sandbox::{Budget, Engine, Limits, LoadedPolicy, Metering, RunningPolicy, fuel_time};
use mosel_sim::{PolicyDriver, PolicyReply};

/// A policy with its settings.
#[derive(Clone, Debug)]
pub(crate) struct PolicyUnderTest {
    /// What figures call it.
    pub(crate) label: String,
    /// JSON text.
    pub(crate) settings: String,
    /// How long it may think, in virtual time.
    pub(crate) budget: Duration,
    loaded: LoadedPolicy,
}

/// What compiles policies.
pub(crate) struct PolicyCompiler {
    engine: Engine,
}

/// Far more than any budget of time grants: time is what cuts a policy off, as on a server, and it is counted in fuel.
const FUEL: u64 = 4_000_000_000;
/// A component that is not Rust (an interpreter) needs more than the standard.
const MEMORY_BYTES: usize = 256 << 20;

impl PolicyCompiler {
    pub(crate) fn new() -> Result<PolicyCompiler> {
        let decide = Budget { fuel: FUEL, time: Duration::MAX };
        let limits = Limits { metering: Metering::Fuel, decide, memory_bytes: MEMORY_BYTES, ..Limits::default() };
        Ok(PolicyCompiler { engine: Engine::new(limits)? })
    }

    /// The shipped policy or example of this name, or the component in this file.
    pub(crate) fn policy(&self, policy: &str, settings: &str, budget: Duration) -> Result<PolicyUnderTest> {
        let (name, bytes) = match mosel_policies::example(policy) {
            Some(bytes) => (policy.to_owned(), bytes.to_vec()),
            None => crate::policy_file::component(policy)?,
        };
        let loaded = self.engine.load(&name, &bytes).with_context(|| format!("loading {policy}"))?;
        Ok(PolicyUnderTest { label: name, settings: settings.into(), budget, loaded })
    }
}

impl PolicyUnderTest {
    /// The same under another name.
    pub(crate) fn called(self, label: &str) -> PolicyUnderTest {
        PolicyUnderTest { label: label.into(), ..self }
    }

    /// The policy, configured for these models.
    pub(crate) fn start(&self, catalog: &Catalog, seed: u64) -> Result<Sandboxed> {
        let policy = RunningPolicy::start(self.loaded.clone(), &self.settings, catalog, seed);
        Ok(Sandboxed { policy: policy.with_context(|| format!("configuring {}", self.label))? })
    }

    /// As a journal names it.
    pub(crate) fn in_place(&self) -> PolicyRecord {
        let (name, hash) = (self.loaded.name().into(), self.loaded.hash().into());
        PolicyRecord { name, hash, settings: self.settings.clone() }
    }
}

/// A policy in the sandbox whose time is its fuel.
pub(crate) struct Sandboxed {
    policy: RunningPolicy,
}

impl PolicyDriver for Sandboxed {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        let reply = self.policy.decide(snapshot);
        let took = reply.fuel_used.map_or(Duration::ZERO, fuel_time);
        if reply.answer.is_err() {
            // the server too has a fresh instance up before the next question
            let _ = self.policy.revive();
        }
        PolicyReply { answer: reply.answer, took }
    }

    fn eager(&self) -> bool {
        self.policy.loaded().description().eager
    }

    fn wants_outcomes(&self) -> bool {
        self.policy.loaded().description().feedback
    }

    fn observe(&mut self, outcomes: &[Outcome]) {
        if self.policy.observe(outcomes).is_err() {
            let _ = self.policy.revive();
        }
    }
}
