//! A simulation: the agenda, and what each entry of it does to the scheduler.
//!
//! One policy answers for all lanes, one question after another, as on a live server. Among events of the same time
//! those that were entered first come first, then what comes from outside, then wake-ups.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use mosel_core::{
    Action, Batch, BatchId, BatchReport, Decision, DecisionId, End, Event, Job, JobId, LaneId, ModelId, Outcome,
    PolicyError, Scheduler, Snapshot, Time,
};

use crate::devices::BatchResult;
use crate::{Devices, PolicyDriver, Slowdown};

/// What comes from outside, beside what devices and the policy do.
#[derive(Clone, Debug, PartialEq)]
pub enum ExternalEvent {
    /// A job comes.
    Submit(Job),
    /// A job is given up by whoever submitted it.
    Cancel(JobId),
    /// The batch that runs on this lane fails now.
    Fail(LaneId),
    /// This lane's device is slower, or gone, for a while.
    Slowdown(LaneId, Slowdown),
    /// This lane's device loses the model 0: batches fail at once until it has it again.
    Lose(LaneId),
    /// This lane's device has the model 0 again.
    Restore(LaneId),
    /// The whole process stands still: what was due within this time happens at its end.
    Jump(Duration),
    /// The batch that runs on this lane never ends; once the lane is lost its device is made anew.
    Hang(LaneId),
    /// The policy is put in place once more: what it was asked is void.
    Install,
}

/// Looks at every step.
pub trait Observer {
    /// An event is about to be taken in.
    fn before(&mut self, _scheduler: &Scheduler, _now: Time, _event: &Event) {}

    /// It was taken in, and this is what has to be done. An error ends the simulation.
    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String>;
}

impl Observer for () {
    fn after(&mut self, _: &Scheduler, _: Time, _: &Event, _: &[Action]) -> Result<(), String> {
        Ok(())
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        self.0.before(scheduler, now, event);
        self.1.before(scheduler, now, event);
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.0.after(scheduler, now, event, actions)?;
        self.1.after(scheduler, now, event, actions)
    }
}

impl<W: Observer + ?Sized> Observer for &mut W {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        (**self).before(scheduler, now, event);
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        (**self).after(scheduler, now, event, actions)
    }
}

/// Why a simulation did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimError {
    /// Events followed one another without end while no time passed.
    Spinning(Time),
    /// Nothing is left to happen, yet jobs are left.
    Stalled(Time),
    /// The observer ended it.
    Observer(Time, String),
}

/// More events than that at one time would never end.
const MOST_EVENTS_AT_ONCE: usize = 100_000;

/// A server in virtual time.
pub struct Simulation<'a, M> {
    scheduler: Scheduler,
    devices: Devices,
    policy: M,
    external: std::iter::Peekable<Box<dyn Iterator<Item = (Time, ExternalEvent)> + 'a>>,
    /// By time, then in the order in which it was entered.
    agenda: BTreeMap<(Time, u64), Due>,
    entered: u64,
    /// By lane.
    running: BTreeMap<LaneId, (BatchId, (Time, u64))>,
    questions: VecDeque<Snapshot>,
    deciding: bool,
    outcomes: Vec<Outcome>,
    wake_at: Option<Time>,
    /// Time never goes back behind this.
    not_before: Time,
}

/// How long it takes to make the device of a lost lane anew.
const RESTART: Duration = Duration::from_millis(50);

enum Due {
    Done(Batch, BatchResult),
    Restored(LaneId),
    Answer(DecisionId, Result<Decision, PolicyError>),
}

