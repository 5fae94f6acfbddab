//! Device threads: one a lane, the only place where its models run.
//!
//! A model that panics, or whose backend fails, may be half changed: it is thrown away and built again before the
//! batch is reported as failed, so that what runs next runs on a sound one. One that cannot be built is lost, and the
//! core told so that no new job comes for it: batches that come nevertheless fail at once. Beside the lane, which other
//! models need, it is tried again after a second, then ever less often.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use mosel_core::{Batch, BatchReport, Event, LaneId, Mode, ModelId};
use mosel_models::{Answered, DeviceChoice, Model, ModelError, Request, isolate_failures};

use crate::event_sink::EventSink;
use crate::jobs::{Answer, DeferredWakeups, JobRecord};
use crate::lane::{Change, LaneState, LoadedModel, Work};
use crate::metrics::Metrics;
use crate::model_build::{Build, build, discard};
use crate::preparation::UsualPreparation;
use crate::supervisor::{Supervisor, words};

/// What a device thread is made of.
pub(crate) struct DeviceParts {
    /// Its number.
    pub(crate) lane: LaneId,
    /// Where its models run.
    pub(crate) device: DeviceChoice,
    /// Its models, by the ids that batches name them by, and how they will be run.
    pub(crate) builds: Vec<(ModelId, Build, Vec<Mode>)>,
    /// Where its batches come from.
    pub(crate) work: Receiver<Work>,
    /// What it shares with those who hold its handle.
    pub(crate) state: Arc<LaneState>,
    /// Where it reports.
    pub(crate) sink: Arc<dyn EventSink>,
    /// Where it is counted what fails.
    pub(crate) metrics: Arc<Metrics>,
    /// Who has to know when it dies.
    pub(crate) supervisor: Arc<Supervisor>,
    /// Held by the thread for as long as it lives.
    pub(crate) alive: Arc<()>,
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

/// Starts the device thread of a lane; returns once its models are there and warm. The thread ends when nobody can send
/// to it any more.
pub(crate) fn start(parts: DeviceParts) -> anyhow::Result<()> {
    spawn(parts, build_all).map(drop)
}

/// The same in the place of a thread that was given up. A model that cannot be built is lost, unless none can; says which
/// are there.
pub(crate) fn start_again(parts: DeviceParts) -> anyhow::Result<Vec<ModelId>> {
    spawn(parts, build_any)
}

type Builds = Vec<(ModelId, Build, Vec<Mode>)>;
type Slots = BTreeMap<ModelId, Slot>;

fn spawn(
    parts: DeviceParts,
    build: impl FnOnce(Builds, DeviceChoice) -> anyhow::Result<Slots> + Send + 'static,
) -> anyhow::Result<Vec<ModelId>> {
    let (ready, built) = sync_channel(1);
    let DeviceParts { lane, device, builds, work, state, sink, metrics, supervisor, alive } = parts;
    let died = {
        let (state, sink, metrics) = (state.clone(), sink.clone(), metrics.clone());
        move |why: &str| report_death(lane, &state, &*sink, &metrics, why)
    };
    let threads = supervisor.clone();
    let given_up = state.clone();
    let run = move || {
        let _alive = alive;
        match build(builds, device) {
            Ok(slots) => {
                for (id, slot) in slots.iter().filter(|(_, slot)| slot.is_lost()) {
                    slot.keep_trying(*id, lane, device, &state, &supervisor);
                }
                let there: Vec<ModelId> = slots.iter().filter(|(_, slot)| !slot.is_lost()).map(|(id, _)| *id).collect();
                state.models().extend(&there);
                let _ = ready.send(Ok(there));
                let name = name(lane);
                let usual = UsualPreparation::default();
                Device { lane, name, device, slots, usual, state, sink, metrics, supervisor }.run(&work);
            }
            Err(error) => {
                // a thread that never had the lane may end: whoever waits for this says what becomes of the server
                drop(state.die("its models could not be built"));
                let _ = ready.send(Err(error));
            }
        }
    };
    threads
        .spawn_vital_until(&name(lane), move || given_up.is_dead(), run, died)
        .context("starting a device thread")?;
    built.recv().map_err(|_| anyhow!("the thread of device {lane} died while it built its models"))?
}

fn name(lane: LaneId) -> String {
    format!("device-{lane}")
}

/// The thread of a lane has died: nothing is accepted for the lane any more, and what it had in hand has failed.
fn report_death(lane: LaneId, state: &LaneState, sink: &dyn EventSink, metrics: &Metrics, why: &str) {
    let given = state.die(why);
    let models = std::mem::take(&mut *state.models());
    for id in models {
        metrics.model_available(lane, false);
        drop(sink.handle(Event::ModelLost(lane, id)));
    }
    if let Some((batch, record)) = given {
        record.progress().failure = Some(why.to_owned());
        drop(sink.handle(Event::BatchFailed(batch.id)));
    }
}

/// Those that can be built; the error of the last one if none can.
fn build_any(builds: Builds, device: DeviceChoice) -> anyhow::Result<Slots> {
    let (mut slots, mut last) = (Slots::new(), None);
    for (id, build, modes) in builds {
        match self::build(&build, device, &modes) {
            Ok(model) => drop(slots.insert(id, Slot::of(LoadedModel { model, build, modes }))),
            Err(error) => {
                let state = State::Lost { why: format!("{error:#}"), wanted: Arc::default() };
                slots.insert(id, Slot { state, build, modes });
                last = Some(error);
            }
        }
    }
    match last {
        Some(error) if slots.values().all(Slot::is_lost) => Err(error),
        _ => Ok(slots),
    }
}

fn build_all(builds: Builds, device: DeviceChoice) -> anyhow::Result<Slots> {
    let slot = |(id, build, modes): (ModelId, Build, Vec<Mode>)| {
        let model = self::build(&build, device, &modes)?;
        Ok((id, Slot::of(LoadedModel { model, build, modes })))
    };
    builds.into_iter().map(slot).collect()
}

struct Device {
    lane: LaneId,
    /// What its thread is called.
    name: String,
    device: DeviceChoice,
    slots: BTreeMap<ModelId, Slot>,
    usual: UsualPreparation,
    state: Arc<LaneState>,
    sink: Arc<dyn EventSink>,
    metrics: Arc<Metrics>,
    supervisor: Arc<Supervisor>,
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
            self.supervisor.checkpoint(&self.name);
            if self.state.is_dead() {
                return;
            }
            if matches!(work, Work::ApplyChanges) {
                self.state.pending.heard();
            }
            self.apply_changes();
            let Work::Run(batch, record) = work else { continue };
            if batch.expected > WORTH_WAITING {
                drop(std::mem::take(&mut wakes));
            }
            let event = match self.serve(&batch, &record) {
                Ok(report) => Event::BatchDone(batch.id, report),
                Err(_) if self.state.is_dead() => return,
                Err(reason) => {
                    tracing::warn!(job = %batch.job, batch = batch.id.0, %reason, "a batch failed");
                    record.progress().failure = Some(reason);
                    Event::BatchFailed(batch.id)
                }
            };
            // given up meanwhile: nobody wants to know, and another thread has the lane
            if !self.state.reported() {
                return;
            }
            wakes.extend(self.sink.handle(event));
            if wakes.len() >= MOST_WAITING {
                drop(std::mem::take(&mut wakes));
            }
        }
    }

    /// Takes in what changed about the models.
    fn apply_changes(&mut self) {
        for change in self.state.pending.take() {
            match change {
                Change::Load(id, model) => {
                    self.state.models().insert(id);
                    discard(self.slots.insert(id, Slot::of(model)));
                }
                Change::Unload(id) => {
                    self.state.models().remove(&id);
                    let gone = self.slots.remove(&id);
                    self.usual.forget(id);
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
                Err(RecvTimeoutError::Timeout) => self.apply_changes(),
                next => return next.ok(),
            }
        }
        work.recv().ok()
    }

    /// Takes a lost model back, unless it was let go meanwhile.
    fn restore(&mut self, id: ModelId, model: Box<dyn Model>) {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.is_lost()) else { return discard(model) };
        slot.state = State::Ready(model);
        self.state.models().insert(id);
        tracing::warn!(lane = self.lane.0, "the model is there again");
        self.metrics.model_available(self.lane, true);
        drop(self.sink.handle(Event::ModelRestored(self.lane, id)));
    }

    /// Runs the batch and stores its answers; says what came of it, or why the model did not answer.
    fn serve(&mut self, batch: &Batch, record: &JobRecord) -> Result<BatchReport, String> {
        let requests = record.start().ok_or("the job has ended meanwhile")?;
        let first = batch.first as usize;
        let chosen: Vec<&Request> = requests[first..first + batch.requests as usize].iter().collect();
        let slot = self.slots.get_mut(&batch.model).ok_or("the model is not on this device")?;
        let model = match &mut slot.state {
            State::Ready(model) => model,
            State::Lost { why, .. } => return Err(format!("the model failed, and cannot be built again: {why}")),
        };
        let begin = Instant::now();
        let answered = catch_unwind(AssertUnwindSafe(|| isolate_failures(model.as_mut(), &chosen, batch.mode)));
        let measured = begin.elapsed();
        if self.state.is_dead() {
            return Err("the thread was given up meanwhile".into());
        }
        let Answered { answers, batches, prepare } = match answered {
            Ok(Ok(answered)) => answered,
            Ok(Err(error @ ModelError::Backend(_))) => return Err(self.lost(batch, &error.to_string())),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(panic) => return Err(self.lost(batch, &format!("the model panicked: {}", words(&*panic)))),
        };
        if batches > 1 {
            tracing::warn!(batch = batch.id.0, batches, "memory ran out or a request failed: run in parts");
        }
        if answers.len() != chosen.len() {
            return Err(format!("the model gave {} answers to {} requests", answers.len(), chosen.len()));
        }
        let mode = batch.mode;
        let answered = answers.iter().filter(|answer| answer.is_ok()).count() as u32;
        self.metrics.answered(&answers, prepare);
        self.metrics.charged(record.request.tenant.as_deref(), measured);
        record.answer(first, prepare, answers.into_iter().map(|output| Answer { mode, output }));
        let usual = match answered {
            // what was not decoded was not computed either
            0 => Duration::ZERO,
            _ => self.usual.of_batch((batch.model, mode), prepare, batch.requests),
        };
        // the usual preparation is in the profile, so it belongs to what is compared with that
        let prepare = prepare.saturating_sub(usual);
        Ok(BatchReport { compute: measured.saturating_sub(prepare), prepare, answered })
    }

    /// Puts a fresh model in the place of one that failed, or tells that it is lost; says what happened.
    fn lost(&mut self, batch: &Batch, reason: &str) -> String {
        self.metrics.model_lost(self.lane);
        let begin = Instant::now();
        let Some(slot) = self.slots.get_mut(&batch.model) else { return reason.to_owned() };
        let building = self.state.build_time.begin();
        let rebuilt = slot.rebuild(self.device);
        drop(building);
        if self.state.is_dead() {
            // another thread has the lane, and its own models
            return reason.to_owned();
        }
        match rebuilt {
            Ok(()) => {
                let ms = begin.elapsed().as_millis() as u64;
                tracing::warn!(lane = self.lane.0, ms, "the model is rebuilt");
            }
            Err(error) => {
                tracing::error!(lane = self.lane.0, %error, "the model is lost");
                self.state.models().remove(&batch.model);
                slot.keep_trying(batch.model, self.lane, self.device, &self.state, &self.supervisor);
                self.metrics.model_available(self.lane, false);
                drop(self.sink.handle(Event::ModelLost(self.lane, batch.model)));
            }
        }
        reason.to_owned()
    }
}

