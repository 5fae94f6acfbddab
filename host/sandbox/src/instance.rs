//! A configured policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Catalog, Decision, End, ModelId, Outcome, PolicyError, Profile, Snapshot, StrategyTable, TableId, Time,
};

use crate::bindings::types;
use crate::guest::{Guest, Terms};
use crate::log::words;
use crate::{ConfigureError, LoadedPolicy, LogLine, SavedState, convert};

/// Outcomes that a guest is told at once; more are told in several calls.
const OUTCOMES_A_CALL: usize = 4096;

/// A configured policy. Dies with the first call that fails with anything but the policy's own words.
pub struct Instance {
    loaded: LoadedPolicy,
    /// `None` once it is dead.
    guest: Option<Guest>,
    seed: u64,
    sent: Sent,
}

/// A policy's answer to a snapshot, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct MeteredReply {
    /// The answer, unchecked but bounded: it names at most as many jobs as the snapshot has.
    pub answer: Result<Decision, PolicyError>,
    /// The same for the same snapshot. `None` where fuel is not counted, or nobody could be asked.
    pub fuel_used: Option<u64>,
    /// By the clock, conversions included.
    pub wall: Duration,
    /// What the policy logged since the decision before.
    pub log: Vec<LogLine>,
    /// Messages that it logged beyond those that are kept of a call.
    pub log_left_out: u64,
}

/// What the guest knows of the catalog.
#[derive(Default)]
struct Sent {
    models: BTreeMap<ModelId, Arc<Profile>>,
    tables: BTreeMap<TableId, Arc<StrategyTable>>,
}

impl Instance {
    /// Configures a fresh instance. `settings` is JSON text, `{}` for none; `seed` determines every number it draws.
    pub fn start(
        loaded: &LoadedPolicy,
        settings: &str,
        catalog: &Catalog,
        seed: u64,
    ) -> Result<Instance, ConfigureError> {
        let mut guest = loaded.guest().map_err(ConfigureError::Failed)?;
        let mut sent = Sent::default();
        let news = sent.news(catalog);
        let configure = guest.call(&Terms::load(guest.runtime()), |exports, store| {
            let answer = exports.call_configure(store, settings, &news)?;
            // Wrong settings are the operator's to mend and so no failure of the policy.
            Ok(match answer {
                Err(types::PolicyError::BadConfig(reason)) => Ok(Err(ConfigureError::BadSettings(words(&reason)))),
                other => other.map(Ok),
            })
        });
        configure.answer.map_err(ConfigureError::Failed)??;
        Ok(Instance { loaded: loaded.clone(), guest: Some(guest), seed, sent })
    }

    /// Asks the policy. The catalog it was given last has every table that the snapshot names.
    pub fn decide(&mut self, snapshot: &Snapshot) -> MeteredReply {
        let Ok(guest) = live(&mut self.guest) else {
            return MeteredReply::unavailable("its instance failed in an earlier call".into());
        };
        let terms = Terms::decide(guest.runtime(), snapshot, self.seed);
        let call = guest.call(&terms, |exports, store| exports.call_decide(store, &snapshot.into()));
        let answer = call.answer.and_then(|decision| convert::decision(decision, snapshot.jobs.len()));
        let (log, log_left_out) = guest.take_log();
        let answer = self.bury(answer);
        MeteredReply { answer, fuel_used: call.fuel_used, wall: call.wall, log, log_left_out }
    }

