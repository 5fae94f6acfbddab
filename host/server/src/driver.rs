//! The live driver: owns the scheduler and its clock, steps it, carries out what it says.
//!
//! Not a thread but a lock, held for one step: whoever brings an event steps the core with it. A thread of its own was
//! tried first, and waking it and being woken by it was most of what a small job cost. Now a device thread that is done
//! with a batch finds its next one in its own channel, and is never waited for. Only time needs a thread: the clock,
//! which sleeps until something is due though nothing came.
//!
//! Nobody waits under the lock, and nobody is woken under it: they would only have to wait for it.
//!
//! A step that panics leaves the scheduler in an unknown state: all jobs that are there end as failed, with words, nothing is
//! stepped any more, and the server stops. The lock itself is never poisoned, since no panic unwinds through whoever holds it.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::event_sink::EventSink;
use crate::feedback::Feedback;
use crate::jobs::{Completion, DeferredWakeups, JobRecord, Jobs, PolicyTag, Rejection};
use crate::lane::LaneHandle;
use crate::metrics::Metrics;
use crate::planner_handle::PlannerHandle;
use crate::policies::installed::InstalledPolicy;
use crate::pulse::{Pulse, Silence};
use crate::recorder::EventRecorder;
use crate::shared_catalog::SharedCatalog;
use crate::supervisor::{Supervisor, words};
use mosel_core::{
    Action, Batch, Decider, DecisionId, End, Event, JobId, LaneId, ModelId, Outcome, PolicyError, Scheduler, Snapshot,
    StrategyMatrix, TableId, Time,
};

/// The only stepper of the core and the only reader of its clock. Shared by everyone who has something to tell it.
pub(crate) struct Driver {
    running: Mutex<Running>,
    alarm_moved: Condvar,
    clock: Instant,
    supervisor: Arc<Supervisor>,
    /// The signs of life of the clock.
    pulse: Arc<Pulse>,
    /// A step has panicked.
    broken: AtomicBool,
}

/// What a driver works with.
pub(crate) struct DriverParts {
    /// The core.
    pub(crate) scheduler: Scheduler,
    /// Who is told of lanes whose device threads hang; `None` once the driver has stopped.
    pub(crate) lost_lanes: Option<Sender<LaneId>>,
    /// Where inputs and outputs are.
    pub(crate) jobs: Arc<Jobs>,
    /// One device thread a lane.
    pub(crate) devices: Vec<LaneHandle>,
    /// What policies are told of models; grows before the core's does.
    pub(crate) catalog: Arc<SharedCatalog>,
    /// The planner thread; `None` once the driver has stopped.
    pub(crate) planner: Option<PlannerHandle>,
    /// The policy in place.
    pub(crate) policy: InstalledPolicy,
    /// Where policies are told what became of jobs.
    pub(crate) feedback: Arc<Feedback>,
    /// Where it is counted what happens.
    pub(crate) metrics: Arc<Metrics>,
    /// Where it is written down.
    pub(crate) recorder: Arc<EventRecorder>,
    /// Who has to know when a step panics.
    pub(crate) supervisor: Arc<Supervisor>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained {
    /// Jobs that were ended because time was up.
    pub(crate) given_up: usize,
}

impl Driver {
    /// Starts the clock, and with it the server's time.
    pub(crate) fn start(parts: DriverParts) -> std::io::Result<Arc<Driver>> {
        let supervisor = parts.supervisor.clone();
        let driver = Arc::new(Driver {
            running: Mutex::new(Running::new(parts)),
            alarm_moved: Condvar::new(),
            clock: Instant::now(),
            supervisor: supervisor.clone(),
            pulse: supervisor.pulse("clock", Silence::Vital(CLOCK_IS_LOST)),
            broken: AtomicBool::new(false),
        });
        let clock = driver.clone();
        supervisor.spawn_vital("clock", move || clock.keep_time(), |_| {})?;
        Ok(driver)
    }

