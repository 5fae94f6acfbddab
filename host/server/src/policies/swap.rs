//! How another policy gets in place, and how the one before comes back.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, MutexGuard};

use mosel_sandbox::{LoadedPolicy, SavedState};
use thiserror::Error;

use super::rollback::FailureAlarm;
use super::store::{Source, StoreError};
use super::{Policies, PreparedPolicy};
use crate::jobs::PolicyTag;
use crate::planner::{Install, Installed, Order, Place, StateTransfer};
use crate::stats::PolicyStats;

/// A policy that is, or was, in place.
#[derive(Clone, Debug)]
pub struct Active {
    /// Which policy, and which installation.
    pub tag: Arc<PolicyTag>,
    /// How its component came into the store.
    pub source: Source,
    /// What it runs.
    pub loaded: LoadedPolicy,
    /// JSON text it was configured with.
    pub settings: String,
    /// How it does.
    pub stats: Arc<PolicyStats>,
}

impl Active {
    /// Where its answers are counted.
    pub fn place(&self) -> Place {
        Place { tag: self.tag.clone(), stats: self.stats.clone() }
    }
}

/// The policy in place, and what a rollback would bring back.
#[derive(Clone, Debug)]
pub struct PolicyHistory {
    /// The policy in place.
    pub active: Active,
    /// The one before.
    pub previous: Option<PreviousPolicy>,
    /// The last return to the one before.
    pub last_rollback: Option<Rollback>,
}

/// A policy that was in place before.
#[derive(Clone, Debug)]
pub struct PreviousPolicy {
    /// Which.
    pub active: Active,
    /// It was taken out since it failed too often.
    pub failed: bool,
    left: Option<Arc<SavedState>>,
}

/// A return to the policy before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Which policy was in place.
    pub from: Arc<PolicyTag>,
    /// Which came back.
    pub to: Arc<PolicyTag>,
    /// Why.
    pub reason: String,
    /// Nobody asked for it.
    pub automatic: bool,
}

/// Another policy is in place.
#[derive(Clone, Debug)]
pub struct PolicyChange {
    /// Which.
    pub active: Active,
    /// What became of the state of the one before.
    pub transfer: StateTransfer,
}

/// Why another policy was not put in place. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SwapError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox does not take the component.
    #[error("the policy {0} was refused when it was loaded: {1}")]
    Load(String, String),
    /// The policy does not take its settings.
    #[error("the policy {0} was refused when it was configured: {1}")]
    Configure(String, String),
    /// It did not answer a snapshot of the queues as they are now, or of one that is made up.
    #[error("the policy {name} was refused at its rehearsal: {words}")]
    Rehearsal {
        /// Which.
        name: String,
        /// The reason's short name.
        kind: String,
        /// The reason.
        words: String,
    },
    /// No other policy was in place before, or it failed too often.
    #[error("expected a policy that was in place before, {0}")]
    NothingToRollBackTo(&'static str),
    /// Somebody else put another policy in place meanwhile.
    #[error("another policy was put in place meanwhile")]
    Overtaken,
    /// The machine gives no thread.
    #[error("no thread could be started: {0}")]
    NoThread(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// Whoever has it changes what is in place; others wait.
pub(super) type Changing<'a> = MutexGuard<'a, ()>;

impl Policies {
    /// Puts another policy in place, if it can be loaded and passes its rehearsal. Blocks until it is asked instead of
    /// the one before.
    pub fn swap(&self, name: &str, settings: &str) -> Result<PolicyChange, SwapError> {
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
    pub fn roll_back(&self) -> Result<PolicyChange, SwapError> {
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
        let PreviousPolicy { active: Active { tag, source, loaded, settings, .. }, left, .. } = previous;
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
        let PreparedPolicy { name, source, loaded, settings, policy } = prepared;
        let generation = self.active().tag.generation + 1;
        let hash = loaded.hash().into();
        let place = self.place(PolicyTag { name: name.clone(), hash, generation, settings: settings.clone() });
        let (done, installed) = sync_channel(1);
        let install = Install { place: place.clone(), policy, left, done };
        self.planner.send(Order::Install(Box::new(install))).map_err(|_| SwapError::Stopping)?;
        let Installed { transfer, left, replaced } = installed.recv().map_err(|_| SwapError::Stopping)?;
        let active = Active { tag: place.tag, source, loaded, settings, stats: place.stats };
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
            tracing::warn!(policy = name, "the state of the policy before was not carried over: {why}");
        }
        Ok(PolicyChange { active, transfer })
    }
}
