//! A policy that stays available: an instance that failed is replaced at the next call.

use mosel_core::{Catalog, PolicyError, Snapshot};

use crate::{ConfigureError, Decided, Instance, Loaded};

/// A loaded policy with its settings, ready to be asked again and again.
#[derive(Debug)]
pub struct Policy {
    loaded: Loaded,
    settings: String,
    seed: u64,
    catalog: Catalog,
    instance: Instance,
    replaced: u64,
}

impl Policy {
    /// Configures a first instance. `settings` is JSON text, `{}` for none.
    pub fn start(loaded: Loaded, settings: &str, catalog: &Catalog, seed: u64) -> Result<Policy, ConfigureError> {
        let instance = loaded.instantiate(settings, catalog, seed)?;
        Ok(Policy { loaded, settings: settings.into(), seed, catalog: catalog.clone(), instance, replaced: 0 })
    }

    /// Asks the policy.
    pub fn decide(&mut self, snapshot: &Snapshot) -> Decided {
        match self.live_instance() {
            Ok(instance) => instance.decide(snapshot),
            Err(error) => Decided::unavailable(error.to_string()),
        }
    }

    /// Tells the policy what is new in the catalog.
    pub fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        self.catalog.clone_from(catalog);
        let instance = self.live_instance().map_err(|error| PolicyError::Unavailable(error.to_string()))?;
        instance.update_catalog(catalog)
    }

    /// Replaces an instance that failed. The next call would do it too; after a failure call this when the answer is
    /// passed on, so that the next snapshot need not wait for it.
    pub fn revive(&mut self) -> Result<(), ConfigureError> {
        self.live_instance().map(drop)
    }

    /// How many instances failed and were replaced.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// What it runs.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    fn live_instance(&mut self) -> Result<&mut Instance, ConfigureError> {
        if !self.instance.alive() {
            self.instance = self.loaded.instantiate(&self.settings, &self.catalog, self.seed)?;
            self.replaced += 1;
        }
        Ok(&mut self.instance)
    }
}
