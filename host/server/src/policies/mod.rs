//! The policies there are, and the one in place: how another one gets there without stopping anything.
//!
//! Where to start reading: [`store`] (which there are), [`loader`] (from bytes to something that can be asked),
//! [`swap`] (how it gets in place); then what happens around that: [`rollback`], [`shadow`], [`watch`].

pub mod loader;
mod rehearsal;
pub mod rollback;
pub mod shadow;
pub mod store;
pub mod swap;
pub mod watch;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use mosel_sandbox::{Description, LoadedPolicy};

use crate::driver::Driver;
use crate::feedback::Feedback;
use crate::jobs::{ByteBudget, PolicyTag};
use crate::metrics::Metrics;
use crate::planner::{Order, Place};
use crate::stats::PolicyStats;
pub use loader::{PolicyLoader, PreparedPolicy};
use rollback::RollbackRule;
use shadow::ShadowTap;
use store::{Component, Source, StoreError, StoredPolicy};
use swap::{Active, Changing, PolicyHistory, SwapError};

/// Prepares, tries and installs policies.
pub struct Policies {
    loader: PolicyLoader,
    lanes: u32,
    rule: RollbackRule,
    driver: Arc<Driver>,
    planner: SyncSender<Order>,
    tap: Arc<ShadowTap>,
    feedback: Arc<Feedback>,
    metrics: Arc<Metrics>,
    /// Components that are being received.
    receiving: Arc<ByteBudget>,
    changing: Mutex<()>,
    history: Mutex<PolicyHistory>,
}

/// What policies are kept with.
pub struct PoliciesParts {
    /// Prepares them.
    pub loader: PolicyLoader,
    /// Lanes that they answer for.
    pub lanes: u32,
    /// When one has failed too often.
    pub rule: RollbackRule,
    /// Where the queues are.
    pub driver: Arc<Driver>,
    /// Asks the one in place.
    pub planner: SyncSender<Order>,
    /// Where another one may watch.
    pub tap: Arc<ShadowTap>,
    /// Where it is said who wants to know what became of jobs.
    pub feedback: Arc<Feedback>,
    /// Where changes are counted.
    pub metrics: Arc<Metrics>,
    /// The policy in place: the planner has been started with it.
    pub active: Active,
}

/// A policy in the store, with what it says of itself if it was compiled lately.
pub type DescribedPolicy = (StoredPolicy, Option<Description>);

/// A component that was put into the store.
#[derive(Clone, Debug)]
pub struct PushedPolicy {
    /// It, compiled.
    pub loaded: LoadedPolicy,
    /// Another one of its name made place for it.
    pub replaced: bool,
    /// That other one is in place, and stays there until it is changed.
    pub older_in_place: bool,
}

/// Components of the largest size that may be received at a time.
const RECEIVED_AT_A_TIME: u64 = 2;

impl Policies {
    /// With one in place.
    pub fn new(parts: PoliciesParts) -> Policies {
        let PoliciesParts { loader, lanes, rule, driver, planner, tap, feedback, metrics, active } = parts;
        let receiving = ByteBudget::new(RECEIVED_AT_A_TIME * loader.engine.limits().component_bytes as u64);
        let history = Mutex::new(PolicyHistory { active, previous: None, last_rollback: None });
        let changing = Mutex::default();
        Policies { loader, lanes, rule, driver, planner, tap, feedback, metrics, receiving, changing, history }
    }

    /// Every policy there is.
    pub fn list(&self) -> Vec<DescribedPolicy> {
        let describe = |listed: StoredPolicy| {
            let loaded = listed.hash.as_ref().and_then(|hash| self.loader.compiled(hash));
            (listed, loaded.map(|loaded| loaded.description().clone()))
        };
        self.loader.store.list().into_iter().map(describe).collect()
    }

    /// The policy in place.
    pub fn active(&self) -> Active {
        self.lock().active.clone()
    }

    /// The policy in place, and the one before.
    pub fn history(&self) -> PolicyHistory {
        self.lock().clone()
    }

    /// Room for components that are being received.
    pub fn receiving(&self) -> &Arc<ByteBudget> {
        &self.receiving
    }

    /// The largest component.
    pub fn most_component_bytes(&self) -> u64 {
        self.loader.engine.limits().component_bytes as u64
    }

    /// A component of this name and size could be put into the store.
    pub fn check_room(&self, name: &str, bytes: u64) -> Result<(), StoreError> {
        self.loader.store.check_room(name, bytes)
    }

    /// Compiles and checks a component and puts it into the store. What is in place stays there.
    pub fn push(&self, name: &str, bytes: Bytes) -> Result<PushedPolicy, SwapError> {
        self.check_room(name, bytes.len() as u64)?;
        let component = Component { hash: store::hash(&bytes), bytes, source: Source::Pushed };
        let loaded = self.loader.load(name, &component)?;
        let replaced = self.loader.store.put(name, component.bytes, &component.hash)?;
        let in_place = self.active().tag;
        let older_in_place = in_place.name == name && in_place.hash != component.hash;
        Ok(PushedPolicy { loaded, replaced, older_in_place })
    }

    /// Takes a component out of the store, unless it is used.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let _changing = self.changing();
        if self.active().tag.name == name && mosel_policies::shipped(name).is_none() {
            return Err(StoreError::InUse(name.into(), "in place"));
        }
        if self.shadow().is_some_and(|shadow| shadow.name == name) && mosel_policies::shipped(name).is_none() {
            return Err(StoreError::InUse(name.into(), "the shadow"));
        }
        self.loader.store.remove(name)
    }

    fn place(&self, tag: PolicyTag) -> Place {
        place(tag, self.rule, &self.metrics)
    }

    fn changing(&self) -> Changing<'_> {
        self.changing.lock().expect("nobody panics while installing a policy")
    }

    fn lock(&self) -> MutexGuard<'_, PolicyHistory> {
        self.history.lock().expect("nobody panics while looking at what is in place")
    }
}

/// A place for a policy, with counters that start at nothing.
pub fn place(tag: PolicyTag, rule: RollbackRule, metrics: &Metrics) -> Place {
    let stats = PolicyStats::new(rule, metrics.of_policy(&tag.name));
    Place { tag: tag.into(), stats: stats.into() }
}
