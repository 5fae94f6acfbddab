//! What answers questions in a simulation: a policy, or something that behaves like one.

use std::time::Duration;

use mosel_core::{Decision, Outcome, PolicyError, Snapshot};

/// Answers questions, as a policy does on a live server.
///
/// For a simulation to be repeatable an answer may depend on what the policy was asked and told before, and on nothing
/// else; the time it took too.
pub trait PolicyDriver {
    /// Answers; the answer arrives once the time it took has passed.
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply;

    /// It wants to be asked after every change, not only about violators.
    fn eager(&self) -> bool {
        false
    }

    /// It wants to be told what became of jobs.
    fn wants_outcomes(&self) -> bool {
        false
    }

    /// What became of jobs that were served.
    fn observe(&mut self, _outcomes: &[Outcome]) {}
}

impl<M: PolicyDriver> PolicyDriver for &mut M {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        (**self).decide(snapshot)
    }

    fn eager(&self) -> bool {
        (**self).eager()
    }

    fn wants_outcomes(&self) -> bool {
        (**self).wants_outcomes()
    }

    fn observe(&mut self, outcomes: &[Outcome]) {
        (**self).observe(outcomes);
    }
}

/// An answer, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyReply {
    /// The answer.
    pub answer: Result<Decision, PolicyError>,
    /// How long it took, in virtual time; [`Duration::MAX`] if it never comes.
    pub took: Duration,
}

impl PolicyReply {
    /// An answer that takes no time.
    pub fn at_once(answer: Result<Decision, PolicyError>) -> PolicyReply {
        PolicyReply { answer, took: Duration::ZERO }
    }

    /// No answer ever; the policy takes the next question all the same.
    pub fn never() -> PolicyReply {
        PolicyReply { answer: Ok(Decision::default()), took: Duration::MAX }
    }

    /// Whether no answer comes.
    pub fn is_never(&self) -> bool {
        self.took == Duration::MAX
    }
}

/// A function that answers.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFn<F> {
    /// What it answers.
    pub decide: F,
    /// It wants to be asked after every change.
    pub eager: bool,
}

impl<F: FnMut(&Snapshot) -> PolicyReply> PolicyDriver for PolicyFn<F> {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        (self.decide)(snapshot)
    }

    fn eager(&self) -> bool {
        self.eager
    }
}

/// Answers at once that nothing should change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmoved;

impl PolicyDriver for Unmoved {
    fn decide(&mut self, _: &Snapshot) -> PolicyReply {
        PolicyReply::at_once(Ok(Decision::default()))
    }
}
