//! What policies are told of models: kept apart from the scheduler, so that nobody who tells them waits for it.

use std::sync::{Arc, PoisonError, RwLock};

use mosel_core::{Catalog, StrategyMatrix};

/// The models and menus there are. Never behind the scheduler: whatever a snapshot names is in it.
#[derive(Debug)]
pub(crate) struct SharedCatalog(RwLock<Arc<Catalog>>);

impl SharedCatalog {
    /// Begins with these.
    pub(crate) fn new(catalog: Catalog) -> SharedCatalog {
        SharedCatalog(RwLock::new(Arc::new(catalog)))
    }

    /// As it is now.
    pub(crate) fn now(&self) -> Arc<Catalog> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// More models are there; a copy is made, and readers of the old one keep it.
    pub(crate) fn add(&self, models: &[Arc<StrategyMatrix>]) {
        Arc::make_mut(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner)).add(models);
    }
}
