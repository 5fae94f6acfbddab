//! What is left of a job: the rest of its strategy, kept as the scheduler keeps it, from what it says it does.

use std::collections::VecDeque;
use std::time::Duration;

use mosel_core::{Accuracy, Batch, Mode, Profile, Step};

use super::Choice;

/// The steps that are left, in execution order; they serve every request that no batch was started for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Remaining {
    steps: VecDeque<Planned>,
}

/// A step, and the profiled accuracy of its selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Planned {
    step: Step,
    accuracy: f64,
}

impl Remaining {
    /// These steps of a strategy of this model. A selection that was never measured is never right.
    pub(super) fn new(steps: &[Step], profile: &Profile) -> Remaining {
        let planned = |step: &Step| Planned { step: *step, accuracy: accuracy(profile, step.mode) };
        Remaining { steps: steps.iter().map(planned).collect() }
    }

    /// Requests that no batch was started for.
    pub(super) fn left(&self) -> u32 {
        self.steps.iter().fold(0, |left, planned| planned.step.requests.saturating_add(left))
    }

    /// What it amounts to.
    pub(super) fn choice(&self) -> Choice {
        let mut choice = Choice::default();
        let mut correct = 0.0;
        for Planned { step, accuracy } in &self.steps {
            choice.add(step.mode, step.requests, latency(step));
            correct += accuracy * f64::from(step.requests);
        }
        choice.accuracy = correct / f64::from(choice.requests.max(1));
        choice
    }

    /// A batch was started: its requests are not left any more. Gives it as a step, to be put back if it fails.
    pub(super) fn take(&mut self, batch: &Batch) -> Option<Planned> {
        let first = self.steps.front_mut()?;
        let taken = Step {
            mode: batch.mode,
            batch_size: batch.batch_size,
            batches: 1,
            requests: batch.requests,
            batch_latency: first.step.batch_latency,
        };
        let taken = Planned { step: taken, accuracy: first.accuracy };
        first.step.requests = first.step.requests.saturating_sub(batch.requests);
        first.step.batches = first.step.requests.div_ceil(first.step.batch_size.max(1));
        if first.step.requests == 0 {
            self.steps.pop_front();
        }
        Some(taken)
    }

    /// A batch failed: it is to be run first.
    pub(super) fn put_back(&mut self, batch: Planned) {
        self.steps.push_front(batch);
    }
}

impl Planned {
    /// A batch that was started before the record begins.
    pub(super) fn started(batch: &Batch, profiled: Duration, profile: &Profile) -> Planned {
        let Batch { mode, batch_size, requests, .. } = *batch;
        let step = Step { mode, batch_size, batches: 1, requests, batch_latency: profiled };
        Planned { step, accuracy: accuracy(profile, mode) }
    }

    pub(super) fn requests(&self) -> u32 {
        self.step.requests
    }

    pub(super) fn profiled(&self) -> Duration {
        self.step.batch_latency
    }
}

fn latency(step: &Step) -> Duration {
    step.batch_latency.saturating_mul(step.batches)
}

fn accuracy(profile: &Profile, mode: Mode) -> f64 {
    profile.accuracy(mode).map_or(0.0, Accuracy::mean)
}
