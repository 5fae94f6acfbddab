//! Device threads: one a lane, the only place where its models run.
//!
//! A model that panics, or whose backend fails, may be half changed: it is thrown away and built again before the
//! batch is reported as failed, so that what runs next runs on a sound one. One that cannot be built is tried again with
//! the next batch.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mosel_core::{Batch, Event, Mode, ModelId};
use mosel_models::{
    Answered, DeviceChoice, Model, ModelError, Request, blank_request, split_on_out_of_memory, warm_up,
};

use crate::driver::Driver;
use crate::jobs::{Answer, Entry, Wakes};
use crate::metrics::Metrics;

/// Builds one model for a device. Called again when the model is lost.
pub type Build = Arc<dyn Fn(DeviceChoice) -> anyhow::Result<Box<dyn Model>> + Send + Sync>;

/// Something for a device thread.
#[derive(Debug)]
pub enum Work {
    /// Run a batch of this job, whose inputs it takes and to which its outputs go.
    Run(Batch, Arc<Entry>),
    /// Look at what changed about the models: nothing else is due.
    Look,
}

/// A device thread as others see it.
#[derive(Clone)]
pub struct Lane {
    work: SyncSender<Work>,
    desk: Arc<Desk>,
}

/// What a device thread is made of.
pub struct Parts {
    /// Its number.
    pub lane: u32,
    /// Where its models run.
    pub device: DeviceChoice,
    /// Its models, by the ids that batches name them by, and how they will be run.
    pub builds: Vec<(ModelId, Build, Vec<Mode>)>,
    /// Where its batches come from.
    pub work: Receiver<Work>,
    /// What changes about its models meanwhile.
    pub desk: Arc<Desk>,
    /// Where it reports.
    pub driver: Arc<Driver>,
    /// Where it is counted what fails.
    pub metrics: Arc<Metrics>,
}

/// What changes about the models of a lane while it runs; looked at before every batch.
#[derive(Default)]
pub struct Desk {
    changes: Mutex<Vec<Change>>,
    told: AtomicBool,
}

enum Change {
    Load(ModelId, Slot),
    Unload(ModelId),
}

/// A model and the way back to it.
struct Slot {
    /// `None` after it was lost and could not be built again.
    model: Option<Box<dyn Model>>,
    build: Build,
}

impl Lane {
    /// A lane, and what its thread is to be given.
    pub fn new() -> (Lane, Receiver<Work>, Arc<Desk>) {
        // a lane is given its next batch when the last is done; beside it there is room for one word about models
        let (work, taken) = sync_channel(2);
        let desk = Arc::new(Desk::default());
        (Lane { work, desk: desk.clone() }, taken, desk)
    }

    /// Gives it a batch; false if it takes none.
    pub fn run(&self, batch: Batch, entry: Arc<Entry>) -> bool {
        self.work.try_send(Work::Run(batch, entry)).is_ok()
    }

    /// Gives it a model that batches name by this id; it has it before any batch that is given to it from here on.
    pub fn load(&self, id: ModelId, model: Box<dyn Model>, build: Build) {
        self.change(Change::Load(id, Slot { model: Some(model), build }));
    }

    /// Takes a model from it, for which no batch will come.
    pub fn unload(&self, id: ModelId) {
        self.change(Change::Unload(id));
    }

    fn change(&self, change: Change) {
        self.desk.changes().push(change);
        // one word at a time is enough for any number of changes, and takes no batch's place
        if !self.desk.told.swap(true, Ordering::AcqRel) {
            let _ = self.work.try_send(Work::Look);
        }
    }
}

impl Desk {
    fn changes(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.changes.lock().expect("nobody panics while holding the desk")
    }
}

/// Starts the device thread of a lane; returns once its models are there and warm. The thread ends when nobody can send
/// to it any more.
pub fn start(parts: Parts) -> anyhow::Result<()> {
    let (ready, built) = sync_channel(1);
    let Parts { lane, device, builds, work, desk, driver, metrics } = parts;
    let run = move || match build_all(builds, device) {
        Ok(slots) => {
            let _ = ready.send(Ok(()));
            Device { lane, device, slots, desk, driver, metrics }.run(&work);
        }
        Err(error) => {
            let _ = ready.send(Err(error));
        }
    };
    std::thread::Builder::new().name(format!("device-{lane}")).spawn(run).context("starting a device thread")?;
    built.recv().map_err(|_| anyhow!("the thread of device {lane} died while it built its models"))?
}

/// Builds a model and runs it once in each of these modes: what it makes at its first batches is there before they come.
pub fn build(build: &Build, device: DeviceChoice, modes: &[Mode]) -> anyhow::Result<Box<dyn Model>> {
    let built = catch_unwind(AssertUnwindSafe(|| {
        let mut model = build(device)?;
        let blank = blank_request(model.spec());
        warm_up(model.as_mut(), &blank, modes)?;
        Ok(model)
    }));
    built.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", words(&*panic))))
}