    /// A client submitted this job.
    pub(crate) fn submit(&self, record: &Arc<JobRecord>) -> DeferredWakeups {
        let mut wakes = self.enter(|running, now| running.submit(record, now));
        if self.is_broken() && record.progress().completion().is_none() {
            let mut running = self.lock();
            let ended = catch_unwind(AssertUnwindSafe(|| {
                running.end(record, given_up(record, self.now()), Some(BROKEN.into()));
            }));
            drop(ended);
            wakes.extend(std::mem::take(&mut running.outbox).wakes);
        }
        wakes
    }

    /// A client gave this job up.
    pub(crate) fn cancel(&self, job: JobId) -> DeferredWakeups {
        self.handle(Event::Cancel(job))
    }

    /// These models can be served from now on: every lane they are for has them. Their ids follow the last one's.
    pub(crate) fn load(&self, models: Vec<Arc<StrategyMatrix>>) {
        drop(self.enter(|running, now| {
            running.parts.catalog.add(&models);
            running.step(now, Event::ModelsLoaded(models));
            // so that the policy learns of them while nobody waits for it; if there is no room, with the next question
            running.parts.planner.as_ref().map(PlannerHandle::wake);
        }));
    }

    /// This model takes no new jobs.
    pub(crate) fn retire(&self, id: ModelId) {
        drop(self.handle(Event::ModelRetired(id)));
    }

    /// Some job of this model waits or runs, or is being offered.
    pub(crate) fn has_jobs_of(&self, id: ModelId) -> bool {
        self.lock().live.values().any(|record| record.request.model == id)
    }

    /// Takes nothing new from here on; `done` is told when all that was accepted has ended, or was ended because it had not
    /// after this long. Then nothing moves any more.
    pub(crate) fn drain(&self, within: Duration, done: SyncSender<Drained>) {
        drop(self.enter(|running, now| running.drain = Drain::Until(now + within, done)));
    }

    /// Does what is due in the place of a clock that gives no sign of life; false if somebody holds the lock.
    pub(crate) fn try_what_is_due(&self) -> bool {
        let Some(running) = self.try_lock() else { return false };
        drop(self.deliver(self.step_with(running, Running::keep_time)));
        true
    }

    /// Nobody can step the core any more: a step has panicked.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Asks the scheduler something. A question that panics takes only whoever asked with it: who looks changes nothing.
    pub(crate) fn query<T>(&self, question: impl FnOnce(&Scheduler, Time) -> T) -> T {
        self.look(self.lock(), question)
    }

