//! A case: all that a simulation begins with, as plain data, so that it can be drawn, kept, shrunk and run again.

mod answers;
mod coverage;
mod draw;
mod faulty_policy;
mod lines;
mod log;
mod text;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{Config, Latency, ModelId, Profile, Scheduler, StrategyMatrix, Time, scale};

pub use self::faulty_policy::{FaultMode, FaultyPolicy};
pub use self::log::Log;
use crate::{Devices, ExternalEvent, Invariant, Invariants, Observer, PolicyReply, SimError, Simulation};

/// The most requests that a job of a case may have; larger ones are refused.
pub const MOST_REQUESTS: u32 = 16;

/// A random case, or one from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct SimCase {
    /// The one model there is.
    pub profile: Profile,
    /// The scheduler's configuration.
    pub config: Config,
    /// True time of a batch over its profiled time.
    pub factor: f64,
    /// How far p95 lies above the mean of a batch's time, as a share of it; p99 lies twice as far.
    pub spread: f64,
    /// Share of batches that fail.
    pub failures: f64,
    /// What times, failures and modes are drawn with.
    pub seed: u64,
    /// The modes of the policy, with their weights.
    pub modes: Vec<(FaultMode, u32)>,
    /// The policy is asked after every change.
    pub eager: bool,
    /// What it answers to the first questions, whatever its modes.
    pub answers: Vec<PolicyReply>,
    /// What happens from outside, by ascending time.
    pub events: Vec<(Time, ExternalEvent)>,
}

/// A case that broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// The invariant.
    pub invariant: Invariant,
    /// When; [`Time::NEVER`] if nobody knows.
    pub at: Time,
    /// Which job, which numbers.
    pub words: String,
    /// What had happened until then.
    pub log: Log,
}

impl SimCase {
    /// Runs it under the invariants.
    pub fn run(&self) -> Result<Log, CaseFailure> {
        let (mut log, mut invariants) = (Log::default(), Invariants::new(self.nobody_may_be_late()));
        let scheduler = self.scheduler();
        let mut faulty_policy = self.faulty_policy(&scheduler);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            self.run_with(scheduler, &mut faulty_policy, (&mut log, &mut invariants))
        }));
        let ended = match ran {
            Err(panic) => Err((Invariant::Panic, Time::NEVER, panic_words(panic.as_ref()))),
            Ok(Err(error)) => Err(broken_by(&error, &invariants)),
            Ok(Ok(_)) => invariants
                .check_end()
                .map_err(|words| (invariants.broken().unwrap_or(Invariant::End), Time::NEVER, words)),
        };
        match ended {
            Ok(()) => {
                self.count(faulty_policy.counts(), &mut log);
                Ok(log)
            }
            Err((invariant, at, words)) => Err(CaseFailure { invariant, at, words, log }),
        }
    }

    /// Runs it under the invariants, then once more without: both runs must be the same.
    pub fn check_deterministic(&self) -> Result<Log, CaseFailure> {
        let log = self.run()?;
        let again = self.run_unchecked().map_err(|error| error.to_string());
        if again.as_ref() == Ok(&log) {
            return Ok(log);
        }
        let other = again.map_or_else(|error| error, |again| first_difference(&log.text, &again.text));
        Err(CaseFailure {
            invariant: Invariant::Repeatable,
            at: Time::NEVER,
            words: format!("{}: {other}", Invariant::Repeatable),
            log,
        })
    }

    /// Runs it without looking; only the log is kept.
    pub fn run_unchecked(&self) -> Result<Log, SimError> {
        let mut log = Log::default();
        let scheduler = self.scheduler();
        let mut faulty_policy = self.faulty_policy(&scheduler);
        self.run_with(scheduler, &mut faulty_policy, &mut log)?;
        self.count(faulty_policy.counts(), &mut log);
        Ok(log)
    }

    /// The same case, with every answer that the policy gives written out: it stays the same when modes are drawn in
    /// another way.
    pub fn written_out(&self) -> SimCase {
        let mut invariants = Invariants::new(self.nobody_may_be_late());
        let scheduler = self.scheduler();
        let mut faulty_policy = self.faulty_policy(&scheduler);
        // a case that ends early has its answers until then
        let _ = catch_unwind(AssertUnwindSafe(|| self.run_with(scheduler, &mut faulty_policy, &mut invariants)));
        SimCase { answers: faulty_policy.into_given(), ..self.clone() }
    }

    /// Nothing is in the way of keeping every promise: estimates are exact, nothing is in reserve that could be used
    /// up, devices do not fail, and the policy leaves everything to the squeeze and takes no time.
    pub fn nobody_may_be_late(&self) -> bool {
        let exact = self.factor == 1.0 && self.spread == 0.0 && self.failures == 0.0 && self.config.margin == 0.0;
        let fault = |external: &ExternalEvent| {
            matches!(
                external,
                ExternalEvent::Fail(_) | ExternalEvent::Slowdown(..) | ExternalEvent::Lose(_) | ExternalEvent::Jump(_)
            )
        };
        exact
            && self.config.policy_budget.is_zero()
            && self.modes.iter().all(|(mode, weight)| mode.never_helps() || *weight == 0)
            && self.modes.iter().any(|(_, weight)| *weight > 0)
            && self.answers.iter().all(|reply| reply.answer.is_err())
            && !self.events.iter().any(|(_, external)| fault(external))
    }

    pub(crate) fn run_with(
        &self,
        scheduler: Scheduler,
        faulty_policy: &mut FaultyPolicy,
        observer: impl Observer,
    ) -> Result<Time, SimError> {
        Simulation::new(scheduler, self.devices(), faulty_policy, self.events.iter().cloned()).run(observer)
    }

    pub(crate) fn faulty_policy(&self, scheduler: &Scheduler) -> FaultyPolicy {
        let script = self.answers.iter().cloned();
        FaultyPolicy::new(&self.modes, self.eager, scheduler.catalog().clone(), self.seed).with_script(script)
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        let profile = Arc::new(self.profile.clone());
        let matrix = StrategyMatrix::new(ModelId(0), profile, MOST_REQUESTS).expect("a case's profile is sound");
        Scheduler::new(self.config.clone(), vec![Arc::new(matrix)])
    }

    fn devices(&self) -> Devices {
        let mut profile = self.profile.clone();
        for measured in &mut profile.measurements {
            measured.latency = spread(measured.latency.mean, self.spread);
        }
        let mut devices = Devices::new([&profile], self.seed);
        (devices.factor, devices.failures, devices.spread) = (self.factor, self.failures, self.spread > 0.0);
        devices
    }
}

fn spread(mean: Duration, share: f64) -> Latency {
    let above = |times: f64| scale(mean, 1.0 + times * share);
    Latency { mean, median: mean, p95: above(1.0), p99: above(2.0) }
}

fn broken_by(error: &SimError, invariants: &Invariants) -> (Invariant, Time, String) {
    match error {
        SimError::Observer(at, words) => (invariants.broken().unwrap_or(Invariant::End), *at, words.clone()),
        SimError::Spinning(at) | SimError::Stalled(at) => (Invariant::End, *at, error.to_string()),
    }
}

fn first_difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    lines.map_or_else(|| "one run is longer".into(), |(one, other)| format!("{one:?} or {other:?}"))
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.words)
    }
}

impl std::error::Error for CaseFailure {}
