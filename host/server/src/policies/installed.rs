//! A policy that is, or was, in place.

use std::sync::Arc;

use mosel_sandbox::LoadedPolicy;

use super::failures::RollbackRule;
use super::prepared::PreparedPolicy;
use super::store::Source;
use crate::jobs::PolicyTag;
use crate::metrics::Metrics;
use crate::stats::PolicyStats;

/// A policy that is, or was, in place.
#[derive(Clone, Debug)]
pub(crate) struct InstalledPolicy {
    /// Which policy, and which installation.
    pub(crate) tag: Arc<PolicyTag>,
    /// How its component came into the store.
    pub(crate) source: Source,
    /// What it runs.
    pub(crate) loaded: LoadedPolicy,
    /// JSON text it was configured with.
    pub(crate) settings: String,
    /// How it does.
    pub(crate) stats: Arc<PolicyStats>,
}

impl InstalledPolicy {
    /// About to be put in place as this generation, with counters that start at nothing.
    pub(crate) fn new(
        prepared: &PreparedPolicy,
        generation: u64,
        rule: RollbackRule,
        metrics: &Metrics,
    ) -> InstalledPolicy {
        let PreparedPolicy { name, source, loaded, settings, .. } = prepared;
        let hash = loaded.hash().into();
        let tag = PolicyTag { name: name.clone(), hash, generation, settings: settings.clone() };
        let stats = PolicyStats::new(rule, metrics.of_policy(name));
        InstalledPolicy {
            tag: tag.into(),
            source: *source,
            loaded: loaded.clone(),
            settings: settings.clone(),
            stats: stats.into(),
        }
    }
}
