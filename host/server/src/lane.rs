//! A lane's device thread as others see it: where batches and changes of its models are put.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use mosel_core::{Batch, Mode, ModelId};
use mosel_models::Model;

use crate::jobs::JobRecord;
use crate::model_build::Build;

/// A device thread as others see it. Nobody who holds one ever waits for the device.
#[derive(Clone)]
pub(crate) struct LaneHandle {
    work: SyncSender<Work>,
    state: Arc<LaneState>,
}

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
    pub(crate) fn new() -> (LaneHandle, Receiver<Work>, Arc<LaneState>) {
        // a lane is given its next batch when the last is done; beside it there is room for one word about models
        let (work, taken) = sync_channel(2);
        let state = Arc::new(LaneState::default());
        (LaneHandle { work, state: state.clone() }, taken, state)
    }

    /// Gives it a batch; false if it takes none.
    pub(crate) fn run(&self, batch: Batch, record: Arc<JobRecord>) -> bool {
        *self.state.given() = Some((batch, record.clone()));
        let taken = self.state.died.get().is_none() && self.work.try_send(Work::Run(batch, record.clone())).is_ok();
        if !taken {
            self.state.given().take();
            if let Some(why) = self.state.died.get() {
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
        self.state.pending.add(change);
        // one word at a time is enough for any number of changes, and takes no batch's place
        if !self.state.pending.told.swap(true, Ordering::AcqRel) {
            let _ = self.work.try_send(Work::ApplyChanges);
        }
    }
}

impl LaneState {
    /// The batch that was given is about to be reported.
    pub(crate) fn reported(&self) {
        self.given().take();
    }

    /// The models that its thread has.
    pub(crate) fn models(&self) -> MutexGuard<'_, BTreeSet<ModelId>> {
        self.models.lock().expect("nobody panics while naming models")
    }

    /// Its thread has died, for this reason: takes no batch any more. What it was given and has not reported.
    pub(crate) fn die(&self, why: &str) -> Option<(Batch, Arc<JobRecord>)> {
        let _ = self.died.set(why.to_owned());
        self.given().take()
    }

    fn given(&self) -> MutexGuard<'_, Option<(Batch, Arc<JobRecord>)>> {
        self.given.lock().expect("nobody panics while handing a batch over")
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
        self.changes.lock().expect("nobody panics while holding changes of models")
    }
}
