//! The live driver: one thread that owns the scheduler, reads the clock, steps the core and carries out what it says.
//!
//! Nobody else steps the core and nobody else reads its clock. What the driver hands on never waits for an answer:
//! batches go to a device thread that is idle, questions to a planner that has room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mosel_core::{Action, Batch, Decider, End, Event, JobId, Outcome, PlanId, PolicyError, Scheduler, Snapshot, Time};
use tokio::sync::oneshot;

use crate::device::Work;
use crate::jobs::{Ending, Entry, Jobs, PolicyTag, Turned};
use crate::planner::{Order, PolicyStats};

/// Something for the driver. Everything comes through one bounded channel.
pub enum Message {
    /// A client submitted this job.
    Submit(Arc<Entry>),
    /// A device or the planner has something to report, or a client gave a job up.
    Event(Event),
    /// Another policy is in place.
    NewPolicy(Arc<PolicyTag>),
    /// Somebody wants to look at the scheduler.
    Look(Look),
    /// Take nothing new; say when all that was accepted has ended, after this long at the latest.
    Drain(Duration, oneshot::Sender<Drained>),
}

/// A look at the scheduler, and what is done with what was seen.
pub type Look = Box<dyn FnOnce(&mut Scheduler, Time) + Send>;

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Jobs that were ended because time was up.
    pub given_up: usize,
}

/// Why the driver did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Its inbox is full.
    Full,
    /// It has stopped.
    Stopped,
}

/// The way to the driver.
#[derive(Clone, Debug)]
pub struct DriverHandle {
    inbox: SyncSender<Message>,
}

/// What a driver works with.
pub struct Driver {
    /// The core.
    pub scheduler: Scheduler,
    /// Where inputs and outputs are.
    pub jobs: Arc<Jobs>,
    /// One device thread a lane.
    pub devices: Vec<SyncSender<Work>>,
    /// The planner thread.
    pub planner: SyncSender<Order>,
    /// The policy in place at the start.
    pub policy: Arc<PolicyTag>,
    /// What became of the policy's answers.
    pub stats: Arc<PolicyStats>,
}

/// A channel to a driver that is yet to be started, with room for so many messages.
pub fn inbox(max_events: usize) -> (DriverHandle, Receiver<Message>) {
    let (inbox, messages) = sync_channel(max_events);
    (DriverHandle { inbox }, messages)
}

impl DriverHandle {
    /// Hands a message over if there is room.
    pub fn offer(&self, message: Message) -> Result<(), Unsent> {
        self.inbox.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Unsent::Full,
            TrySendError::Disconnected(_) => Unsent::Stopped,
        })
    }

    /// Hands a message over, waiting for room; for threads whose reports must not be lost.
    pub fn send(&self, message: Message) -> Result<(), Unsent> {
        self.inbox.send(message).map_err(|_| Unsent::Stopped)
    }

    /// Asks the scheduler something.
    pub fn look<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Scheduler, Time) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Unsent> {
        let (reply, answer) = oneshot::channel();
        let look = move |scheduler: &mut Scheduler, now: Time| {
            let _ = reply.send(question(scheduler, now));
        };
        self.offer(Message::Look(Box::new(look)))?;
        Ok(answer)
    }
}

impl Driver {
    /// Starts the thread; it ends once it was drained, or nobody can send to it any more.
    pub fn start(self, messages: Receiver<Message>) -> std::io::Result<JoinHandle<()>> {
        let running = Running {
            driver: self,
            messages,
            clock: Instant::now(),
            live: HashMap::new(),
            due: VecDeque::new(),
            wake_at: None,
            forget_at: None,
            last_plan: PlanId(0),
            policies: Vec::new(),
            drain: None,
        };
        std::thread::Builder::new().name("driver".into()).spawn(|| running.run())
    }
}

struct Running {
    driver: Driver,
    messages: Receiver<Message>,
    clock: Instant,
    live: HashMap<JobId, Arc<Entry>>,
    /// Events that the driver itself caused while it carried out actions.
    due: VecDeque<Event>,
    wake_at: Option<Time>,
    forget_at: Option<Time>,
    last_plan: PlanId,
    /// Who was in place from which plan on; the latest last.
    policies: Vec<(PlanId, Arc<PolicyTag>)>,
    drain: Option<Drain>,
}

struct Drain {
    until: Time,
    done: oneshot::Sender<Drained>,
}

/// Policy changes a certificate can look back on.
const POLICIES_REMEMBERED: usize = 64;