    fn look<T>(&self, running: MutexGuard<'_, Running>, question: impl FnOnce(&Scheduler, Time) -> T) -> T {
        let now = self.now();
        let answer = catch_unwind(AssertUnwindSafe(|| question(&running.parts.scheduler, now)));
        drop(running);
        answer.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The same, if nobody steps just now, and the question does not panic.
    pub(crate) fn try_query<T>(&self, question: impl FnOnce(&Scheduler, Time) -> T) -> Option<T> {
        let running = self.try_lock()?;
        catch_unwind(AssertUnwindSafe(|| self.look(running, question))).ok()
    }

    /// Steps, then hands batches to their devices; what a device does not take has failed. Not by a call in itself: a
    /// lane whose thread is dead takes none of the batches of all its jobs.
    fn enter(&self, event: impl FnOnce(&mut Running, Time)) -> DeferredWakeups {
        let outbox = self.advance(event);
        self.deliver(outbox)
    }

    fn advance(&self, event: impl FnOnce(&mut Running, Time)) -> Outbox {
        self.step_with(self.lock(), event)
    }

    fn step_with(&self, mut running: MutexGuard<'_, Running>, event: impl FnOnce(&mut Running, Time)) -> Outbox {
        if self.is_broken() {
            return Outbox::default();
        }
        let now = self.now();
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            running.notice_pause(now);
            event(&mut running, now);
            running.finish_drain(now);
        }));
        if let Err(panic) = stepped {
            tracing::error!("a step of the scheduler panicked: {}", words(&*panic));
            return self.break_down(running, now);
        }
        let outbox = std::mem::take(&mut running.outbox);
        let alarm_is_late = running.alarm_is_late(now);
        if alarm_is_late {
            running.alarm = running.next_due(now);
            self.expect_the_clock(running.alarm, now);
        }
        drop(running);
        if alarm_is_late {
            self.alarm_moved.notify_one();
        }
        outbox
    }

    /// Nothing is stepped any more, and whoever waits for a job is told so.
    fn break_down(&self, mut running: MutexGuard<'_, Running>, now: Time) -> Outbox {
        self.broken.store(true, Ordering::Release);
        self.supervisor.fail(BROKEN);
        running.outbox.batches.clear();
        // one by one: what was broken may break this, too
        let left: Vec<Arc<JobRecord>> = running.live.drain().map(|(_, record)| record).collect();
        for record in &left {
            drop(catch_unwind(AssertUnwindSafe(|| running.end(record, given_up(record, now), Some(BROKEN.into())))));
        }
        let outbox = std::mem::take(&mut running.outbox);
        if let Drain::Until(_, done) = std::mem::replace(&mut running.drain, Drain::Done) {
            let _ = done.try_send(Drained { given_up: left.len() });
        }
        drop(running);
        self.alarm_moved.notify_one();
        outbox
    }

    fn deliver(&self, Outbox { batches, mut wakes }: Outbox) -> DeferredWakeups {
        let mut batches = VecDeque::from(batches);
        while let Some((device, batch, record)) = batches.pop_front() {
            let Batch { id, lane, .. } = batch;
            if !device.run(batch, record) {
                tracing::error!(batch = id.0, lane = lane.0, "the device did not take a batch");
                let next = self.advance(|running, now| running.step(now, Event::BatchFailed(id)));
                batches.extend(next.batches);
                wakes.extend(next.wakes);
            }
        }
        wakes
    }

    /// Does what is due though nothing came, until the driver has stopped.
    fn keep_time(&self) {
        loop {
            if self.supervisor.wants_fault("clock") {
                // not under the lock: that is another case
                self.supervisor.checkpoint("clock");
            }
            self.pulse.within(CLOCK_IS_LATE, "does what is due");
            drop(self.enter(Running::keep_time));
            let mut running = self.lock();
            if running.stopped() || self.is_broken() {
                self.pulse.idle();
                return;
            }
            let now = self.now();
            let due = running.next_due(now);
            running.alarm = due;
            self.expect_the_clock(due, now);
            match due {
                None => drop(self.alarm_moved.wait(running).unwrap_or_else(PoisonError::into_inner)),
                Some(due) => {
                    let left = due.since(now);
                    drop(self.alarm_moved.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// The clock is to be heard of once this is due.
    fn expect_the_clock(&self, due: Option<Time>, now: Time) {
        match due {
            None => self.pulse.idle(),
            Some(due) => self.pulse.within(due.since(now) + CLOCK_IS_LATE, "sleeps until something is due"),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time::START + self.clock.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Running>> {
        match self.running.try_lock() {
            Ok(running) => Some(running),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The clock may be so much later than it wanted to be.
const CLOCK_IS_LATE: Duration = Duration::from_secs(1);
/// A clock that is silent for so long does not come back: the server stops.
const CLOCK_IS_LOST: Duration = Duration::from_secs(10);

impl EventSink for Driver {
    fn handle(&self, event: Event) -> DeferredWakeups {
        self.enter(|running, now| running.step(now, event))
    }

    fn policy_installed(&self, policy: InstalledPolicy, eager: bool) {
        drop(self.enter(|running, now| running.change_policy(policy, eager, now)));
    }

    fn awaits(&self, question: DecisionId) -> bool {
        self.query(|scheduler, _| scheduler.awaits(question))
    }
}

/// If a step panics nothing can be served with the scheduler any more.
pub(crate) const BROKEN: &str = "a step of the scheduler panicked, and its state is unknown";

struct Running {
    parts: DriverParts,
    live: HashMap<JobId, Arc<JobRecord>>,
    /// Events that were caused by carrying out actions.
    due: VecDeque<Event>,
    outbox: Outbox,
    wake_at: Option<Time>,
    forget_at: Option<Time>,
    /// What the clock sleeps until.
    alarm: Option<Time>,
    /// The clock looks in every [`TICK`] until then, so that it is noticed when nothing ran for a while.
    ticks_until: Time,
    /// When somebody was here last.
    touched: Time,
    /// Why a lane was lost in the step that is being carried out.
    lane_lost: Option<String>,
    last_decision: DecisionId,
    /// Who was in place from which plan on; the latest last.
    policies: VecDeque<(DecisionId, Arc<PolicyTag>)>,
    drain: Drain,
}

/// What is handed on when the lock is free.
#[derive(Default)]
struct Outbox {
    batches: Vec<(LaneHandle, Batch, Arc<JobRecord>)>,
    wakes: DeferredWakeups,
}

enum Drain {
    No,
    Until(Time, SyncSender<Drained>),
    Done,
}

/// How often the clock looks in while batches run, and for [`TICKS_FOR`] after the last was started.
const TICK: Duration = Duration::from_millis(50);
const TICKS_FOR: Duration = Duration::from_secs(1);
/// A clock that wakes up so much later than it asked, while nobody else was here, slept with the whole process: it was stopped,
/// or its machine was.
const PAUSE: Duration = Duration::from_millis(250);

/// Policy changes a certificate can look back on.
const POLICIES_REMEMBERED: usize = 64;

impl Running {
    fn new(parts: DriverParts) -> Running {
        let policies = VecDeque::from([(DecisionId(0), parts.policy.tag.clone())]);
        Running {
            parts,
            live: HashMap::new(),
            due: VecDeque::new(),
            outbox: Outbox::default(),
            wake_at: None,
            forget_at: None,
            alarm: None,
            ticks_until: Time::START,
            touched: Time::START,
            lane_lost: None,
            last_decision: DecisionId(0),
            policies,
            drain: Drain::No,
        }
    }

    fn submit(&mut self, record: &Arc<JobRecord>, now: Time) {
        self.parts.supervisor.checkpoint("step");
        if !matches!(self.drain, Drain::No) {
            self.outbox.wakes.extend(self.parts.jobs.reject(record, Rejection::Draining));
            return;
        }
        let job = record.arrive(now);
        self.live.insert(job.id, record.clone());
        self.parts.recorder.named(job.id, record.wire_id);
        self.step(now, Event::Submit(job));
    }

    fn step(&mut self, now: Time, event: Event) {
        if self.stopped() {
            return;
        }
        self.due.push_back(event);
        while let Some(event) = self.due.pop_front() {
            let DriverParts { scheduler, recorder, .. } = &mut self.parts;
            let actions = scheduler.step(now, event.clone());
            recorder.step(scheduler, now, event, &actions);
            for action in actions {
                self.carry_out(action, now);
            }
            self.lane_lost = None;
        }
    }

    fn carry_out(&mut self, action: Action, now: Time) {
        match action {
            Action::Accept(accepted) => {
                self.parts.metrics.accepted();
                if let Some(record) = self.live.get(&accepted.job) {
                    self.outbox.wakes.extend(record.accept(accepted));
                }
            }
            Action::Refuse(job, refusal) => {
                self.parts.metrics.rejected(&refusal);
                if let Some(record) = self.live.remove(&job) {
                    self.outbox.wakes.extend(self.parts.jobs.reject(&record, Rejection::Core(refusal, now)));
                }
            }
            Action::Run(batch) => self.run_batch(batch, now),
            Action::Decide(snapshot) => self.ask(snapshot),
            Action::Adopt(plan, jobs) => self.parts.policy.stats.adopted(plan, jobs.len()),
            Action::RefuseDecision(plan, error) => self.parts.policy.stats.refused(plan, &error),
            Action::Fallback(lane, moves) => self.parts.policy.stats.fell_back(lane, moves.len()),
            Action::GiveUp(_) | Action::KeepFloor(..) | Action::Move(..) => {}
            Action::Suspect(lane, suspicion) => {
                self.parts.metrics.lane_suspect(lane, true);
                tracing::error!(lane = lane.0, %suspicion, "nothing new is promised on the lane");
            }
            Action::Trust(lane) => {
                self.parts.metrics.lane_suspect(lane, false);
                tracing::warn!(lane = lane.0, "jobs are promised on the lane again");
            }
            Action::LoseLane(lane) => self.lose_lane(lane),
            Action::Finish(outcome) => self.finish(outcome, None, now),
            Action::WakeAt(time) => self.wake_at = Some(time),
        }
    }

    /// The thread of the lane hangs: whatever it may report yet is of no interest, and somebody starts another one.
    fn lose_lane(&mut self, lane: LaneId) {
        let why = format!("a batch on lane {lane} did not end, and its device is given up");
        tracing::error!(lane = lane.0, "{why}");
        self.parts.metrics.lane_lost(lane);
        self.parts.metrics.lane_suspect(lane, true);
        if let Some(device) = self.parts.devices.get(lane.index()) {
            device.abandon(&why);
        }
        self.lane_lost = Some(why);
        let _ = self.parts.lost_lanes.as_ref().map(|lanes| lanes.send(lane));
    }

    fn run_batch(&mut self, batch: Batch, now: Time) {
        let record = self.live.get(&batch.job).cloned();
        let device = self.parts.devices.get(batch.lane.index()).cloned();
        match device.zip(record) {
            Some((device, record)) => {
                self.ticks_until = now + TICKS_FOR;
                self.outbox.batches.push((device, batch, record));
            }
            None => self.due.push_back(Event::BatchFailed(batch.id)),
        }
    }

    fn ask(&mut self, snapshot: Snapshot) {
        let plan = snapshot.decision;
        self.last_decision = plan;
        let asked = self.parts.planner.as_ref().is_some_and(|planner| planner.ask(snapshot));
        if !asked {
            let reason = PolicyError::Unavailable("it still thinks about an earlier question".into());
            self.due.push_back(Event::Decided(plan, Err(reason)));
        }
    }

    fn change_policy(&mut self, policy: InstalledPolicy, eager: bool, now: Time) {
        if self.policies.len() == POLICIES_REMEMBERED {
            self.policies.pop_front();
        }
        self.policies.push_back((DecisionId(self.last_decision.0 + 1), policy.tag.clone()));
        self.parts.recorder.policy(now, policy.tag.clone());
        self.parts.policy = policy;
        self.step(now, Event::PolicyChanged { eager });
    }

    fn finish(&mut self, outcome: Outcome, reason: Option<String>, now: Time) {
        let Some(record) = self.live.remove(&outcome.job) else { return };
        self.end(&record, outcome, reason);
        self.forget_at.get_or_insert(now + self.parts.jobs.keep());
    }

    fn end(&mut self, record: &JobRecord, outcome: Outcome, reason: Option<String>) {
        let planned_by = outcome.decisions.iter().filter_map(|decider| self.planned_by(*decider)).collect();
        let policy = self.parts.policy.tag.clone();
        self.parts.metrics.ended(&outcome);
        self.report_outcome(&outcome);
        let (arrival, failure) = {
            let mut progress = record.progress();
            (progress.arrival, progress.failure.take().or_else(|| progress.unanswered()))
        };
        // who fails in the step in which a lane was lost had no other lane to go to
        let failure = failure.or_else(|| self.lane_lost.clone());
        let told = matches!(outcome.end, End::Failed | End::Partial);
        let reason = reason.or(failure.filter(|_| told));
        self.outbox
            .wakes
            .extend(self.parts.jobs.end(record, Completion { arrival, outcome, policy, planned_by, reason }));
    }

    /// Keeps the outcome for policies that want to know. The planner is woken if there is room for a word to it: never
    /// is a question kept out by that.
    fn report_outcome(&self, outcome: &Outcome) {
        let feedback = &self.parts.feedback;
        feedback.put(outcome);
        if feedback.tell() {
            let told = self.parts.planner.as_ref().is_some_and(PlannerHandle::wake);
            if !told {
                feedback.not_told();
            }
        }
    }

    fn planned_by(&self, decider: Decider) -> Option<(DecisionId, Arc<PolicyTag>)> {
        let Decider::Policy(plan) = decider else { return None };
        let (_, policy) = self.policies.iter().rev().find(|(first, _)| *first <= plan)?;
        Some((plan, policy.clone()))
    }

    /// Does what is due at this time though nothing came.
    fn keep_time(&mut self, now: Time) {
        // while a model is built anew nothing is on its device; the others' batches are looked for so much later, too
        let built = self.parts.devices.iter().map(LaneHandle::take_build_time).max().unwrap_or_default();
        if !built.is_zero() {
            self.step(now, Event::Paused(built));
        }
        if self.wake_at.take_if(|due| *due <= now).is_some() {
            self.step(now, Event::WakeUp);
        }
        if self.forget_at.is_some_and(|due| due <= now) {
            self.forget_at = self.parts.jobs.forget_old(now);
        }
    }

    /// If nobody was here though the clock wanted to be, the whole process did not run: it was stopped, or its machine was. The
    /// core learns of it before anything else: a batch that seems overdue was not on the device for so long.
    fn notice_pause(&mut self, now: Time) {
        let before = std::mem::replace(&mut self.touched, now);
        let Some(alarm) = self.alarm else { return };
        let gap = now.since(alarm.max(before));
        if gap > PAUSE {
            tracing::warn!(ms = gap.as_millis() as u64, "the process did not run for a while");
            self.step(now, Event::Paused(gap));
        }
    }

    /// When something will be due though nothing comes.
    fn next_due(&self, now: Time) -> Option<Time> {
        let drain = match self.drain {
            Drain::Until(time, _) => Some(time),
            _ => None,
        };
        let tick = (self.ticks_until > now || !self.live.is_empty()).then_some(now + TICK);
        [self.wake_at, self.forget_at, drain, tick].into_iter().flatten().min()
    }

    /// The clock sleeps past what is due next, or does not know that it may go.
    fn alarm_is_late(&self, now: Time) -> bool {
        let late = |due: Time| self.alarm.is_none_or(|alarm| due < alarm);
        self.stopped() || self.next_due(now).is_some_and(late)
    }

    fn stopped(&self) -> bool {
        matches!(self.drain, Drain::Done)
    }

    /// Once nothing is left, or time is up: ends what is left, lets the other threads go, and says so.
    fn finish_drain(&mut self, now: Time) {
        match &self.drain {
            Drain::Until(until, _) if self.live.is_empty() || *until <= now => {}
            _ => return,
        }
        let Drain::Until(_, done) = std::mem::replace(&mut self.drain, Drain::Done) else { return };
        let left: Vec<Arc<JobRecord>> = self.live.values().cloned().collect();
        for record in &left {
            let reason = "the server stopped before the job was served".into();
            self.finish(given_up(record, now), Some(reason), now);
        }
        self.parts.supervisor.stop();
        self.parts.devices.clear();
        self.parts.planner = None;
        self.parts.lost_lanes = None;
        // there is room for the one answer
        let _ = done.try_send(Drained { given_up: left.len() });
    }
}

fn given_up(record: &JobRecord, now: Time) -> Outcome {
    let arrival = record.progress().arrival;
    Outcome {
        job: record.id,
        end: End::Failed,
        finish: now,
        deadline: arrival + record.request.deadline,
        min_accuracy: record.request.min_accuracy,
        mix: Vec::new(),
        accuracy: None,
        answered: 0,
        requests: record.request.requests,
        started: None,
        device_time: Duration::ZERO,
        expected_time: Duration::ZERO,
        last_choice: (TableId(0), 0),
        decisions: Vec::new(),
    }
}
