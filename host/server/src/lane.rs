//! A lane's device thread as others see it: where batches and changes of its models are put.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mosel_core::{Batch, Mode, ModelId};
use mosel_models::Model;

use crate::build_time::BuildTime;
use crate::jobs::JobRecord;
use crate::model_build::Build;

/// A device thread as others see it. Nobody who holds one ever waits for the device. A thread that hangs is given up and
/// another one takes its place: those who hold the handle need not know.
#[derive(Clone)]
pub(crate) struct LaneHandle(Arc<Mutex<Seat>>);

/// The way to the thread that has the lane now.
struct Seat {
    work: SyncSender<Work>,
    state: Arc<LaneState>,
}

/// What the thread of a lane is given: where its batches come from, and what it shares with those who hold its handle.
pub(crate) type LaneEnd = (Receiver<Work>, Arc<LaneState>);

/// Something for a device thread.
#[derive(Debug)]
pub(crate) enum Work {
    /// Run a batch of this job, whose inputs it takes and to which its outputs go.
    Run(Batch, Arc<JobRecord>),
    /// Look at what changed about the models: nothing else is due.
    ApplyChanges,
}

/// What a device thread shares with those who hold its handle.
#[derive(Default)]
pub(crate) struct LaneState {
    pub(crate) pending: PendingChanges,
    /// The batch that the thread was given and has not reported; the core gives it one at a time.
    given: Mutex<Option<(Batch, Arc<JobRecord>)>>,
    /// The models that it has.
    models: Mutex<BTreeSet<ModelId>>,
    /// What it spends on building a model anew.
    pub(crate) build_time: BuildTime,
    /// Why the thread has died.
    died: OnceLock<String>,
}

/// What changes about the models of a lane while it runs; looked at before every batch.
#[derive(Default)]
pub(crate) struct PendingChanges {
    changes: Mutex<Vec<Change>>,
    told: AtomicBool,
}

pub(crate) enum Change {
    Load(ModelId, LoadedModel),
    Unload(ModelId),
    /// A lost model was built again.
    Restore(ModelId, Box<dyn Model>),
}

/// A model, and the way back to it.
pub(crate) struct LoadedModel {
    pub(crate) model: Box<dyn Model>,
    pub(crate) build: Build,
    /// How it is run.
    pub(crate) modes: Vec<Mode>,
}

impl LaneHandle {
    /// A handle, and what its thread is to be given.
    pub(crate) fn new() -> (LaneHandle, LaneEnd) {
        let (seat, end) = Seat::new();
        (LaneHandle(Arc::new(Mutex::new(seat))), end)
    }

    /// What another thread is to be given, which has the lane from here on.
    pub(crate) fn renew(&self) -> LaneEnd {
        let (seat, end) = Seat::new();
        *self.seat() = seat;
        end
    }

    /// Gives the thread up: it is given nothing more, and what it was given has failed, for this reason.
    pub(crate) fn abandon(&self, why: &str) {
        if let Some((_, record)) = self.seat().state.die(why) {
            record.progress().failure = Some(why.to_owned());
        }
    }

    /// Time that it spent on building a model anew since this was asked last.
    pub(crate) fn take_build_time(&self) -> Duration {
        self.seat().state.build_time.take()
    }

    /// Gives it a batch; false if it takes none.
    pub(crate) fn run(&self, batch: Batch, record: Arc<JobRecord>) -> bool {
        let seat = self.seat();
        let Seat { work, state } = &*seat;
        *state.given() = Some((batch, record.clone()));
        let taken = state.died.get().is_none() && work.try_send(Work::Run(batch, record.clone())).is_ok();
        if !taken {
            state.given().take();
            if let Some(why) = state.died.get() {
                record.progress().failure = Some(why.clone());
            }
        }
        taken
    }

    /// Gives it a model that batches name by this id; it has it before any batch that is given to it from here on.
    pub(crate) fn load(&self, id: ModelId, model: LoadedModel) {
        self.change(Change::Load(id, model));
    }

    /// Takes a model from it, for which no batch will come.
    pub(crate) fn unload(&self, id: ModelId) {
        self.change(Change::Unload(id));
    }

    fn change(&self, change: Change) {
        let seat = self.seat();
        seat.state.pending.add(change);
        // one word at a time is enough for any number of changes, and takes no batch's place
        if !seat.state.pending.told.swap(true, Ordering::AcqRel) {
            let _ = seat.work.try_send(Work::ApplyChanges);
        }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new() -> (Seat, LaneEnd) {
        // a lane is given its next batch when the last is done; beside it there is room for one word about models
        let (work, taken) = sync_channel(2);
        let state = Arc::new(LaneState::default());
        (Seat { work, state: state.clone() }, (taken, state))
    }
}

impl LaneState {
    /// The batch that was given is about to be reported; false if the thread was given up meanwhile, and nobody wants to know.
    pub(crate) fn reported(&self) -> bool {
        self.given().take().is_some()
    }

    /// The thread has died or was given up: nobody wants to hear of it.
    pub(crate) fn is_dead(&self) -> bool {
        self.died.get().is_some()
    }

    /// The models that its thread has.
    pub(crate) fn models(&self) -> MutexGuard<'_, BTreeSet<ModelId>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its thread has died, for this reason: takes no batch any more. What it was given and has not reported.
    pub(crate) fn die(&self, why: &str) -> Option<(Batch, Arc<JobRecord>)> {
        let _ = self.died.set(why.to_owned());
        self.given().take()
    }

    fn given(&self) -> MutexGuard<'_, Option<(Batch, Arc<JobRecord>)>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PendingChanges {
    /// One more; whoever adds it tells the thread, or lets it look by itself.
    pub(crate) fn add(&self, change: Change) {
        self.lock().push(change);
    }

    /// The thread was told, and takes them.
    pub(crate) fn heard(&self) {
        self.told.store(false, Ordering::Release);
    }

    /// All of them, oldest first.
    pub(crate) fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
