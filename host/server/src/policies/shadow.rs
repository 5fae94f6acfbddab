//! The shadow: another policy that is asked on the same snapshots as the one in place, and never obeyed.
//!
//! The planner shows it what it asked and what the answer was; a thread of the shadow's own asks it and compares. If it
//! is too slow it misses some: nobody waits for it.

mod tally;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mosel_core::{Catalog, Decision, DecisionError, Forecast, Outcome, Plan, PolicyError, Snapshot};
use mosel_sandbox::{Description, LoadedPolicy, RunningPolicy};

use super::prepared::PreparedPolicy;
use crate::metrics::ShadowMeters;
use crate::pulse::{Pulse, Silence};
use crate::shared_catalog::SharedCatalog;
use crate::supervisor::Supervisor;
pub(crate) use tally::{Side, Tally};

/// What the one in place was asked, and what it answered.
#[derive(Debug)]
pub(crate) struct ShadowSample {
    /// The generation in place.
    pub(crate) against: u64,
    /// The question.
    pub(crate) snapshot: Snapshot,
    /// The answer, as it came.
    pub(crate) answer: Result<Decision, PolicyError>,
    /// How long it took.
    pub(crate) wall: Duration,
}

/// What a shadow is shown.
#[derive(Debug)]
enum Seen {
    ShadowSample(ShadowSample),
    Outcomes(Vec<Outcome>),
}

/// Where the planner finds the shadow, if there is one.
#[derive(Debug, Default)]
pub(crate) struct ShadowTap {
    shadow: Mutex<Option<Arc<Shadow>>>,
}

/// A policy that watches. The thread that asks it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// What it was asked for by.
    pub(crate) name: String,
    /// What it runs.
    pub(crate) loaded: LoadedPolicy,
    /// JSON text it was configured with.
    pub(crate) settings: String,
    seen: SyncSender<Seen>,
    tally: Arc<Mutex<Tally>>,
    meters: ShadowMeters,
}

/// Snapshots that wait for the shadow; more are dropped.
const MOST_WAITING: usize = 64;

impl ShadowTap {
    /// There is a shadow.
    pub(crate) fn is_set(&self) -> bool {
        self.lock().is_some()
    }

    /// The shadow.
    pub(crate) fn shadow(&self) -> Option<Arc<Shadow>> {
        self.lock().clone()
    }

    /// Shows the shadow a sample, if it has time for one more.
    pub(crate) fn show(&self, sample: ShadowSample) {
        let Some(shadow) = self.shadow() else { return };
        if let Err(TrySendError::Full(_)) = shadow.seen.try_send(Seen::ShadowSample(sample)) {
            shadow.meters.dropped.inc();
            shadow.lock().dropped += 1;
        }
    }

    /// Tells the shadow what became of jobs, if it wants to know and has time for it.
    pub(crate) fn tell(&self, outcomes: Vec<Outcome>) {
        if let Some(shadow) = self.shadow().filter(|shadow| shadow.description().feedback) {
            let _ = shadow.seen.try_send(Seen::Outcomes(outcomes));
        }
    }

    /// From here on this one watches, or none; the one that did.
    pub(crate) fn set(&self, shadow: Option<Arc<Shadow>>) -> Option<Arc<Shadow>> {
        std::mem::replace(&mut *self.lock(), shadow)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Shadow>>> {
        self.shadow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shadow {
    /// Starts the thread of a policy that watches the one of this generation.
    pub(super) fn start(
        prepared: PreparedPolicy,
        against: u64,
        catalog: Arc<SharedCatalog>,
        meters: ShadowMeters,
        supervisor: &Arc<Supervisor>,
    ) -> std::io::Result<Arc<Shadow>> {
        let PreparedPolicy { name, loaded, settings, policy, .. } = prepared;
        let (seen, shown) = sync_channel(MOST_WAITING);
        let tally = Arc::new(Mutex::new(Tally::new(against)));
        let mut watcher = Watcher {
            policy,
            catalog: catalog.now(),
            known: catalog,
            tally: tally.clone(),
            meters: meters.clone(),
            supervisor: supervisor.clone(),
            pulse: supervisor.pulse("shadow", Silence::Said),
        };
        supervisor.spawn("shadow", move || watcher.run(&shown))?;
        Ok(Arc::new(Shadow { name, loaded, settings, seen, tally, meters }))
    }

    /// What was seen so far.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().clone()
    }

    /// What the policy says of itself.
    pub(crate) fn description(&self) -> &Description {
        self.loaded.description()
    }

    /// Another policy is in place: what was compared with the one before is forgotten.
    pub(super) fn compare_with(&self, generation: u64) {
        *self.lock() = Tally::new(generation);
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the watching policy, on a thread of its own.
struct Watcher {
    policy: RunningPolicy,
    catalog: Arc<Catalog>,
    known: Arc<SharedCatalog>,
    tally: Arc<Mutex<Tally>>,
    meters: ShadowMeters,
    supervisor: Arc<Supervisor>,
    pulse: Arc<Pulse>,
}

/// What a policy is asked or told is bounded by its budgets.
const LONGEST: Duration = Duration::from_secs(60);

impl Watcher {
    fn run(&mut self, shown: &Receiver<Seen>) {
        while let Ok(seen) = shown.recv() {
            self.pulse.within(LONGEST, "asks the policy in the shadow");
            self.supervisor.checkpoint("shadow");
            match seen {
                Seen::ShadowSample(sample) => self.watch(sample),
                // one that fails at it starts anew with the next sample
                Seen::Outcomes(outcomes) => drop(self.policy.observe(&outcomes)),
            }
            self.pulse.idle();
        }
    }

    /// Learns what models came since.
    fn sync_catalog(&mut self, snapshot: &Snapshot) {
        if snapshot.catalog_revision > self.catalog.revision {
            self.catalog = self.known.now();
            // a policy that fails at it starts anew, with all of them
            drop(self.policy.update_catalog(&self.catalog));
        }
    }

    fn watch(&mut self, sample: ShadowSample) {
        let ShadowSample { against, snapshot, answer, wall } = sample;
        self.sync_catalog(&snapshot);
        let reply = self.policy.decide(&snapshot);
        let forecast = |answer: Result<Decision, PolicyError>| {
            let decision = answer.map_err(DecisionError::Policy)?;
            let plan = Plan::check(&snapshot, &self.catalog, &decision)?;
            Forecast::under(&snapshot, &self.catalog, &plan)
        };
        let (active, shadow) = (forecast(answer), forecast(reply.answer));
        if let Err(error) = &shadow {
            self.meters.failed(error.kind());
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        // asked before another policy came in place
        if tally.against != against {
            return;
        }
        tally.times(wall, reply.wall);
        match (active, shadow) {
            (Ok(active), Ok(shadow)) => {
                let differed = tally.compare(&self.catalog, &active, &shadow);
                self.meters.compared.inc();
                self.meters.differed.inc_by(u64::from(differed));
            }
            (active, shadow) => tally.failed(active.err().as_ref(), shadow.err().as_ref()),
        }
    }
}