impl Running {
    fn run(mut self) {
        self.policies.push((PlanId(0), self.driver.policy.clone()));
        loop {
            let message = match self.time_to_sleep() {
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(duration) => self.messages.recv_timeout(duration),
            };
            let now = self.now();
            match message {
                Ok(message) => self.take(message, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.keep_time(now);
            if let Some(drain) = self.drain.take_if(|drain| self.live.is_empty() || drain.until <= now) {
                return self.finish_drain(drain, now);
            }
        }
    }

    fn now(&self) -> Time {
        Time::START + self.clock.elapsed()
    }

    fn time_to_sleep(&self) -> Option<Duration> {
        let drain = self.drain.as_ref().map(|drain| drain.until);
        let next = [self.wake_at, self.forget_at, drain].into_iter().flatten().min()?;
        Some(next.since(self.now()))
    }

    fn take(&mut self, message: Message, now: Time) {
        match message {
            Message::Submit(entry) if self.drain.is_some() => self.driver.jobs.turn_away(&entry, Turned::Draining),
            Message::Submit(entry) => {
                let job = entry.arrive(now);
                self.live.insert(job.id, entry);
                self.step(now, Event::Submit(job));
            }
            Message::Event(event) => self.step(now, event),
            Message::NewPolicy(policy) => self.change_policy(policy, now),
            Message::Look(look) => look(&mut self.driver.scheduler, now),
            Message::Drain(within, done) => self.drain = Some(Drain { until: now + within, done }),
        }
    }

    /// Does what is due at this time though nothing came.
    fn keep_time(&mut self, now: Time) {
        if self.wake_at.take_if(|due| *due <= now).is_some() {
            self.step(now, Event::WakeUp);
        }
        if self.forget_at.is_some_and(|due| due <= now) {
            self.forget_at = self.driver.jobs.forget_old(now);
        }
    }

    fn step(&mut self, now: Time, event: Event) {
        self.due.push_back(event);
        while let Some(event) = self.due.pop_front() {
            for action in self.driver.scheduler.step(now, event) {
                self.carry_out(action, now);
            }
        }
    }

    fn carry_out(&mut self, action: Action, now: Time) {
        match action {
            Action::Accept(accepted) => {
                if let Some(entry) = self.live.get(&accepted.job) {
                    entry.accept(accepted);
                }
            }
            Action::Refuse(job, refusal) => {
                if let Some(entry) = self.live.remove(&job) {
                    self.driver.jobs.turn_away(&entry, Turned::Core(refusal, now));
                }
            }
            Action::Run(batch) => self.run_batch(batch),
            Action::Plan(snapshot) => self.ask(snapshot),
            Action::Adopt(plan, jobs) => self.driver.stats.adopted(plan, jobs.len()),
            Action::RefusePlan(plan, error) => self.driver.stats.refused(plan, &error),
            Action::Squeeze(lane, jobs) => self.driver.stats.squeezed(lane, jobs.len()),
            Action::Finish(outcome) => self.finish(outcome, None, now),
            Action::WakeAt(time) => self.wake_at = Some(time),
        }
    }

    fn run_batch(&mut self, batch: Batch) {
        let entry = self.live.get(&batch.job).cloned();
        let device = self.driver.devices.get(batch.lane as usize);
        let sent = device.zip(entry).map(|(device, entry)| device.try_send(Work { batch, entry }));
        if !matches!(sent, Some(Ok(()))) {
            tracing::error!(batch = batch.id.0, lane = batch.lane, "the device did not take a batch");
            self.due.push_back(Event::BatchFailed(batch.id));
        }
    }

    fn ask(&mut self, snapshot: Snapshot) {
        let plan = snapshot.plan;
        self.last_plan = plan;
        if self.driver.planner.try_send(Order::Ask(snapshot)).is_err() {
            let reason = PolicyError::Unavailable("it still thinks about an earlier question".into());
            self.due.push_back(Event::Planned(plan, Err(reason)));
        }
    }

    fn change_policy(&mut self, policy: Arc<PolicyTag>, now: Time) {
        if self.policies.len() == POLICIES_REMEMBERED {
            self.policies.remove(0);
        }
        self.policies.push((PlanId(self.last_plan.0 + 1), policy));
        self.step(now, Event::PolicyChanged);
    }

    fn finish(&mut self, outcome: Outcome, reason: Option<String>, now: Time) {
        let Some(entry) = self.live.remove(&outcome.job) else { return };
        let planned_by = outcome.decisions.iter().filter_map(|decider| self.planned_by(*decider)).collect();
        let policy = self.policies.last().map(|(_, policy)| policy.clone()).unwrap_or_default();
        let (arrival, failure) = {
            let mut progress = entry.progress();
            (progress.arrival, progress.failure.take())
        };
        let reason = reason.or(failure.filter(|_| outcome.end == End::Failed));
        self.driver.jobs.end(&entry, Ending { arrival, outcome, policy, planned_by, reason });
        self.forget_at.get_or_insert(now + self.driver.jobs.keep());
    }

    fn planned_by(&self, decider: Decider) -> Option<(PlanId, Arc<PolicyTag>)> {
        let Decider::Policy(plan) = decider else { return None };
        let (_, policy) = self.policies.iter().rev().find(|(first, _)| *first <= plan)?;
        Some((plan, policy.clone()))
    }

    /// Ends what is left, and with it the thread.
    fn finish_drain(mut self, drain: Drain, now: Time) {
        let left: Vec<Arc<Entry>> = self.live.values().cloned().collect();
        for entry in &left {
            let reason = "the server stopped before the job was served".into();
            self.finish(given_up(entry, now), Some(reason), now);
        }
        // what was sent before the clients were told would wait for ever
        while let Ok(message) = self.messages.try_recv() {
            if let Message::Submit(entry) = message {
                self.driver.jobs.turn_away(&entry, Turned::Draining);
            }
        }
        let _ = drain.done.send(Drained { given_up: left.len() });
    }
}

fn given_up(entry: &Entry, now: Time) -> Outcome {
    let arrival = entry.progress().arrival;
    Outcome {
        job: entry.id,
        end: End::Failed,
        finish: now,
        deadline: arrival + entry.asked.deadline,
        min_accuracy: entry.asked.min_accuracy,
        mix: Vec::new(),
        accuracy: None,
        started: None,
        device_time: Duration::ZERO,
        decisions: Vec::new(),
    }
}
