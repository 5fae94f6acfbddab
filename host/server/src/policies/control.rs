//! Changes which policy is in place, without stopping anything.
//!
//! A policy is compiled, configured and rehearsed on the thread of whoever asked for it; then the planner puts it in
//! place between two questions.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mosel_core::{Snapshot, Trigger};
use mosel_sandbox::{Description, LoadedPolicy, SavedState};

use super::error::SwapError;
use super::failures::{FailureAlarm, RollbackRule};
use super::history::{PolicyChange, PolicyHistory, PreviousPolicy, Rollback};
use super::installed::InstalledPolicy;
use super::loader::PolicyLoader;
use super::prepared::PreparedPolicy;
use super::rehearsal;
use super::shadow::{Shadow, ShadowTap};
use super::store::{self, Component, PolicyStore, Source, StoreError, StoredPolicy};
use crate::byte_budget::ByteBudget;
use crate::driver::Driver;
use crate::feedback::Feedback;
use crate::metrics::Metrics;
use crate::planner_handle::{Install, Installation, PlannerHandle, StateTransfer};
use crate::supervisor::Supervisor;

/// Prepares, tries and installs policies.
pub(crate) struct Policies {
    loader: PolicyLoader,
    lanes: u32,
    rule: RollbackRule,
    driver: Arc<Driver>,
    planner: PlannerHandle,
    tap: Arc<ShadowTap>,
    feedback: Arc<Feedback>,
    metrics: Arc<Metrics>,
    supervisor: Arc<Supervisor>,
    /// Components that are being received.
    receiving: Arc<ByteBudget>,
    changing: Mutex<()>,
    history: Mutex<PolicyHistory>,
}

/// What policies are kept with.
pub(crate) struct PoliciesParts {
    /// Prepares them.
    pub(crate) loader: PolicyLoader,
    /// Lanes that they answer for.
    pub(crate) lanes: u32,
    /// When one has failed too often.
    pub(crate) rule: RollbackRule,
    /// Where the queues are.
    pub(crate) driver: Arc<Driver>,
    /// Asks the one in place.
    pub(crate) planner: PlannerHandle,
    /// Where another one may watch.
    pub(crate) tap: Arc<ShadowTap>,
    /// Where it is said who wants to know what became of jobs.
    pub(crate) feedback: Arc<Feedback>,
    /// Where changes are counted.
    pub(crate) metrics: Arc<Metrics>,
    /// Starts the thread of a shadow.
    pub(crate) supervisor: Arc<Supervisor>,
    /// The policy in place: the planner has been started with it.
    pub(crate) active: InstalledPolicy,
}

/// A policy in the store, with what it says of itself if it was compiled lately.
pub(crate) type DescribedPolicy = (StoredPolicy, Option<Description>);

/// A component that was put into the store.
#[derive(Clone, Debug)]
pub(crate) struct PushedPolicy {
    /// It, compiled.
    pub(crate) loaded: LoadedPolicy,
    /// Another one of its name made place for it.
    pub(crate) replaced: bool,
    /// That other one is in place, and stays there until it is changed.
    pub(crate) older_in_place: bool,
}

/// Whoever has it changes what is in place; others wait.
type Changing<'a> = MutexGuard<'a, ()>;

/// Components of the largest size that are received at a time; one client has half of that, see
/// [`ByteBudget`].
const RECEIVED_AT_A_TIME: u64 = 4;

impl Policies {
    /// With one in place.
    pub(crate) fn new(parts: PoliciesParts) -> Policies {
        let PoliciesParts { loader, lanes, rule, driver, planner, tap, feedback, metrics, supervisor, active } = parts;
        let largest = loader.engine.limits().component_bytes as u64;
        let receiving = ByteBudget::new(RECEIVED_AT_A_TIME * largest, largest);
        let history = Mutex::new(PolicyHistory { active, previous: None, last_rollback: None });
        let changing = Mutex::default();
        Policies {
            loader,
            lanes,
            rule,
            driver,
            planner,
            tap,
            feedback,
            metrics,
            supervisor,
            receiving,
            changing,
            history,
        }
    }

    /// Every policy there is.
    pub(crate) fn list(&self) -> Vec<DescribedPolicy> {
        let describe = |listed: StoredPolicy| {
            let loaded = listed.hash.as_ref().and_then(|hash| self.loader.compiled(hash));
            (listed, loaded.map(|loaded| loaded.description().clone()))
        };
        self.loader.store.list().into_iter().map(describe).collect()
    }