impl<'a, M: PolicyDriver> Simulation<'a, M> {
    /// Puts a server together; what comes from outside is by ascending time. The policy is put in place just before.
    pub fn new(
        scheduler: Scheduler,
        devices: Devices,
        policy: M,
        external: impl IntoIterator<Item = (Time, ExternalEvent), IntoIter: 'a>,
    ) -> Simulation<'a, M> {
        let mut external = external.into_iter().peekable();
        let first = external.peek().map_or(Time::START, |(at, _)| *at);
        let external: Box<dyn Iterator<Item = (Time, ExternalEvent)> + 'a> =
            Box::new(std::iter::once((first, ExternalEvent::Install)).chain(external));
        let mut simulation = Simulation {
            scheduler,
            devices,
            policy,
            external: external.peekable(),
            agenda: BTreeMap::new(),
            entered: 0,
            running: BTreeMap::new(),
            questions: VecDeque::new(),
            deciding: false,
            outcomes: Vec::new(),
            wake_at: None,
            not_before: Time::START,
        };
        simulation.pick_up();
        simulation
    }

    /// What a resumed scheduler has on its devices and waits for.
    fn pick_up(&mut self) {
        let checkpoint = self.scheduler.checkpoint();
        self.wake_at = checkpoint.wake_at;
        // whatever a device draws now, nothing happens before what has happened
        let arrivals = checkpoint.lanes.iter().flat_map(|lane| lane.entries.iter().map(|entry| entry.arrival));
        let started = checkpoint.lanes.iter().filter_map(|lane| Some(lane.running?.started));
        let asked = checkpoint.lanes.iter().filter_map(|lane| Some(lane.question.as_ref()?.0.now));
        self.not_before = arrivals.chain(started).chain(asked).max().unwrap_or(Time::START);
        for &(lane, _) in &checkpoint.lost {
            self.devices.lose(lane, true);
        }
        for running in checkpoint.lanes.into_iter().filter_map(|lane| lane.running) {
            self.start(running.started, running.batch);
        }
    }

    /// Runs until nothing is left to happen; the observer sees every step. Returns the time of the last one.
    pub fn run(&mut self, mut observer: impl Observer) -> Result<Time, SimError> {
        let (mut last, mut at_once) = (Time::START, 0);
        while let Some((now, event)) = self.next() {
            at_once = if now == last { at_once + 1 } else { 0 };
            last = now;
            if at_once > MOST_EVENTS_AT_ONCE {
                return Err(SimError::Spinning(now));
            }
            let Some(event) = event else { continue };
            observer.before(&self.scheduler, now, &event);
            let actions = self.scheduler.step(now, event.clone());
            observer.after(&self.scheduler, now, &event, &actions).map_err(|broken| SimError::Observer(now, broken))?;
            for action in actions {
                self.perform(now, action);
            }
            self.ask_policy(now);
        }
        if self.scheduler.is_idle() { Ok(last) } else { Err(SimError::Stalled(last)) }
    }

    /// The scheduler as it is.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The policy as it is.
    pub fn policy(&self) -> &M {
        &self.policy
    }

    /// What happens next; not everything is for the scheduler.
    fn next(&mut self) -> Option<(Time, Option<Event>)> {
        let internal = self.agenda.keys().next().map(|key| key.0);
        let external = self.external.peek().map(|(at, _)| *at);
        let due = [internal, external, self.wake_at].into_iter().flatten().min()?;
        let mut now = due.max(self.not_before);
        let event = if internal == Some(due) {
            self.agenda.pop_first().and_then(|(_, due)| self.complete(due))
        } else if external == Some(due) {
            let event = self.external.next().and_then(|(_, external)| self.apply(now, external));
            now = now.max(self.not_before);
            event
        } else {
            self.wake_at = None;
            Some(Event::WakeUp)
        };
        self.not_before = self.not_before.max(now);
        Some((now, event))
    }

    fn complete(&mut self, due: Due) -> Option<Event> {
        Some(match due {
            Due::Done(batch, result) => {
                self.running.remove(&batch.lane);
                match result.fails {
                    true => Event::BatchFailed(batch.id),
                    false => Event::BatchDone(batch.id, BatchReport::all(result.answered, result.takes)),
                }
            }
            Due::Restored(lane) => Event::LaneRestored(lane),
            Due::Answer(plan, answer) => {
                self.deciding = false;
                Event::Decided(plan, answer)
            }
        })
    }

    fn apply(&mut self, now: Time, external: ExternalEvent) -> Option<Event> {
        match external {
            ExternalEvent::Submit(job) => Some(Event::Submit(job)),
            ExternalEvent::Cancel(job) => Some(Event::Cancel(job)),
            ExternalEvent::Install => Some(Event::PolicyChanged { eager: self.policy.eager() }),
            ExternalEvent::Fail(lane) => {
                let (batch, key) = self.running.remove(&lane)?;
                self.agenda.remove(&key);
                Some(Event::BatchFailed(batch))
            }
            ExternalEvent::Lose(lane) => {
                self.devices.lose(lane, true);
                Some(Event::ModelLost(lane, ModelId(0)))
            }
            ExternalEvent::Restore(lane) => {
                self.devices.lose(lane, false);
                Some(Event::ModelRestored(lane, ModelId(0)))
            }
            ExternalEvent::Slowdown(lane, slowdown) => {
                self.devices.slow_down(lane, slowdown);
                None
            }
            ExternalEvent::Jump(by) => {
                self.not_before = now + by;
                Some(Event::Paused(by))
            }
            ExternalEvent::Hang(lane) => {
                let (_, key) = self.running.get(&lane)?;
                self.agenda.remove(key);
                None
            }
        }
    }

    fn perform(&mut self, now: Time, action: Action) {
        match action {
            Action::Run(batch) => self.start(now, batch),
            Action::Decide(snapshot) => self.questions.push_back(snapshot),
            Action::WakeAt(at) => self.wake_at = Some(at),
            Action::LoseLane(lane) => {
                if let Some((_, key)) = self.running.remove(&lane) {
                    self.agenda.remove(&key);
                }
                self.enter(now + RESTART, Due::Restored(lane));
            }
            Action::Finish(outcome) if outcome.end == End::Served && self.policy.wants_outcomes() => {
                self.outcomes.push(outcome);
            }
            _ => {}
        }
    }

    fn start(&mut self, now: Time, batch: Batch) {
        let result = self.devices.result(&batch, now);
        let key = self.enter(now + result.takes, Due::Done(batch, result));
        self.running.insert(batch.lane, (batch.id, key));
    }

    /// The policy takes the next question that somebody still waits for; with none it listens.
    fn ask_policy(&mut self, now: Time) {
        while !self.deciding {
            let Some(snapshot) = self.questions.pop_front() else { break };
            if !self.scheduler.awaits(snapshot.decision) {
                continue;
            }
            let reply = self.policy.decide(&snapshot);
            if reply.is_never() {
                continue;
            }
            self.enter(now + reply.took, Due::Answer(snapshot.decision, reply.answer));
            self.deciding = true;
        }
        if !self.deciding && !self.outcomes.is_empty() {
            self.policy.observe(&std::mem::take(&mut self.outcomes));
        }
    }

    fn enter(&mut self, at: Time, due: Due) -> (Time, u64) {
        self.entered += 1;
        self.agenda.insert((at, self.entered), due);
        (at, self.entered)
    }
}

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spinning(at) => write!(f, "more than {MOST_EVENTS_AT_ONCE} events at {at}, and no end"),
            Self::Stalled(at) => write!(f, "nothing is left to happen after {at}, yet jobs are left"),
            Self::Observer(at, broken) => write!(f, "at {at}: {broken}"),
        }
    }
}

impl std::error::Error for SimError {}
