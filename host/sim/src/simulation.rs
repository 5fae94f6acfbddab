//! A simulation: the agenda, and what each entry of it does to the scheduler.
//!
//! One policy answers for all lanes, one question after another, as on a live server. Among events of the same time
//! those that were entered first come first, then what comes from outside, then wake-ups.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use mosel_core::{
    Action, Batch, BatchId, End, Event, Job, JobId, ModelId, Outcome, PlanId, PolicyError, Proposal, Scheduler,
    Snapshot, Time,
};

use crate::devices::Fate;
use crate::{Devices, Mind, Pace, Thought};

/// What comes from outside, beside what devices and the policy do.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// A job comes.
    Submit(Job),
    /// A job is given up by whoever submitted it.
    Cancel(JobId),
    /// The batch that runs on this lane fails now.
    Fail(u32),
    /// This lane's device is slower, or gone, for a while.
    Pace(u32, Pace),
    /// This lane's device loses the model 0: batches fail at once until it has it again.
    Lose(u32),
    /// This lane's device has the model 0 again.
    Restore(u32),
    /// The clock jumps: what was due within this time happens at its end.
    Jump(Duration),
    /// The policy is put in place once more: what it was asked is void.
    Install,
}

/// Looks at every step.
pub trait Watcher {
    /// An event is about to be taken in.
    fn before(&mut self, _scheduler: &Scheduler, _now: Time, _event: &Event) {}

    /// It was taken in, and this is what has to be done. An error ends the simulation.
    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String>;
}

impl Watcher for () {
    fn after(&mut self, _: &Scheduler, _: Time, _: &Event, _: &[Action]) -> Result<(), String> {
        Ok(())
    }
}

impl<A: Watcher, B: Watcher> Watcher for (A, B) {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        self.0.before(scheduler, now, event);
        self.1.before(scheduler, now, event);
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.0.after(scheduler, now, event, actions)?;
        self.1.after(scheduler, now, event, actions)
    }
}

impl<W: Watcher + ?Sized> Watcher for &mut W {
    fn before(&mut self, scheduler: &Scheduler, now: Time, event: &Event) {
        (**self).before(scheduler, now, event);
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        (**self).after(scheduler, now, event, actions)
    }
}

/// Why a simulation did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Events followed one another without end while no time passed.
    Spinning(Time),
    /// Nothing is left to happen, yet jobs are left.
    Waiting(Time),
    /// The watcher ended it.
    Watcher(Time, String),
}

/// More events than that at one time would never end.
const MOST_EVENTS_AT_ONCE: usize = 100_000;

/// A server in virtual time.
pub struct Simulation<'a, M> {
    scheduler: Scheduler,
    devices: Devices,
    mind: M,
    outside: std::iter::Peekable<Box<dyn Iterator<Item = (Time, Outside)> + 'a>>,
    /// By time, then in the order in which it was entered.
    agenda: BTreeMap<(Time, u64), Due>,
    entered: u64,
    /// By lane.
    running: BTreeMap<u32, (BatchId, (Time, u64))>,
    questions: VecDeque<Snapshot>,
    thinking: bool,
    outcomes: Vec<Outcome>,
    wake_at: Option<Time>,
    /// Time never goes back behind this.
    not_before: Time,
}

enum Due {
    Done(Batch, Fate),
    Answer(PlanId, Result<Proposal, PolicyError>),
}