    /// The policy in place.
    pub(crate) fn active(&self) -> InstalledPolicy {
        self.lock().active.clone()
    }

    /// The policy in place, and the one before.
    pub(crate) fn history(&self) -> PolicyHistory {
        self.lock().clone()
    }

    /// Room for components that are being received.
    pub(crate) fn receiving(&self) -> &Arc<ByteBudget> {
        &self.receiving
    }

    /// The largest component.
    pub(crate) fn most_component_bytes(&self) -> u64 {
        self.loader.engine.limits().component_bytes as u64
    }

    /// Where components are kept.
    pub(super) fn store(&self) -> &PolicyStore {
        &self.loader.store
    }

    /// What compiles and configures them.
    pub(super) fn loader(&self) -> &PolicyLoader {
        &self.loader
    }

    /// A component of this name and size could be put into the store.
    pub(crate) fn check_room(&self, name: &str, bytes: u64) -> Result<(), StoreError> {
        self.loader.store.check_room(name, bytes)
    }

    /// Compiles and checks a component and puts it into the store. What is in place stays there.
    pub(crate) fn push(&self, name: &str, bytes: Bytes) -> Result<PushedPolicy, SwapError> {
        self.check_room(name, bytes.len() as u64)?;
        let component = Component { hash: store::hash(&bytes), bytes, source: Source::Pushed };
        let loaded = self.loader.load(name, &component)?;
        let replaced = self.loader.store.put(name, component.bytes, &component.hash)?;
        let in_place = self.active().tag;
        let older_in_place = in_place.name == name && in_place.hash != component.hash;
        Ok(PushedPolicy { loaded, replaced, older_in_place })
    }