fn build_all(
    builds: Vec<(ModelId, Build, Vec<Mode>)>,
    device: DeviceChoice,
) -> anyhow::Result<BTreeMap<ModelId, Slot>> {
    let slot = |(id, build, modes): (ModelId, Build, Vec<Mode>)| {
        let model = self::build(&build, device, &modes)?;
        Ok((id, Slot { model: Some(model), build }))
    };
    builds.into_iter().map(slot).collect()
}

struct Device {
    lane: u32,
    device: DeviceChoice,
    slots: BTreeMap<ModelId, Slot>,
    desk: Arc<Desk>,
    driver: Arc<Driver>,
    metrics: Arc<Metrics>,
}

/// Clients of finished jobs may wait so long for the end of a batch that comes after, to be woken together: less than
/// waking them one by one would take.
const WORTH_WAITING: Duration = Duration::from_micros(50);
/// So many are woken at once at most.
const MOST_WAITING: usize = 16;

impl Device {
    fn run(mut self, work: &Receiver<Work>) {
        let mut wakes = Wakes::default();
        while let Some(work) = next(work, &mut wakes) {
            if matches!(work, Work::Look) {
                self.desk.told.store(false, Ordering::Release);
            }
            self.look();
            let Work::Run(batch, entry) = work else { continue };
            if batch.expected > WORTH_WAITING {
                drop(std::mem::take(&mut wakes));
            }
            let event = match self.serve(&batch, &entry) {
                Ok(measured) => Event::BatchDone(batch.id, measured),
                Err(reason) => {
                    tracing::warn!(job = %batch.job, batch = batch.id.0, %reason, "a batch failed");
                    entry.progress().failure = Some(reason);
                    Event::BatchFailed(batch.id)
                }
            };
            wakes.extend(self.driver.take(event));
            if wakes.len() >= MOST_WAITING {
                drop(std::mem::take(&mut wakes));
            }
        }
    }

    /// Takes in what changed about the models.
    fn look(&mut self) {
        let changes = std::mem::take(&mut *self.desk.changes());
        for change in changes {
            match change {
                Change::Load(id, slot) => discard(self.slots.insert(id, slot)),
                Change::Unload(id) => discard(self.slots.remove(&id)),
            }
        }
    }

    /// Runs the batch and stores its answers; says how long the model took, or why it did not answer.
    fn serve(&mut self, batch: &Batch, entry: &Entry) -> Result<Duration, String> {
        let requests = entry.start().ok_or("the job has ended meanwhile")?;
        let first = batch.first as usize;
        let chosen: Vec<&Request> = requests[first..first + batch.requests as usize].iter().collect();
        let slot = self.slots.get_mut(&batch.model).ok_or("the model is not on this device")?;
        let model = slot.restored(self.device)?;
        let begin = Instant::now();
        let answered = catch_unwind(AssertUnwindSafe(|| split_on_out_of_memory(model.as_mut(), &chosen, batch.mode)));
        let measured = begin.elapsed();
        let outputs = match answered {
            Ok(Ok(Answered { answers, batches })) => {
                if batches > 1 {
                    tracing::warn!(batch = batch.id.0, batches, "memory ran out, and the batch was run in parts");
                }
                answers
            }
            Ok(Err(error @ ModelError::Backend(_))) => return Err(self.lost(batch, &error.to_string())),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(panic) => return Err(self.lost(batch, &format!("the model panicked: {}", words(&*panic)))),
        };
        if outputs.len() != chosen.len() {
            return Err(format!("the model gave {} answers to {} requests", outputs.len(), chosen.len()));
        }
        let mode = batch.mode;
        entry.answer(first, outputs.into_iter().map(|output| Answer { mode, output }));
        Ok(measured)
    }

    /// Puts a fresh model in the place of one that failed; says what happened.
    fn lost(&mut self, batch: &Batch, reason: &str) -> String {
        self.metrics.model_lost(self.lane);
        let begin = Instant::now();
        if let Some(slot) = self.slots.get_mut(&batch.model) {
            discard(slot.model.take());
            match slot.restored(self.device) {
                Ok(_) => {
                    let ms = begin.elapsed().as_millis() as u64;
                    tracing::warn!(lane = self.lane, ms, "the model is rebuilt");
                }
                Err(error) => tracing::error!(lane = self.lane, %error, "the model is lost until the next batch"),
            }
        }
        reason.to_owned()
    }
}

impl Slot {
    /// The model, built again if it was lost.
    fn restored(&mut self, device: DeviceChoice) -> Result<&mut Box<dyn Model>, String> {
        if self.model.is_none() {
            // not warmed up: its lane waits
            let model = build(&self.build, device, &[]);
            self.model = Some(model.map_err(|error| format!("the model cannot be built again: {error:#}"))?);
        }
        Ok(self.model.as_mut().expect("it was just built"))
    }
}

/// Drops a model: one that is broken may panic at that, too.
fn discard<T>(gone: T) {
    drop(catch_unwind(AssertUnwindSafe(|| drop(gone))));
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("without a message")
}

/// The next work; before the thread goes to sleep, everybody is woken.
fn next(work: &Receiver<Work>, wakes: &mut Wakes) -> Option<Work> {
    if let Ok(next) = work.try_recv() {
        return Some(next);
    }
    drop(std::mem::take(wakes));
    work.recv().ok()
}