    /// Tells the policy what is new in the catalog; costs nothing if there is nothing new.
    pub fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        let guest = live(&mut self.guest)?;
        let news = self.sent.news(catalog);
        if news.models.is_empty() && news.tables.is_empty() {
            return Ok(());
        }
        let terms = Terms::housekeeping(guest.runtime(), Time::START);
        let call = guest.call(&terms, |exports, store| exports.call_update_catalog(store, &news));
        self.bury(call.answer)
    }

    /// Tells the policy what became of jobs: of those that were served to their end, and only if it wants to know.
    /// The time it is told is the last finish.
    pub fn observe(&mut self, outcomes: &[Outcome]) -> Result<(), PolicyError> {
        if !self.loaded.description().feedback {
            return Ok(());
        }
        let guest = live(&mut self.guest)?;
        let served = outcomes.iter().filter(|outcome| outcome.end == End::Served);
        let now = served.clone().map(|outcome| outcome.finish).max().unwrap_or(Time::START);
        let served: Vec<types::Outcome> = served.map(types::Outcome::from).collect();
        let terms = Terms::housekeeping(guest.runtime(), now);
        let mut calls = served.chunks(OUTCOMES_A_CALL);
        let told = calls.try_for_each(|outcomes| {
            guest.call(&terms, |exports, store| exports.call_observe(store, outcomes).map(Ok)).answer
        });
        self.bury(told)
    }

    /// The policy's state for a successor; `None` if it keeps none.
    pub fn save(&mut self) -> Result<Option<SavedState>, PolicyError> {
        let description = self.loaded.description();
        if !description.stateful {
            return Ok(None);
        }
        let guest = live(&mut self.guest)?;
        let terms = Terms::save(guest.runtime());
        let call = guest.call(&terms, |exports, store| exports.call_save(store).map(Ok));
        let saved = call.answer.and_then(|state| SavedState::new(description, state));
        self.bury(saved).map(Some)
    }

    /// Hands the policy a predecessor's state. A policy may decline, and then goes on without; so does one that keeps
    /// no state, without being asked.
    pub fn restore(&mut self, saved: &SavedState) -> Result<(), PolicyError> {
        if !self.loaded.description().stateful {
            return Err(PolicyError::Declined("it keeps no state, so there is nothing to restore".into()));
        }
        saved.check().map_err(PolicyError::Declined)?;
        let guest = live(&mut self.guest)?;
        let SavedState { name, version, state } = saved;
        let terms = Terms::housekeeping(guest.runtime(), Time::START);
        let call = guest.call(&terms, |exports, store| exports.call_restore(store, name, version, state));
        self.bury(call.answer)
    }

    /// Can be asked.
    pub fn alive(&self) -> bool {
        self.guest.is_some()
    }

    /// A guest that was cut off is in no known state, and wasmtime does not let it be entered again.
    fn bury<T>(&mut self, answer: Result<T, PolicyError>) -> Result<T, PolicyError> {
        if !matches!(answer, Ok(_) | Err(PolicyError::Declined(_))) {
            self.guest = None;
        }
        answer
    }
}

fn live(guest: &mut Option<Guest>) -> Result<&mut Guest, PolicyError> {
    guest.as_mut().ok_or_else(|| PolicyError::Unavailable("its instance failed in an earlier call".into()))
}

impl MeteredReply {
    pub(crate) fn unavailable(reason: String) -> MeteredReply {
        let answer = Err(PolicyError::Unavailable(reason));
        MeteredReply { answer, fuel_used: None, wall: Duration::ZERO, log: Vec::new(), log_left_out: 0 }
    }
}

impl Sent {
    /// The entries that the guest does not have yet, or not so; from here on it has them.
    fn news(&mut self, catalog: &Catalog) -> types::Catalog {
        let models = catalog.models.iter().filter(|(id, profile)| is_new(&mut self.models, *id, profile));
        let models = models.map(|(id, profile)| convert::model(*id, profile)).collect();
        let tables = catalog.tables.iter().filter(|table| is_new(&mut self.tables, table.id, table));
        let tables = tables.map(|table| convert::table(table)).collect();
        types::Catalog { revision: catalog.revision, models, tables }
    }
}

/// Puts the entry there; says whether that changed anything.
fn is_new<K: Ord, V: PartialEq>(sent: &mut BTreeMap<K, Arc<V>>, id: K, entry: &Arc<V>) -> bool {
    let same = |old: &Arc<V>| Arc::ptr_eq(old, entry) || old == entry;
    sent.insert(id, Arc::clone(entry)).is_none_or(|old| !same(&old))
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("alive", &self.alive()).field("seed", &self.seed).finish_non_exhaustive()
    }
}