    /// Takes a component out of the store, unless it is used.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        let _changing = self.changing();
        if self.active().tag.name == name && mosel_policies::shipped(name).is_none() {
            return Err(StoreError::InUse(name.into(), "in place"));
        }
        if self.shadow().is_some_and(|shadow| shadow.name == name) && mosel_policies::shipped(name).is_none() {
            return Err(StoreError::InUse(name.into(), "the shadow"));
        }
        self.loader.store.remove(name)
    }

    /// Puts another policy in place, if it can be loaded and passes its rehearsal. Blocks until it is asked instead of
    /// the one before.
    pub(crate) fn swap(&self, name: &str, settings: &str) -> Result<PolicyChange, SwapError> {
        let prepared = self.rehearsed(name, settings)?;
        self.install(prepared, None, &self.changing())
    }

    /// The same, unless another one than this generation is in place by then.
    pub(super) fn swap_for(&self, generation: u64, mut prepared: PreparedPolicy) -> Result<PolicyChange, SwapError> {
        self.rehearse(&mut prepared)?;
        let changing = self.changing();
        if self.active().tag.generation != generation {
            return Err(SwapError::Overtaken);
        }
        self.install(prepared, None, &changing)
    }

    /// Brings back what was in place before, with its settings. Without a rehearsal: it was in place before, and
    /// whoever goes back is in a hurry.
    pub(crate) fn roll_back(&self) -> Result<PolicyChange, SwapError> {
        let changing = self.changing();
        let previous = self.history().previous;
        let previous = previous.ok_or(SwapError::NothingToRollBackTo("there was none since the server started"))?;
        self.step_back(previous, "an operator asked for it", false, &changing)
    }

    /// The same because the policy in place failed too often; not to one that has failed too often itself.
    pub(super) fn roll_back_from(&self, alarm: &FailureAlarm) -> Result<PolicyChange, SwapError> {
        let changing = self.changing();
        let PolicyHistory { active, previous, .. } = self.history();
        if active.tag.generation != alarm.generation {
            return Err(SwapError::Overtaken);
        }
        let previous = previous.ok_or(SwapError::NothingToRollBackTo("there was none since the server started"))?;
        if previous.failed {
            return Err(SwapError::NothingToRollBackTo("the one before was taken out for its own failures"));
        }
        self.step_back(previous, &alarm.words, true, &changing)
    }

    fn step_back(
        &self,
        previous: PreviousPolicy,
        reason: &str,
        automatic: bool,
        changing: &Changing,
    ) -> Result<PolicyChange, SwapError> {
        let PreviousPolicy { active: InstalledPolicy { tag, source, loaded, settings, .. }, left, .. } = previous;
        let prepared = self.loader.configure(&tag.name, source, loaded, &settings)?;
        let from = self.active().tag;
        let changed = self.install(prepared, left, changing)?;
        let to = changed.active.tag.clone();
        let mut history = self.lock();
        history.last_rollback = Some(Rollback { from, to, reason: reason.into(), automatic });
        if let Some(previous) = &mut history.previous {
            previous.failed = automatic;
        }
        drop(history);
        self.metrics.rolled_back(automatic);
        Ok(changed)
    }

    fn install(
        &self,
        prepared: PreparedPolicy,
        left: Option<Arc<SavedState>>,
        _: &Changing,
    ) -> Result<PolicyChange, SwapError> {
        let generation = self.active().tag.generation + 1;
        let active = InstalledPolicy::new(&prepared, generation, self.rule, &self.metrics);
        let (done, installation) = sync_channel(1);
        let install = Install { installed: active.clone(), policy: prepared.policy, left, done };
        if !self.planner.install(install) {
            return Err(SwapError::Stopping);
        }
        let Installation { transfer, left, replaced } = installation.recv().map_err(|_| self.interrupted())?;
        let mut history = self.lock();
        let before = std::mem::replace(&mut history.active, active.clone());
        history.previous = Some(PreviousPolicy { active: before, failed: false, left: left.map(Arc::new) });
        drop(history);
        drop(replaced);
        self.metrics.installed(generation);
        if let Some(shadow) = self.shadow() {
            shadow.compare_with(generation);
        }
        if let StateTransfer::Lost(why) = &transfer {
            tracing::warn!(policy = active.tag.name, "the state of the policy before was not carried over: {why}");
        }
        Ok(PolicyChange { active, transfer })
    }

    /// Why the planner did not say that it has put a policy in place.
    fn interrupted(&self) -> SwapError {
        if self.supervisor.is_stopping() { SwapError::Stopping } else { SwapError::Interrupted }
    }

    /// The policy that watches, if there is one.
    pub(crate) fn shadow(&self) -> Option<Arc<Shadow>> {
        self.tap.shadow()
    }

    /// Lets another policy watch, instead of one that did.
    pub(crate) fn set_shadow(&self, name: &str, settings: &str) -> Result<Arc<Shadow>, SwapError> {
        let prepared = self.rehearsed(name, settings)?;
        let _changing = self.changing();
        let (against, catalog) = (self.active().tag.generation, self.loader.catalog.clone());
        let shadow = Shadow::start(prepared, against, catalog, self.metrics.of_shadow(), &self.supervisor);
        let shadow = shadow.map_err(|error| SwapError::NoThread(error.to_string()))?;
        self.feedback.shadow_wants(shadow.description().feedback);
        self.tap.set(Some(shadow.clone()));
        Ok(shadow)
    }

    /// Sends the shadow away; says what it had seen.
    pub(crate) fn clear_shadow(&self) -> Option<Arc<Shadow>> {
        let _changing = self.changing();
        self.feedback.shadow_wants(false);
        self.tap.set(None)
    }

    /// A policy of the store that has passed its rehearsal.
    fn rehearsed(&self, name: &str, settings: &str) -> Result<PreparedPolicy, SwapError> {
        let mut prepared = self.loader.prepare(name, settings)?;
        self.rehearse(&mut prepared)?;
        Ok(prepared)
    }

    fn rehearse(&self, prepared: &mut PreparedPolicy) -> Result<(), SwapError> {
        let lanes = self.lanes;
        let snapshots = self.driver.query(|scheduler, now| {
            // the first one is made up, and says most about a policy
            let lanes = std::iter::once(lanes - 1).chain(0..lanes);
            lanes
                .map(|lane| scheduler.snapshot(mosel_core::LaneId(lane), Trigger::Rehearsal, now))
                .collect::<Vec<Snapshot>>()
        });
        // after the snapshots, so that it has whatever they name
        let catalog = self.loader.catalog.now();
        rehearsal::rehearse(prepared, snapshots, &catalog)
    }

    fn changing(&self) -> Changing<'_> {
        // it guards no data: whoever panicked while changing has changed all or nothing
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, PolicyHistory> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
