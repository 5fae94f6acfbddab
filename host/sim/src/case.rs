//! A case: all that a simulation begins with, as plain data, so that it can be drawn, kept, shrunk and run again.

mod action_log;
mod answers;
mod check;
mod coverage;
mod draw;
mod faulty_policy;
mod lines;
mod log;
mod parse;
mod text;
mod words;

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Action, Config, Event, Job, Latency, ModelId, Profile, Scheduler, Snapshot, StrategyMatrix, Time, scale,
};

pub use self::check::CaseFailure;
pub use self::faulty_policy::{FaultMode, FaultyPolicy};
pub use self::log::Log;
use crate::{Devices, ExternalEvent, Observer, PolicyDriver, PolicyFn, PolicyReply, SimError, Simulation};

/// The most requests that a job may have where a case does not say; larger jobs are refused.
pub const LARGEST_JOB: u32 = 64;

/// A random case, or one from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SimCase {
    /// The one model there is.
    pub profile: Profile,
    /// The scheduler's configuration.
    pub config: Config,
    /// The most requests that a job may have; larger jobs are refused.
    pub max_requests: u32,
    /// True time of a batch over its profiled time.
    pub factor: f64,
    /// How far p95 lies above the mean of a batch's time, as a share of it; p99 lies twice as far.
    pub spread: f64,
    /// Share of batches that fail.
    pub failures: f64,
    /// Share of requests that have no answer though their batch ran.
    pub unanswered: f64,
    /// What times, failures and modes are drawn with.
    pub seed: u64,
    /// The modes of the policy, with their weights.
    pub modes: Vec<(FaultMode, u32)>,
    /// The policy is asked after every change.
    pub eager: bool,
    /// What it answers to the first questions, whatever its modes.
    pub answers: Vec<PolicyReply>,
    /// What it answers to all others, in place of having modes.
    pub always: Option<PolicyReply>,
    /// What happens from outside, by ascending time.
    pub events: Vec<(Time, ExternalEvent)>,
}

impl SimCase {
    /// The jobs that come, with their times.
    pub fn jobs(&self) -> impl Iterator<Item = (Time, &Job)> {
        self.events.iter().filter_map(|(at, external)| match external {
            ExternalEvent::Submit(job) => Some((*at, job)),
            _ => None,
        })
    }

    /// The scheduler that it begins with.
    pub fn scheduler(&self) -> Scheduler {
        let profile = Arc::new(self.profile.clone());
        let matrix = StrategyMatrix::new(ModelId(0), profile, self.max_requests).expect("a case's profile is sound");
        Scheduler::new(self.config.clone(), vec![Arc::new(matrix)])
    }

    /// Runs it with another policy than its own. Returns the time of the last event.
    pub fn run_with(&self, policy: impl PolicyDriver, observer: impl Observer) -> Result<Time, SimError> {
        self.run_from(self.scheduler(), policy, observer)
    }

    /// Every action with its time, where this answers; it is asked after every change if the case says so.
    pub fn trace(&self, decide: impl FnMut(&Snapshot) -> PolicyReply) -> Result<Vec<(Time, Action)>, SimError> {
        let mut trace = Trace::default();
        self.run_with(PolicyFn { decide, eager: self.eager }, &mut trace)?;
        Ok(trace.0)
    }

    pub(crate) fn run_from(
        &self,
        scheduler: Scheduler,
        policy: impl PolicyDriver,
        observer: impl Observer,
    ) -> Result<Time, SimError> {
        Simulation::new(scheduler, self.devices(), policy, self.events.iter().cloned()).run(observer)
    }

    pub(crate) fn faulty_policy(&self, scheduler: &Scheduler) -> FaultyPolicy {
        let script = self.answers.iter().cloned();
        let policy = FaultyPolicy::new(&self.modes, self.eager, scheduler.catalog().clone(), self.seed);
        policy.with_script(script, self.always.clone())
    }

    fn devices(&self) -> Devices {
        let mut profile = self.profile.clone();
        for measured in &mut profile.measurements {
            measured.latency = spread(measured.latency.mean, self.spread);
        }
        let mut devices = Devices::new([&profile], self.seed);
        (devices.factor, devices.failures, devices.spread) = (self.factor, self.failures, self.spread > 0.0);
        devices.unanswered = self.unanswered;
        devices
    }
}

fn spread(mean: Duration, share: f64) -> Latency {
    let above = |times: f64| scale(mean, 1.0 + times * share);
    Latency { mean, median: mean, p95: above(1.0), p99: above(2.0) }
}

/// Keeps every action with its time.
#[derive(Default)]
struct Trace(Vec<(Time, Action)>);

impl Observer for Trace {
    fn after(&mut self, _: &Scheduler, now: Time, _: &Event, actions: &[Action]) -> Result<(), String> {
        self.0.extend(actions.iter().map(|action| (now, action.clone())));
        Ok(())
    }
}
