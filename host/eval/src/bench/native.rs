//! Shipped policies as native code, in this very program: what a sandbox costs is the difference.

use mosel_sdk::bindings::mosel::policy::types as wire;
use mosel_sdk::export::Running;
use mosel_sdk::test::host;
pub(super) use mosel_sdk::test::{sent_catalog as catalog, sent_snapshot as queue};
use mosel_sdk::{Decision, Policy, PolicyError};

/// A configured policy.
pub(super) trait Native {
    /// What its component would answer.
    fn decide(&mut self, queue: wire::Snapshot) -> Result<Decision, PolicyError>;
}

impl<P: Policy> Native for Running<P> {
    fn decide(&mut self, queue: wire::Snapshot) -> Result<Decision, PolicyError> {
        Running::decide(self, queue)
    }
}

/// Starts a policy with settings and a catalog.
pub(super) type Start = fn(&str, wire::Catalog) -> Result<Box<dyn Native>, PolicyError>;

/// The policies that this program has as native code too: one line each.
const NATIVES: &[(&str, Start)] = &[
    ("highest-accuracy", start::<policy_highest_accuracy::HighestAccuracy>),
    ("greedy", start::<policy_greedy::Greedy>),
    ("ilp", start::<policy_ilp::Ilp>),
    ("exact", start::<policy_exact::Exact>),
];

/// How to start the native form of a shipped policy, if there is one.
pub(super) fn of(policy: &str) -> Option<Start> {
    NATIVES.iter().find(|(name, _)| *name == policy).map(|(_, start)| *start)
}

/// Begins a call: the numbers that the policy draws, and its clock.
pub(super) fn begin(seed: u64, queue: &wire::Snapshot) {
    host::begin(seed, queue.sequence, queue.now, queue.budget);
}

fn start<P: Policy + 'static>(settings: &str, catalog: wire::Catalog) -> Result<Box<dyn Native>, PolicyError> {
    Ok(Box::new(Running::<P>::configure(settings, catalog)?))
}
