//! From a component to a policy that can be asked.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mosel_sandbox::{Engine, LoadedPolicy, RunningPolicy};

use super::error::SwapError;
use super::prepared::PreparedPolicy;
use super::store::{Component, PolicyStore, Source};
use crate::shared_catalog::SharedCatalog;

/// What policies are prepared with.
pub(crate) struct PolicyLoader {
    /// Where components are found.
    pub(crate) store: PolicyStore,
    /// What compiles and bounds them.
    pub(crate) engine: Engine,
    /// The models and menus they are told about.
    pub(crate) catalog: Arc<SharedCatalog>,
    /// What their random numbers are drawn from.
    pub(crate) seed: u64,
    compiled: Mutex<VecDeque<LoadedPolicy>>,
    /// Held while compiling: one core at a time is enough to take from jobs.
    compiling: Mutex<()>,
    /// It was said that the cache of compiled code does not work.
    cache_trouble: AtomicBool,
}

/// Compiled components that are kept. The engine keeps code too; but to come back to one of these waits for nobody
/// who compiles another.
const MOST_COMPILED: usize = 16;

impl PolicyLoader {
    /// Nothing is compiled yet.
    pub(crate) fn new(store: PolicyStore, engine: Engine, catalog: Arc<SharedCatalog>, seed: u64) -> PolicyLoader {
        let (compiled, compiling, cache_trouble) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        PolicyLoader { store, engine, catalog, seed, compiled, compiling, cache_trouble }
    }

    /// Compiles and configures a policy of the store. A few hundred milliseconds the first time, none of them the
    /// scheduler's.
    pub(crate) fn prepare(&self, name: &str, settings: &str) -> Result<PreparedPolicy, SwapError> {
        let component = self.store.component(name)?;
        let loaded = self.load(name, &component)?;
        self.configure(name, component.source, loaded, settings)
    }

    /// Configures a compiled policy.
    pub(crate) fn configure(
        &self,
        name: &str,
        source: Source,
        loaded: LoadedPolicy,
        settings: &str,
    ) -> Result<PreparedPolicy, SwapError> {
        let policy = RunningPolicy::start(loaded.clone(), settings, &self.catalog.now(), self.seed);
        let policy = policy.map_err(|error| SwapError::Configure(name.into(), error.to_string()))?;
        Ok(PreparedPolicy { name: name.into(), source, loaded, settings: settings.into(), policy })
    }

    /// Compiles and checks a component, unless it was compiled lately.
    pub(crate) fn load(&self, name: &str, component: &Component) -> Result<LoadedPolicy, SwapError> {
        if let Some(loaded) = self.compiled(&component.hash) {
            return Ok(loaded);
        }
        let _compiling = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        // somebody may have compiled it meanwhile
        if let Some(loaded) = self.compiled(&component.hash) {
            return Ok(loaded);
        }
        let loaded = self.engine.load(name, &component.bytes);
        let loaded = loaded.map_err(|error| SwapError::Load(name.into(), error.to_string()))?;
        self.say_cache_trouble();
        crate::stats::keep(&mut self.lock(), loaded.clone(), MOST_COMPILED);
        Ok(loaded)
    }

    /// Once, until it works again.
    fn say_cache_trouble(&self) {
        let trouble = self.engine.cache_trouble();
        let said = self.cache_trouble.swap(trouble.is_some(), Ordering::Relaxed);
        if let Some(trouble) = trouble.filter(|_| !said) {
            tracing::warn!("compiled code is not kept, and policies are compiled anew at every start: {trouble}");
        }
    }

    /// A component of this content, if it was compiled lately.
    pub(crate) fn compiled(&self, hash: &str) -> Option<LoadedPolicy> {
        let mut compiled = self.lock();
        let at = compiled.iter().position(|loaded| loaded.hash() == hash)?;
        let loaded = compiled.remove(at)?;
        compiled.push_back(loaded.clone());
        Some(loaded)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LoadedPolicy>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
