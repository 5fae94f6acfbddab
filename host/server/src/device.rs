//! Device threads: one a lane, the only place where its models run.
//!
//! A model that panics, or whose backend fails, may be half changed: it is thrown away and built again before the
//! batch is reported as failed, so that what runs next runs on a sound one. One that cannot be built is lost, and the
//! core told so that no new job comes for it: batches that come nevertheless fail at once. Beside the lane, which other
//! models need, it is tried again after a second, then ever less often.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mosel_core::{Batch, Event, Mode, ModelId};
use mosel_models::{
    Answered, DeviceChoice, Model, ModelError, Request, blank_request, split_on_out_of_memory, warm_up,
};

use crate::driver::Driver;
use crate::jobs::{Answer, DeferredWakeups, JobRecord};
use crate::metrics::Metrics;

/// Builds one model for a device. Called again when the model is lost.
pub type Build = Arc<dyn Fn(DeviceChoice) -> anyhow::Result<Box<dyn Model>> + Send + Sync>;

/// Something for a device thread.
#[derive(Debug)]
pub enum Work {
    /// Run a batch of this job, whose inputs it takes and to which its outputs go.
    Run(Batch, Arc<JobRecord>),
    /// Look at what changed about the models: nothing else is due.
    Look,
}

/// A device thread as others see it.
#[derive(Clone)]
pub struct Lane {
    work: SyncSender<Work>,
    pending: Arc<PendingChanges>,
}

/// What a device thread is made of.
pub struct DeviceParts {
    /// Its number.
    pub lane: u32,
    /// Where its models run.
    pub device: DeviceChoice,
    /// Its models, by the ids that batches name them by, and how they will be run.
    pub builds: Vec<(ModelId, Build, Vec<Mode>)>,
    /// Where its batches come from.
    pub work: Receiver<Work>,
    /// What changes about its models meanwhile.
    pub pending: Arc<PendingChanges>,
    /// Where it reports.
    pub driver: Arc<Driver>,
    /// Where it is counted what fails.
    pub metrics: Arc<Metrics>,
}

/// What changes about the models of a lane while it runs; looked at before every batch.
#[derive(Default)]
pub struct PendingChanges {
    changes: Mutex<Vec<Change>>,
    told: AtomicBool,
}

enum Change {
    Load(ModelId, Slot),
    Unload(ModelId),
    /// A lost model was built again.
    Restore(ModelId, Box<dyn Model>),
}

/// A model and the way back to it.
struct Slot {
    state: State,
    build: Build,
    /// How it is run.
    modes: Vec<Mode>,
}

enum State {
    Ready(Box<dyn Model>),
    /// It failed, and could not be built again.
    Lost {
        why: String,
        /// Somebody waits for it to be built again as long as this is here.
        wanted: Arc<()>,
    },
}

/// A lost model is tried again after so long, then after twice as long, and so on up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a lane that has nothing to do looks whether a lost model was built again.
const LOOK: Duration = Duration::from_millis(50);

impl Lane {
    /// A lane, and what its thread is to be given.
    pub fn new() -> (Lane, Receiver<Work>, Arc<PendingChanges>) {
        // a lane is given its next batch when the last is done; beside it there is room for one word about models
        let (work, taken) = sync_channel(2);
        let pending = Arc::new(PendingChanges::default());
        (Lane { work, pending: pending.clone() }, taken, pending)
    }

    /// Gives it a batch; false if it takes none.
    pub fn run(&self, batch: Batch, record: Arc<JobRecord>) -> bool {
        self.work.try_send(Work::Run(batch, record)).is_ok()
    }

    /// Gives it a model that batches name by this id; it has it before any batch that is given to it from here on.
    /// It will be run in these modes.
    pub fn load(&self, id: ModelId, model: Box<dyn Model>, build: Build, modes: Vec<Mode>) {
        self.change(Change::Load(id, Slot { state: State::Ready(model), build, modes }));
    }

    /// Takes a model from it, for which no batch will come.
    pub fn unload(&self, id: ModelId) {
        self.change(Change::Unload(id));
    }

    fn change(&self, change: Change) {
        self.pending.changes().push(change);
        // one word at a time is enough for any number of changes, and takes no batch's place
        if !self.pending.told.swap(true, Ordering::AcqRel) {
            let _ = self.work.try_send(Work::Look);
        }
    }
}

impl PendingChanges {
    fn changes(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.changes.lock().expect("nobody panics while holding changes of models")
    }
}

