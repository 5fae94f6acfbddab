//! From a component to a policy that can be asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use mosel_sandbox::{Engine, LoadedPolicy, RunningPolicy};

use super::shelf::{Component, Shelf, Source};
use super::swap::SwapError;
use crate::known::Known;

/// What policies are prepared with.
pub struct Workshop {
    /// Where components are found.
    pub shelf: Shelf,
    /// What compiles and bounds them.
    pub engine: Engine,
    /// The models and menus they are told about.
    pub catalog: Arc<Known>,
    /// What their random numbers are drawn from.
    pub seed: u64,
    compiled: Mutex<VecDeque<LoadedPolicy>>,
    /// Held while compiling: one core at a time is enough to take from jobs.
    bench: Mutex<()>,
}

/// A policy that is compiled and configured, and has not been put in place.
#[derive(Debug)]
pub struct Trial {
    /// What it was asked for by.
    pub name: String,
    /// How its component came onto the shelf.
    pub source: Source,
    /// What it runs.
    pub loaded: LoadedPolicy,
    /// JSON text it was configured with.
    pub settings: String,
    /// It.
    pub policy: RunningPolicy,
}

/// Compiled components that are kept. The engine keeps code too; but to come back to one of these waits for nobody
/// who compiles another.
const MOST_COMPILED: usize = 16;

impl Workshop {
    /// An empty workshop.
    pub fn new(shelf: Shelf, engine: Engine, catalog: Arc<Known>, seed: u64) -> Workshop {
        Workshop { shelf, engine, catalog, seed, compiled: Mutex::default(), bench: Mutex::default() }
    }

    /// Compiles and configures a policy of the shelf. A few hundred milliseconds the first time, none of them the
    /// scheduler's.
    pub fn prepare(&self, name: &str, settings: &str) -> Result<Trial, SwapError> {
        let component = self.shelf.component(name)?;
        let loaded = self.load(name, &component)?;
        self.try_out(name, component.source, loaded, settings)
    }

    /// Configures a compiled policy.
    pub fn try_out(
        &self,
        name: &str,
        source: Source,
        loaded: LoadedPolicy,
        settings: &str,
    ) -> Result<Trial, SwapError> {
        let policy = RunningPolicy::start(loaded.clone(), settings, &self.catalog.now(), self.seed);
        let policy = policy.map_err(|error| SwapError::Configure(name.into(), error.to_string()))?;
        Ok(Trial { name: name.into(), source, loaded, settings: settings.into(), policy })
    }

    /// Compiles and checks a component, unless it was compiled lately.
    pub fn load(&self, name: &str, component: &Component) -> Result<LoadedPolicy, SwapError> {
        if let Some(loaded) = self.compiled(&component.hash) {
            return Ok(loaded);
        }
        let _bench = self.bench.lock().expect("nobody panics while compiling");
        // somebody may have compiled it meanwhile
        if let Some(loaded) = self.compiled(&component.hash) {
            return Ok(loaded);
        }
        let loaded = self.engine.load(name, &component.bytes);
        let loaded = loaded.map_err(|error| SwapError::Load(name.into(), error.to_string()))?;
        crate::stats::keep(&mut self.lock(), loaded.clone(), MOST_COMPILED);
        Ok(loaded)
    }

    /// A component of this content, if it was compiled lately.
    pub fn compiled(&self, hash: &str) -> Option<LoadedPolicy> {
        let mut compiled = self.lock();
        let at = compiled.iter().position(|loaded| loaded.hash() == hash)?;
        let loaded = compiled.remove(at)?;
        compiled.push_back(loaded.clone());
        Some(loaded)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LoadedPolicy>> {
        self.compiled.lock().expect("nobody panics while holding what was compiled")
    }
}
