//! A day: all that a simulation begins with, as plain data, so that it can be drawn, kept, shrunk and lived again.

mod answers;
mod draw;
mod lines;
mod log;
mod menu;
mod text;
mod whims;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{Config, Latency, ModelId, Profile, Scheduler, StrategyMatrix, Time, scale};

pub use self::log::Log;
pub use self::whims::{Mood, Whims};
use crate::{Devices, Law, Laws, Outside, Simulation, Stuck, Thought, Watcher};

/// The most requests that a job of a day may have; larger ones are refused.
pub const MOST_REQUESTS: u32 = 16;

/// A random day, or one from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Day {
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
    /// What times, failures and moods are drawn with.
    pub seed: u64,
    /// The moods of the policy, with their weights.
    pub moods: Vec<(Mood, u32)>,
    /// The policy is asked after every change.
    pub eager: bool,
    /// What it answers to the first questions, whatever its moods.
    pub answers: Vec<Thought>,
    /// What happens from outside, by ascending time.
    pub events: Vec<(Time, Outside)>,
}

/// A day that broke a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The law.
    pub law: Law,
    /// When; [`Time::NEVER`] if nobody knows.
    pub at: Time,
    /// Which job, which numbers.
    pub words: String,
    /// What had happened until then.
    pub log: Log,
}

impl Day {
    /// Lives through it under the laws.
    pub fn live(&self) -> Result<Log, Broken> {
        let (mut log, mut laws) = (Log::default(), Laws::new(self.nobody_may_be_late()));
        let scheduler = self.scheduler();
        let mut whims = self.whims(&scheduler);
        let lived = catch_unwind(AssertUnwindSafe(|| self.live_with(scheduler, &mut whims, (&mut log, &mut laws))));
        let ended = match lived {
            Err(panic) => Err((Law::Panic, Time::NEVER, panic_words(panic.as_ref()))),
            Ok(Err(stuck)) => Err(broken_by(&stuck, &laws)),
            Ok(Ok(_)) => laws.check_end().map_err(|words| (laws.broken().unwrap_or(Law::End), Time::NEVER, words)),
        };
        match ended {
            Ok(()) => {
                self.count(whims.counts(), &mut log);
                Ok(log)
            }
            Err((law, at, words)) => Err(Broken { law, at, words, log }),
        }
    }

    /// Lives through it under the laws, then once more without: both lives must be the same.
    pub fn live_twice(&self) -> Result<Log, Broken> {
        let log = self.live()?;
        let again = self.relive().map_err(|stuck| stuck.to_string());
        if again.as_ref() == Ok(&log) {
            return Ok(log);
        }
        let other = again.map_or_else(|stuck| stuck, |again| first_difference(&log.text, &again.text));
        Err(Broken { law: Law::Repeatable, at: Time::NEVER, words: format!("{}: {other}", Law::Repeatable), log })
    }

    /// Lives through it without looking; only the log is kept.
    pub fn relive(&self) -> Result<Log, Stuck> {
        let mut log = Log::default();
        let scheduler = self.scheduler();
        let mut whims = self.whims(&scheduler);
        self.live_with(scheduler, &mut whims, &mut log)?;
        self.count(whims.counts(), &mut log);
        Ok(log)
    }

    /// The same day, with every answer that the policy gives written out: it stays the same when moods are drawn in
    /// another way.
    pub fn written_out(&self) -> Day {
        let mut laws = Laws::new(self.nobody_may_be_late());
        let scheduler = self.scheduler();
        let mut whims = self.whims(&scheduler);
        // a day that ends early has its answers until then
        let _ = catch_unwind(AssertUnwindSafe(|| self.live_with(scheduler, &mut whims, &mut laws)));
        Day { answers: whims.into_given(), ..self.clone() }
    }

    /// Nothing is in the way of keeping every promise: estimates are exact, nothing is in reserve that could be used
    /// up, devices do not fail, and the policy leaves everything to the squeeze and takes no time.
    pub fn nobody_may_be_late(&self) -> bool {
        let exact = self.factor == 1.0 && self.spread == 0.0 && self.failures == 0.0 && self.config.margin == 0.0;
        let fault = |outside: &Outside| {
            matches!(outside, Outside::Fail(_) | Outside::Pace(..) | Outside::Lose(_) | Outside::Jump(_))
        };
        exact
            && self.config.policy_budget.is_zero()
            && self.moods.iter().all(|(mood, weight)| mood.never_helps() || *weight == 0)
            && self.moods.iter().any(|(_, weight)| *weight > 0)
            && self.answers.iter().all(|thought| thought.answer.is_err())
            && !self.events.iter().any(|(_, outside)| fault(outside))
    }

    pub(crate) fn live_with(
        &self,
        scheduler: Scheduler,
        whims: &mut Whims,
        watcher: impl Watcher,
    ) -> Result<Time, Stuck> {
        Simulation::new(scheduler, self.devices(), whims, self.events.iter().cloned()).run(watcher)
    }

    pub(crate) fn whims(&self, scheduler: &Scheduler) -> Whims {
        let script = self.answers.iter().cloned();
        Whims::new(&self.moods, self.eager, scheduler.catalog().clone(), self.seed).with_script(script)
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        let profile = Arc::new(self.profile.clone());
        let matrix = StrategyMatrix::new(ModelId(0), profile, MOST_REQUESTS).expect("a day's profile is sound");
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

fn broken_by(stuck: &Stuck, laws: &Laws) -> (Law, Time, String) {
    match stuck {
        Stuck::Watcher(at, words) => (laws.broken().unwrap_or(Law::End), *at, words.clone()),
        Stuck::Spinning(at) | Stuck::Waiting(at) => (Law::End, *at, stuck.to_string()),
    }
}

fn first_difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    lines.map_or_else(|| "one life is longer".into(), |(one, other)| format!("{one:?} or {other:?}"))
}

fn panic_words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: {}", self.at, self.words)
    }
}

impl std::error::Error for Broken {}
