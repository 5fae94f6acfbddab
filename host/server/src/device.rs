//! Device threads: one a lane, the only place where its models run.
//!
//! A model that panics, or whose backend fails, may be half changed: it is thrown away and built again before the
//! batch is reported as failed, so that what runs next runs on a sound one. One that cannot be built is lost, and the
//! core told so that no new job comes for it: batches that come nevertheless fail at once, and it is tried again after a
//! second, then ever less often.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
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
    state: State,
    build: Build,
}

enum State {
    Ready(Box<dyn Model>),
    /// It failed, and could not be built again.
    Lost {
        /// When it is tried again.
        retry: Instant,
        /// How long it was left alone before that.
        pause: Duration,
        why: String,
    },
}

/// A lost model is tried again after so long, then after twice as long, and so on up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
        self.change(Change::Load(id, Slot { state: State::Ready(model), build }));
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
        Ok((id, Slot { state: State::Ready(model), build }))
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
        while let Some(work) = self.next(work, &mut wakes) {
            if matches!(work, Work::Look) {
                self.desk.told.store(false, Ordering::Release);
            }
            self.look();
            self.retry();
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
                Change::Unload(id) => {
                    let gone = self.slots.remove(&id);
                    if gone.as_ref().is_some_and(|slot| slot.retry_at().is_some()) {
                        self.metrics.model_available(self.lane, true);
                    }
                    discard(gone);
                }
            }
        }
    }

    /// The next work; before the thread goes to sleep, everybody is woken. While a model is lost it sleeps no longer than
    /// until that is due to be tried again.
    fn next(&mut self, work: &Receiver<Work>, wakes: &mut Wakes) -> Option<Work> {
        if let Ok(next) = work.try_recv() {
            return Some(next);
        }
        drop(std::mem::take(wakes));
        loop {
            let Some(at) = self.slots.values().filter_map(Slot::retry_at).min() else { return work.recv().ok() };
            match work.recv_timeout(at.saturating_duration_since(Instant::now())) {
                Ok(next) => return Some(next),
                Err(RecvTimeoutError::Timeout) => self.retry(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// Tries to build those lost models again that are due.
    fn retry(&mut self) {
        let now = Instant::now();
        for (id, slot) in &mut self.slots {
            if slot.retry_at().is_none_or(|at| at > now) {
                continue;
            }
            match slot.restore(self.device) {
                Ok(()) => {
                    tracing::warn!(lane = self.lane, "the model is there again");
                    self.metrics.model_available(self.lane, true);
                    drop(self.driver.take(Event::ModelRestored(self.lane, *id)));
                }
                Err(error) => tracing::error!(lane = self.lane, %error, "the model stays lost"),
            }
        }
    }

    /// Runs the batch and stores its answers; says how long the model took, or why it did not answer.
    fn serve(&mut self, batch: &Batch, entry: &Entry) -> Result<Duration, String> {
        let requests = entry.start().ok_or("the job has ended meanwhile")?;
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
        entry.answer(first, outputs.into_iter().map(|output| Answer { mode, output }));
        Ok(measured)
    }

    /// Puts a fresh model in the place of one that failed, or tells that it is lost; says what happened.
    fn lost(&mut self, batch: &Batch, reason: &str) -> String {
        self.metrics.model_lost(self.lane);
        let begin = Instant::now();
        if let Some(slot) = self.slots.get_mut(&batch.model) {
            match slot.restore(self.device) {
                Ok(()) => {
                    let ms = begin.elapsed().as_millis() as u64;
                    tracing::warn!(lane = self.lane, ms, "the model is rebuilt");
                }
                Err(error) => {
                    tracing::error!(lane = self.lane, %error, "the model is lost");
                    self.metrics.model_available(self.lane, false);
                    drop(self.driver.take(Event::ModelLost(self.lane, batch.model)));
                }
            }
        }
        reason.to_owned()
    }
}

impl Slot {
    /// When it is due to be built again; `None` for a model that is there.
    fn retry_at(&self) -> Option<Instant> {
        match self.state {
            State::Ready(_) => None,
            State::Lost { retry, .. } => Some(retry),
        }
    }

    /// Builds the model anew, in place of one that is lost or that has just failed; if it cannot be built, it is lost.
    fn restore(&mut self, device: DeviceChoice) -> Result<(), String> {
        let pause = match self.state {
            State::Ready(_) => FIRST_PAUSE,
            State::Lost { pause, .. } => (2 * pause).min(LONGEST_PAUSE),
        };
        let lost = |why| State::Lost { retry: Instant::now() + pause, pause, why };
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
}

/// Drops a model: one that is broken may panic at that, too.
fn discard<T>(gone: T) {
    drop(catch_unwind(AssertUnwindSafe(|| drop(gone))));
}

fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("without a message")
}
