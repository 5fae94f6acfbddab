//! Checking a case: it runs under the invariants, and runs the same twice.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mosel_core::Time;

use super::SimCase;
use super::log::Log;
use crate::{ExternalEvent, Invariant, Invariants, SimError};

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
            self.run_from(scheduler, &mut faulty_policy, (&mut log, &mut invariants))
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
        self.run_from(scheduler, &mut faulty_policy, &mut log)?;
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
        let _ = catch_unwind(AssertUnwindSafe(|| self.run_from(scheduler, &mut faulty_policy, &mut invariants)));
        SimCase { answers: faulty_policy.into_given(), ..self.clone() }
    }

    /// Nothing is in the way of keeping every promise: estimates are exact, nothing is in reserve that could be used
    /// up, devices do not fail, and the policy leaves everything to the fallback and takes no time.
    pub fn nobody_may_be_late(&self) -> bool {
        let exact = self.factor == 1.0
            && self.spread == 0.0
            && self.failures == 0.0
            && self.unanswered == 0.0
            && self.config.margin == 0.0;
        let fault = |external: &ExternalEvent| {
            matches!(
                external,
                ExternalEvent::Fail(_)
                    | ExternalEvent::Slowdown(..)
                    | ExternalEvent::Lose(_)
                    | ExternalEvent::Jump(_)
                    | ExternalEvent::Hang(_)
            )
        };
        exact
            && self.config.policy_budget.is_zero()
            && self.answers.iter().all(|reply| reply.answer.is_err())
            && self.always.as_ref().map_or_else(|| self.modes_never_help(), |reply| reply.answer.is_err())
            && !self.events.iter().any(|(_, external)| fault(external))
    }

    fn modes_never_help(&self) -> bool {
        self.modes.iter().all(|(mode, weight)| mode.never_helps() || *weight == 0)
            && self.modes.iter().any(|(_, weight)| *weight > 0)
    }
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
