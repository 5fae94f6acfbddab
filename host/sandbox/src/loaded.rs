//! A loaded policy: what instances are made of.

use std::sync::Arc;

use mosel_core::{Catalog, PolicyError};

use crate::compiled::Compiled;
use crate::guest::Guest;
use crate::{ConfigureError, Engine, Instance};

/// A policy that can be started any number of times. Cheap to clone.
#[derive(Clone)]
pub struct Loaded {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    name: String,
    compiled: Arc<Compiled>,
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

/// What a policy says of itself; every field is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its own name, which need not be the one it was loaded under.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// One line for people.
    pub summary: String,
    /// Keeps state that is worth handing to a successor.
    pub stateful: bool,
    /// Wants to be told what became of jobs.
    pub feedback: bool,
    /// Wants to be asked after every change while some waiting job is not on its most accurate strategy.
    pub eager: bool,
    /// JSON Schema of its settings, empty if it has none.
    pub settings_schema: String,
}

impl Loaded {
    pub(crate) fn new(engine: Engine, name: String, compiled: Arc<Compiled>, origin: Origin) -> Loaded {
        Loaded { inner: Arc::new(Inner { engine, name, compiled, origin }) }
    }

    /// A configured instance. `settings` is JSON text, `{}` for none; `seed` determines every number it draws.
    pub fn instantiate(&self, settings: &str, catalog: &Catalog, seed: u64) -> Result<Instance, ConfigureError> {
        Instance::configured(self, settings, catalog, seed)
    }

    /// A live component that is not configured yet.
    pub(crate) fn guest(&self) -> Result<Guest, PolicyError> {
        Guest::new(self.engine(), &self.inner.compiled.policy)
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

    /// The engine that runs it.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("name", &self.name()).field("hash", &self.hash()).finish_non_exhaustive()
    }
}
