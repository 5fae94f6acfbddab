//! A configured policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{Catalog, ModelId, PolicyError, Profile, Proposal, Snapshot, StrategyTable, TableId};

use crate::bindings::{SchedulerPre, types};
use crate::guest::{Guest, Terms};
use crate::host::Host;
use crate::{ConfigureError, Engine, LogLine, convert};

/// A configured policy. Dies with the first call that fails with anything but the policy's own words.
pub struct Instance {
    /// `None` once it is dead.
    guest: Option<Guest>,
    seed: u64,
    sent: Sent,
}

/// A policy's answer to a snapshot, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The answer, unchecked but bounded: it names at most as many jobs as the snapshot has.
    pub answer: Result<Proposal, PolicyError>,
    /// The same for the same snapshot.
    pub fuel_used: u64,
    /// By the clock, conversions included.
    pub wall: Duration,
    /// What the policy logged since the decision before.
    pub log: Vec<LogLine>,
}

/// What the guest knows of the catalog.
#[derive(Default)]
struct Sent {
    models: BTreeMap<ModelId, Arc<Profile>>,
    tables: BTreeMap<TableId, Arc<StrategyTable>>,
}

impl Instance {
    pub(crate) fn configured(
        engine: &Engine,
        policy: &SchedulerPre<Host>,
        settings: &str,
        catalog: &Catalog,
        seed: u64,
    ) -> Result<Instance, ConfigureError> {
        let mut guest = Guest::new(engine, policy).map_err(ConfigureError::Failed)?;
        let mut sent = Sent::default();
        let news = sent.news(catalog);
        let configure = guest.call(&Terms::load(engine), |exports, store| {
            let answer = exports.call_configure(store, settings, &news)?;
            // Wrong settings are the operator's to mend and so no failure of the policy.
            Ok(match answer {
                Err(types::PolicyError::BadConfig(reason)) => Ok(Err(ConfigureError::BadSettings(reason))),
                other => other.map(Ok),
            })
        });
        configure.answer.map_err(ConfigureError::Failed)??;
        Ok(Instance { guest: Some(guest), seed, sent })
    }

    /// Asks the policy. The catalog it was given last has every table that the snapshot names.
    pub fn decide(&mut self, snapshot: &Snapshot) -> Decided {
        let Some(guest) = &mut self.guest else {
            return Decided::unavailable("its instance failed in an earlier call".into());
        };
        let terms = Terms::decide(guest.engine(), snapshot, self.seed);
        let call = guest.call(&terms, |exports, store| exports.call_decide(store, &snapshot.into()));
        let answer = call.answer.and_then(|decision| convert::proposal(decision, snapshot.jobs.len()));
        let log = guest.take_log();
        self.bury(&answer);
        Decided { answer, fuel_used: call.fuel_used, wall: call.wall, log }
    }

    /// Tells the policy what is new in the catalog; costs nothing if there is nothing new.
    pub fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        let Some(guest) = &mut self.guest else {
            return Err(PolicyError::Unavailable("its instance failed in an earlier call".into()));
        };
        let news = self.sent.news(catalog);
        if news.models.is_empty() && news.tables.is_empty() {
            return Ok(());
        }
        let terms = Terms::load(guest.engine());
        let answer = guest.call(&terms, |exports, store| exports.call_update_catalog(store, &news)).answer;
        self.bury(&answer);
        answer
    }

    /// Can be asked.
    pub fn alive(&self) -> bool {
        self.guest.is_some()
    }

    /// A guest that was cut off is in no known state, and wasmtime does not let it be entered again.
    fn bury<T>(&mut self, answer: &Result<T, PolicyError>) {
        if !matches!(answer, Ok(_) | Err(PolicyError::Declined(_))) {
            self.guest = None;
        }
    }
}

impl Decided {
    pub(crate) fn unavailable(reason: String) -> Decided {
        let answer = Err(PolicyError::Unavailable(reason));
        Decided { answer, fuel_used: 0, wall: Duration::ZERO, log: Vec::new() }
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