impl Slot {
    fn of(LoadedModel { model, build, modes }: LoadedModel) -> Slot {
        Slot { state: State::Ready(model), build, modes }
    }

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
    fn keep_trying(
        &self,
        id: ModelId,
        lane: LaneId,
        device: DeviceChoice,
        state: &Arc<LaneState>,
        supervisor: &Arc<Supervisor>,
    ) {
        let State::Lost { wanted, .. } = &self.state else { return };
        let (wanted, build, modes) = (Arc::downgrade(wanted), self.build.clone(), self.modes.clone());
        let state = state.clone();
        let keep_trying = move || {
            if let Some(model) = build_at_last(&build, device, &modes, &wanted, lane) {
                state.pending.add(Change::Restore(id, model));
            }
        };
        if let Err(error) = supervisor.spawn(&format!("rebuild-{lane}"), keep_trying) {
            tracing::error!(lane = lane.0, %error, "the model stays lost");
        }
    }
}

/// The model, once it can be built and runs; `None` if nobody wants it any more.
fn build_at_last(
    build: &Build,
    device: DeviceChoice,
    modes: &[Mode],
    wanted: &Weak<()>,
    lane: LaneId,
) -> Option<Box<dyn Model>> {
    let mut pause = FIRST_PAUSE;
    loop {
        std::thread::sleep(pause);
        if wanted.strong_count() == 0 {
            return None;
        }
        match self::build(build, device, modes) {
            Ok(model) => return Some(model),
            Err(error) => tracing::error!(lane = lane.0, error = format!("{error:#}"), "the model stays lost"),
        }
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
