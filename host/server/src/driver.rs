//! The live driver: owns the scheduler and its clock, steps it, carries out what it says.
//!
//! Not a thread but a lock, held for one step: whoever brings an event steps the core with it. A thread of its own was
//! tried first, and waking it and being woken by it was most of what a small job cost. Now a device thread that is done
//! with a batch finds its next one in its own channel, and is never waited for. Only time needs a thread: the clock,
//! which sleeps until something is due though nothing came.
//!
//! Nobody waits under the lock, and nobody is woken under it: they would only have to wait for it.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mosel_core::{
    Action, Batch, Decider, DecisionId, End, Event, JobId, ModelId, Outcome, PolicyError, Scheduler, Snapshot,
    StrategyMatrix, TableId, Time,
};
use tokio::sync::oneshot;

use crate::event_sink::EventSink;
use crate::feedback::Feedback;
use crate::jobs::{Completion, DeferredWakeups, JobRecord, Jobs, PolicyTag, Rejection};
use crate::lane::LaneHandle;
use crate::metrics::Metrics;
use crate::planner_handle::PlannerHandle;
use crate::policies::installed::InstalledPolicy;
use crate::recorder::EventRecorder;
use crate::shared_catalog::SharedCatalog;
use crate::supervisor::Supervisor;

/// The only stepper of the core and the only reader of its clock. Shared by everyone who has something to tell it.
pub(crate) struct Driver {
    running: Mutex<Running>,
    alarm_moved: Condvar,
    clock: Instant,
    supervisor: Arc<Supervisor>,
}

/// What a driver works with.
pub(crate) struct DriverParts {
    /// The core.
    pub(crate) scheduler: Scheduler,
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
        });
        let clock = driver.clone();
        supervisor.spawn_vital("clock", move || clock.keep_time(), |_| {})?;
        Ok(driver)
    }

    /// A client submitted this job.
    pub(crate) fn submit(&self, record: &Arc<JobRecord>) -> DeferredWakeups {
        self.enter(|running, now| running.submit(record, now))
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

    /// Takes nothing new from here on; the answer comes when all that was accepted has ended, or was ended because it
    /// had not after this long. Then nothing moves any more.
    pub(crate) fn drain(&self, within: Duration) -> oneshot::Receiver<Drained> {
        let (done, drained) = oneshot::channel();
        drop(self.enter(|running, now| running.drain = Drain::Until(now + within, done)));
        drained
    }

    /// Does what is due. The clock does it by itself, as long as it lives.
    pub(crate) fn do_what_is_due(&self) {
        drop(self.enter(Running::keep_time));
    }

    /// Nobody can step the core any more: a step has panicked.
    pub(crate) fn is_broken(&self) -> bool {
        self.running.is_poisoned()
    }

    /// Asks the scheduler something. A question that panics takes only whoever asked with it: who looks changes nothing.
    pub(crate) fn query<T>(&self, question: impl FnOnce(&Scheduler, Time) -> T) -> T {
        let running = self.lock();
        let now = self.now();
        let answer = catch_unwind(AssertUnwindSafe(|| question(&running.parts.scheduler, now)));
        // not while the panic unwinds: that would poison the lock
        drop(running);
        answer.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The same, if nobody steps just now.
    pub(crate) fn try_query<T>(&self, question: impl FnOnce(&Scheduler, Time) -> T) -> Option<T> {
        let running = self.running.try_lock().ok()?;
        let now = self.now();
        let answer = catch_unwind(AssertUnwindSafe(|| question(&running.parts.scheduler, now)));
        drop(running);
        answer.ok()
    }

    /// Steps, then hands batches to their devices; what a device does not take has failed. Not by a call in itself: a
    /// lane whose thread is dead takes none of the batches of all its jobs.
    fn enter(&self, event: impl FnOnce(&mut Running, Time)) -> DeferredWakeups {
        let outbox = self.advance(event);
        self.deliver(outbox)
    }

    fn advance(&self, event: impl FnOnce(&mut Running, Time)) -> Outbox {
        let _sound = self.supervisor.fail_on_panic(BROKEN);
        let mut running = self.lock();
        let now = self.now();
        self.supervisor.checkpoint("step");
        event(&mut running, now);
        running.finish_drain(now);
        let outbox = std::mem::take(&mut running.outbox);
        let alarm_is_late = running.alarm_is_late();
        drop(running);
        if alarm_is_late {
            self.alarm_moved.notify_one();
        }
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
        let mut running = self.lock();
        while !running.stopped() {
            if running.parts.supervisor.wants_panic("clock") {
                // not under the lock: that is another case
                drop(running);
                self.supervisor.checkpoint("clock");
                return;
            }
            let now = self.now();
            running.keep_time(now);
            running.finish_drain(now);
            running.alarm = running.next_due();
            let outbox = std::mem::take(&mut running.outbox);
            if !outbox.is_empty() {
                drop(running);
                drop(self.deliver(outbox));
                running = self.lock();
                continue;
            }
            running = match running.alarm {
                None => self.alarm_moved.wait(running).expect(SOUND),
                Some(due) => self.alarm_moved.wait_timeout(running, due.since(self.now())).expect(SOUND).0,
            };
        }
    }

    fn now(&self) -> Time {
        Time::START + self.clock.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().expect(SOUND)
    }
}

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

pub(crate) const BROKEN: &str = "a step of the scheduler panicked, and its state is unknown";
/// If a step panics the scheduler's state is unknown, and nothing can be served with it.
const SOUND: &str = "no step of the core has panicked";

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

impl Outbox {
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.wakes.is_empty()
    }
}