/// Starts the device thread of a lane; returns once its models are there and warm. The thread ends when nobody can send
/// to it any more.
pub fn start(parts: DeviceParts) -> anyhow::Result<()> {
    let (ready, built) = sync_channel(1);
    let DeviceParts { lane, device, builds, work, pending, driver, metrics } = parts;
    let run = move || match build_all(builds, device) {
        Ok(slots) => {
            let _ = ready.send(Ok(()));
            Device { lane, device, slots, pending, driver, metrics }.run(&work);
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
        Ok((id, Slot { state: State::Ready(model), build, modes }))
    };
    builds.into_iter().map(slot).collect()
}

struct Device {
    lane: u32,
    device: DeviceChoice,
    slots: BTreeMap<ModelId, Slot>,
    pending: Arc<PendingChanges>,
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
        let mut wakes = DeferredWakeups::default();
        while let Some(work) = self.next(work, &mut wakes) {
            if matches!(work, Work::Look) {
                self.pending.told.store(false, Ordering::Release);
            }
            self.look();
            let Work::Run(batch, record) = work else { continue };
            if batch.expected > WORTH_WAITING {
                drop(std::mem::take(&mut wakes));
            }
            let event = match self.serve(&batch, &record) {
                Ok(measured) => Event::BatchDone(batch.id, measured),
                Err(reason) => {
                    tracing::warn!(job = %batch.job, batch = batch.id.0, %reason, "a batch failed");
                    record.progress().failure = Some(reason);
                    Event::BatchFailed(batch.id)
                }
            };
            wakes.extend(self.driver.handle(event));
            if wakes.len() >= MOST_WAITING {
                drop(std::mem::take(&mut wakes));
            }
        }
    }

    /// Takes in what changed about the models.
    fn look(&mut self) {
        let changes = std::mem::take(&mut *self.pending.changes());
        for change in changes {
            match change {
                Change::Load(id, slot) => discard(self.slots.insert(id, slot)),
                Change::Unload(id) => {
                    let gone = self.slots.remove(&id);
                    if gone.as_ref().is_some_and(Slot::is_lost) {
                        self.metrics.model_available(self.lane, true);
                    }
                    discard(gone);
                }
                Change::Restore(id, model) => self.restore(id, model),
            }
        }
    }

    /// The next work; before the thread goes to sleep, everybody is woken. While a model is lost it looks now and then
    /// whether that is back.
    fn next(&mut self, work: &Receiver<Work>, wakes: &mut DeferredWakeups) -> Option<Work> {
        if let Ok(next) = work.try_recv() {
            return Some(next);
        }
        drop(std::mem::take(wakes));
        while self.slots.values().any(Slot::is_lost) {
            match work.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => self.look(),
                next => return next.ok(),
            }
        }
        work.recv().ok()
    }

    /// Takes a lost model back, unless it was let go meanwhile.
    fn restore(&mut self, id: ModelId, model: Box<dyn Model>) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.is_lost()) else { return discard(model) };
        slot.state = State::Ready(model);
        tracing::warn!(lane = self.lane, "the model is there again");
        self.metrics.model_available(self.lane, true);
        drop(self.driver.handle(Event::ModelRestored(self.lane, id)));
    }

    /// Runs the batch and stores its answers; says how long the model took, or why it did not answer.
    fn serve(&mut self, batch: &Batch, record: &JobRecord) -> Result<Duration, String> {
        let requests = record.start().ok_or("the job has ended meanwhile")?;
        let first = batch.first as usize;
        let chosen: Vec<&Request> = requests[first..first + batch.requests as usize].iter().collect();
        let slot = self.slots.get_mut(&batch.model).ok_or("the model is not on this device")?;
        let model = match &mut slot.state {
            State::Ready(model) => model,
            State::Lost { why, .. } => return Err(format!("the model failed, and cannot be built again: {why}")),
        };
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
        record.answer(first, outputs.into_iter().map(|output| Answer { mode, output }));
        Ok(measured)
    }

    /// Puts a fresh model in the place of one that failed, or tells that it is lost; says what happened.
    fn lost(&mut self, batch: &Batch, reason: &str) -> String {
        self.metrics.model_lost(self.lane);
        let begin = Instant::now();
        let Some(slot) = self.slots.get_mut(&batch.model) else { return reason.to_owned() };
        match slot.rebuild(self.device) {
            Ok(()) => {
                let ms = begin.elapsed().as_millis() as u64;
                tracing::warn!(lane = self.lane, ms, "the model is rebuilt");
            }
            Err(error) => {
                tracing::error!(lane = self.lane, %error, "the model is lost");
                slot.keep_trying(batch.model, self.lane, self.device, self.pending.clone());
                self.metrics.model_available(self.lane, false);
                drop(self.driver.handle(Event::ModelLost(self.lane, batch.model)));
            }
        }
        reason.to_owned()
    }
}

impl Slot {
    fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost { .. })
    }

    /// Builds the model anew in place of one that has just failed; if it cannot be built, it is lost.
    fn rebuild(&mut self, device: DeviceChoice) -> Result<(), String> {
        let lost = |why| State::Lost { why, wanted: Arc::default() };
        // the old one first: there may be no room for both
        discard(std::mem::replace(&mut self.state, lost(String::new())));
        // not warmed up: its lane waits
        match build(&self.build, device, &[]) {
            Ok(model) => {
                self.state = State::Ready(model);
                Ok(())
            }
            Err(error) => {
                let why = format!("{error:#}");
                self.state = lost(why.clone());
                Err(why)
            }
        }
    }

    /// Builds the lost model again on a thread of its own, as often as it takes; it comes back as a change, warm.
    fn keep_trying(&self, id: ModelId, lane: u32, device: DeviceChoice, pending: Arc<PendingChanges>) {
        let State::Lost { wanted, .. } = &self.state else { return };
        let (wanted, build, modes) = (Arc::downgrade(wanted), self.build.clone(), self.modes.clone());
        let keep_trying = move || {
            if let Some(model) = build_at_last(&build, device, &modes, &wanted, lane) {
                pending.changes().push(Change::Restore(id, model));
            }
        };
        if let Err(error) = std::thread::Builder::new().name(format!("rebuild-{lane}")).spawn(keep_trying) {
            tracing::error!(lane, %error, "the model stays lost");
        }
    }
}

/// The model, once it can be built and runs; `None` if nobody wants it any more.
fn build_at_last(
    build: &Build,
    device: DeviceChoice,
    modes: &[Mode],
    wanted: &Weak<()>,
    lane: u32,
) -> Option<Box<dyn Model>> {
    let mut pause = FIRST_PAUSE;
    loop {
        std::thread::sleep(pause);
        if wanted.strong_count() == 0 {
            return None;
        }
        match self::build(build, device, modes) {
            Ok(model) => return Some(model),
            Err(error) => tracing::error!(lane, error = format!("{error:#}"), "the model stays lost"),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
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
