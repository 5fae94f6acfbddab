//! From a component to a policy that can be asked.

use std::sync::Arc;

use mosel_core::Catalog;
use mosel_sandbox::{Engine, Policy};

use super::{Active, Shelf, SwapError};
use crate::jobs::PolicyTag;

/// What a policy is prepared with.
pub struct Workshop {
    /// Where its component is found.
    pub shelf: Shelf,
    /// What compiles and bounds it.
    pub engine: Engine,
    /// The models and menus it is told about.
    pub catalog: Catalog,
    /// What its random numbers are drawn from.
    pub seed: u64,
}

/// A policy that is compiled and configured, and was not asked anything yet.
pub struct Ready {
    /// What it will be known as.
    pub active: Active,
    /// It.
    pub policy: Policy,
}

impl Workshop {
    /// Compiles a policy and configures it; a few hundred milliseconds, and none of the scheduler's.
    pub fn prepare(&self, name: &str, settings: &str) -> Result<Ready, SwapError> {
        let component = self.shelf.component(name)?;
        let loaded = self.engine.load(name, &component);
        let loaded = loaded.map_err(|error| SwapError::Load(name.into(), error.to_string()))?;
        let tag = PolicyTag { name: name.into(), hash: loaded.hash().into() };
        let (version, summary) = (loaded.description().version.clone(), loaded.description().summary.clone());
        let policy = Policy::start(loaded, settings, &self.catalog, self.seed);
        let policy = policy.map_err(|error| SwapError::Configure(name.into(), error.to_string()))?;
        Ok(Ready { active: Active { tag: Arc::new(tag), version, summary, settings: settings.into() }, policy })
    }
}