enum Drain {
    No,
    Until(Time, oneshot::Sender<Drained>),
    Done,
}

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
            last_decision: DecisionId(0),
            policies,
            drain: Drain::No,
        }
    }

    fn submit(&mut self, record: &Arc<JobRecord>, now: Time) {
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
            Action::Run(batch) => self.run_batch(batch),
            Action::Decide(snapshot) => self.ask(snapshot),
            Action::Adopt(plan, jobs) => self.parts.policy.stats.adopted(plan, jobs.len()),
            Action::RefuseDecision(plan, error) => self.parts.policy.stats.refused(plan, &error),
            Action::Fallback(lane, moves) => self.parts.policy.stats.fell_back(lane, moves.len()),
            Action::GiveUp(_)
            | Action::KeepFloor(..)
            | Action::Suspect(..)
            | Action::Trust(_)
            | Action::LoseLane(_)
            | Action::Move(..) => {}
            Action::Finish(outcome) => self.finish(outcome, None, now),
            Action::WakeAt(time) => self.wake_at = Some(time),
        }
    }

    fn run_batch(&mut self, batch: Batch) {
        let record = self.live.get(&batch.job).cloned();
        let device = self.parts.devices.get(batch.lane.index()).cloned();
        match device.zip(record) {
            Some((device, record)) => self.outbox.batches.push((device, batch, record)),
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
        let planned_by = outcome.decisions.iter().filter_map(|decider| self.planned_by(*decider)).collect();
        let policy = self.parts.policy.tag.clone();
        self.parts.metrics.ended(&outcome);
        self.report_outcome(&outcome);
        let (arrival, failure) = {
            let mut progress = record.progress();
            (progress.arrival, progress.failure.take().or_else(|| progress.unanswered()))
        };
        let told = matches!(outcome.end, End::Failed | End::Partial);
        let reason = reason.or(failure.filter(|_| told));
        self.outbox
            .wakes
            .extend(self.parts.jobs.end(&record, Completion { arrival, outcome, policy, planned_by, reason }));
        self.forget_at.get_or_insert(now + self.parts.jobs.keep());
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
        if self.wake_at.take_if(|due| *due <= now).is_some() {
            self.step(now, Event::WakeUp);
        }
        if self.forget_at.is_some_and(|due| due <= now) {
            self.forget_at = self.parts.jobs.forget_old(now);
        }
    }

    /// When something will be due though nothing comes.
    fn next_due(&self) -> Option<Time> {
        let drain = match self.drain {
            Drain::Until(time, _) => Some(time),
            _ => None,
        };
        [self.wake_at, self.forget_at, drain].into_iter().flatten().min()
    }

    /// The clock sleeps past what is due next, or does not know that it may go.
    fn alarm_is_late(&self) -> bool {
        let late = |due: Time| self.alarm.is_none_or(|alarm| due < alarm);
        self.stopped() || self.next_due().is_some_and(late)
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
        let _ = done.send(Drained { given_up: left.len() });
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
