//! A policy that can be asked and has not been put in place.

use mosel_sandbox::{LoadedPolicy, RunningPolicy};

use super::store::Source;

/// A policy that is compiled and configured, and has not been put in place.
#[derive(Debug)]
pub(crate) struct PreparedPolicy {
    /// What it was asked for by.
    pub(crate) name: String,
    /// How its component came into the store.
    pub(crate) source: Source,
    /// What it runs.
    pub(crate) loaded: LoadedPolicy,
    /// JSON text it was configured with.
    pub(crate) settings: String,
    /// It.
    pub(crate) policy: RunningPolicy,
}
