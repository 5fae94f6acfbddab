//! A loaded policy: compiled, checked, asked who it is; what instances are made of.

use std::sync::Arc;

use mosel_core::PolicyError;

use crate::Description;
use crate::compiled_policy::CompiledPolicy;
use crate::guest::Guest;
use crate::runtime::Runtime;

/// A policy that can be started any number of times. Cheap to clone.
#[derive(Clone)]
pub struct LoadedPolicy {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    name: String,
    compiled: Arc<CompiledPolicy>,
    origin: Origin,
}

/// Where the compiled code came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was compiled now.
    Compiled,
    /// It was in the engine's cache directory.
    Disk,
    /// The same bytes had been loaded by this engine before.
    Memory,
}

impl LoadedPolicy {
    pub(crate) fn new(runtime: Runtime, name: String, compiled: Arc<CompiledPolicy>, origin: Origin) -> LoadedPolicy {
        LoadedPolicy { inner: Arc::new(Inner { runtime, name, compiled, origin }) }
    }

    /// A live component that is not configured yet.
    pub(crate) fn guest(&self) -> Result<Guest, PolicyError> {
        Guest::new(&self.inner.runtime, &self.inner.compiled.code)
    }

    /// The name it was loaded under.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// SHA-256 of the component, in hex.
    pub fn hash(&self) -> &str {
        &self.inner.compiled.hash
    }

    /// What it says of itself.
    pub fn description(&self) -> &Description {
        &self.inner.compiled.description
    }

    /// Where the compiled code came from.
    pub fn origin(&self) -> Origin {
        self.inner.origin
    }
}

impl std::fmt::Debug for LoadedPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPolicy").field("name", &self.name()).field("hash", &self.hash()).finish_non_exhaustive()
    }
}
