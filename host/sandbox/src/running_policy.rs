//! A policy that stays available: an instance that failed is replaced at the next call.

use mosel_core::{Catalog, Outcome, PolicyError, Snapshot};

use crate::log_limit::LogLimit;
use crate::{ConfigureError, Instance, LoadedPolicy, MeteredReply, SavedState};

/// A loaded policy with its settings, ready to be asked again and again.
///
/// An instance that replaces one which failed starts anew: it is configured with the whole catalog, and knows nothing
/// of outcomes or of a state that the one before was given.
///
/// Of its messages 1,000 are kept in any 10 s; what is left out is told in one line of the log.
#[derive(Debug)]
pub struct RunningPolicy {
    loaded: LoadedPolicy,
    settings: String,
    seed: u64,
    catalog: Catalog,
    instance: Instance,
    replaced: u64,
    log_limit: LogLimit,
}

impl RunningPolicy {
    /// Configures a first instance. `settings` is JSON text, `{}` for none.
    pub fn start(
        loaded: LoadedPolicy,
        settings: &str,
        catalog: &Catalog,
        seed: u64,
    ) -> Result<RunningPolicy, ConfigureError> {
        let instance = Instance::start(&loaded, settings, catalog, seed)?;
        let log_limit = LogLimit::default();
        Ok(RunningPolicy {
            loaded,
            settings: settings.into(),
            seed,
            catalog: catalog.clone(),
            instance,
            replaced: 0,
            log_limit,
        })
    }

    /// Asks the policy.
    pub fn decide(&mut self, snapshot: &Snapshot) -> MeteredReply {
        let mut reply = match self.live_instance() {
            Ok(instance) => instance.decide(snapshot),
            Err(error) => return MeteredReply::unavailable(error.to_string()),
        };
        reply.log = self.log_limit.admit(reply.log, reply.log_left_out, snapshot.now);
        reply
    }

    /// Tells the policy what is new in the catalog.
    pub fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        self.catalog.clone_from(catalog);
        self.available_instance()?.update_catalog(catalog)
    }

    /// Tells the policy what became of jobs, if it wants to know: [`Instance::observe`].
    pub fn observe(&mut self, outcomes: &[Outcome]) -> Result<(), PolicyError> {
        self.available_instance()?.observe(outcomes)
    }

    /// The policy's state for a successor, `None` if it keeps none. An instance that failed has left nothing, and is
    /// not replaced to be asked.
    pub fn save(&mut self) -> Result<Option<SavedState>, PolicyError> {
        self.instance.save()
    }

    /// Hands the policy a predecessor's state: [`Instance::restore`].
    pub fn restore(&mut self, saved: &SavedState) -> Result<(), PolicyError> {
        self.available_instance()?.restore(saved)
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
    pub fn loaded(&self) -> &LoadedPolicy {
        &self.loaded
    }

    /// The settings it was started with.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    fn available_instance(&mut self) -> Result<&mut Instance, PolicyError> {
        self.live_instance().map_err(|error| PolicyError::Unavailable(error.to_string()))
    }

    fn live_instance(&mut self) -> Result<&mut Instance, ConfigureError> {
        if !self.instance.alive() {
            self.instance = Instance::start(&self.loaded, &self.settings, &self.catalog, self.seed)?;
            self.replaced += 1;
        }
        Ok(&mut self.instance)
    }
}