impl<'a, M: Mind> Simulation<'a, M> {
    /// Puts a server together; what comes from outside is by ascending time. The policy is put in place just before.
    pub fn new(
        scheduler: Scheduler,
        devices: Devices,
        mind: M,
        outside: impl IntoIterator<Item = (Time, Outside), IntoIter: 'a>,
    ) -> Simulation<'a, M> {
        let mut outside = outside.into_iter().peekable();
        let first = outside.peek().map_or(Time::START, |(at, _)| *at);
        let outside: Box<dyn Iterator<Item = (Time, Outside)> + 'a> =
            Box::new(std::iter::once((first, Outside::Install)).chain(outside));
        let mut simulation = Simulation {
            scheduler,
            devices,
            mind,
            outside: outside.peekable(),
            agenda: BTreeMap::new(),
            entered: 0,
            running: BTreeMap::new(),
            questions: VecDeque::new(),
            thinking: false,
            outcomes: Vec::new(),
            wake_at: None,
            not_before: Time::START,
        };
        simulation.take_up();
        simulation
    }

    /// What a resumed scheduler has on its devices and waits for.
    fn take_up(&mut self) {
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

    /// Runs until nothing is left to happen; the watcher sees every step. Returns the time of the last one.
    pub fn run(&mut self, mut watcher: impl Watcher) -> Result<Time, Stuck> {
        let (mut last, mut at_once) = (Time::START, 0);
        while let Some((now, event)) = self.next() {
            at_once = if now == last { at_once + 1 } else { 0 };
            last = now;
            if at_once > MOST_EVENTS_AT_ONCE {
                return Err(Stuck::Spinning(now));
            }
            let Some(event) = event else { continue };
            watcher.before(&self.scheduler, now, &event);
            let actions = self.scheduler.step(now, event.clone());
            watcher.after(&self.scheduler, now, &event, &actions).map_err(|broken| Stuck::Watcher(now, broken))?;
            for action in actions {
                self.act(now, action);
            }
            self.think(now);
        }
        if self.scheduler.is_idle() { Ok(last) } else { Err(Stuck::Waiting(last)) }
    }

    /// The scheduler as it is.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The mind as it is.
    pub fn mind(&self) -> &M {
        &self.mind
    }

    /// What happens next; not everything is for the scheduler.
    fn next(&mut self) -> Option<(Time, Option<Event>)> {
        let inside = self.agenda.keys().next().map(|key| key.0);
        let outside = self.outside.peek().map(|(at, _)| *at);
        let due = [inside, outside, self.wake_at].into_iter().flatten().min()?;
        let now = due.max(self.not_before);
        let event = if inside == Some(due) {
            self.agenda.pop_first().and_then(|(_, due)| self.happen(due))
        } else if outside == Some(due) {
            self.outside.next().and_then(|(_, outside)| self.enact(now, outside))
        } else {
            self.wake_at = None;
            Some(Event::WakeUp)
        };
        self.not_before = self.not_before.max(now);
        Some((now, event))
    }

    fn happen(&mut self, due: Due) -> Option<Event> {
        Some(match due {
            Due::Done(batch, fate) => {
                self.running.remove(&batch.lane);
                if fate.fails { Event::BatchFailed(batch.id) } else { Event::BatchDone(batch.id, fate.takes) }
            }
            Due::Answer(plan, answer) => {
                self.thinking = false;
                Event::Planned(plan, answer)
            }
        })
    }

    fn enact(&mut self, now: Time, outside: Outside) -> Option<Event> {
        match outside {
            Outside::Submit(job) => Some(Event::Submit(job)),
            Outside::Cancel(job) => Some(Event::Cancel(job)),
            Outside::Install => Some(Event::PolicyChanged { eager: self.mind.eager() }),
            Outside::Fail(lane) => {
                let (batch, key) = self.running.remove(&lane)?;
                self.agenda.remove(&key);
                Some(Event::BatchFailed(batch))
            }
            Outside::Lose(lane) => {
                self.devices.lose(lane, true);
                Some(Event::ModelLost(lane, ModelId(0)))
            }
            Outside::Restore(lane) => {
                self.devices.lose(lane, false);
                Some(Event::ModelRestored(lane, ModelId(0)))
            }
            Outside::Pace(lane, pace) => {
                self.devices.keep_pace(lane, pace);
                None
            }
            Outside::Jump(by) => {
                self.not_before = now + by;
                None
            }
        }
    }

    fn act(&mut self, now: Time, action: Action) {
        match action {
            Action::Run(batch) => self.start(now, batch),
            Action::Plan(snapshot) => self.questions.push_back(snapshot),
            Action::WakeAt(at) => self.wake_at = Some(at),
            Action::Finish(outcome) if outcome.end == End::Served && self.mind.wants_outcomes() => {
                self.outcomes.push(outcome);
            }
            _ => {}
        }
    }

    fn start(&mut self, now: Time, batch: Batch) {
        let fate = self.devices.fate(&batch, now);
        let key = self.enter(now + fate.takes, Due::Done(batch, fate));
        self.running.insert(batch.lane, (batch.id, key));
    }

    /// The policy takes the next question that somebody still waits for; with none it listens.
    fn think(&mut self, now: Time) {
        while !self.thinking {
            let Some(snapshot) = self.questions.pop_front() else { break };
            if !self.scheduler.awaits(snapshot.plan) {
                continue;
            }
            let Thought { answer, took } = self.mind.decide(&snapshot);
            self.enter(now + took, Due::Answer(snapshot.plan, answer));
            self.thinking = true;
        }
        if !self.thinking && !self.outcomes.is_empty() {
            self.mind.observe(&std::mem::take(&mut self.outcomes));
        }
    }

    fn enter(&mut self, at: Time, due: Due) -> (Time, u64) {
        self.entered += 1;
        self.agenda.insert((at, self.entered), due);
        (at, self.entered)
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spinning(at) => write!(f, "more than {MOST_EVENTS_AT_ONCE} events at {at}, and no end"),
            Self::Waiting(at) => write!(f, "nothing is left to happen after {at}, yet jobs are left"),
            Self::Watcher(at, broken) => write!(f, "at {at}: {broken}"),
        }
    }
}

impl std::error::Error for Stuck {}
