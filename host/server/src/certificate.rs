//! What the server vouches for when a job has ended: what it ran on, how accurate that is, who decided it.

use mosel_core::{Accuracy, Decider, End, Mode, Outcome};
use serde::Serialize;

use crate::jobs::{Completion, PolicyTag};
use crate::served::ServedModel;

/// The account of one ended job. Accuracies are the profile's, not measured on this job's requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Certificate {
    /// The floor the client asked for.
    pub(crate) floor: f64,
    /// The mean of what was answered is at or above the floor; `None` when nothing was answered.
    pub(crate) floor_kept: Option<bool>,
    /// Requests of the job.
    pub(crate) requests: u32,
    /// Those that have an answer.
    pub(crate) answered: u32,
    /// Requests that have an answer by what they were run on.
    pub(crate) mix: Vec<Share>,
    /// Request-weighted mean of the profiled accuracies; `None` when nothing was answered.
    pub(crate) accuracy: Option<f64>,
    /// Request-weighted mean of the lower ends of their 95 % Wilson intervals.
    pub(crate) accuracy_lower_bound: Option<f64>,
    /// Which profile.
    pub(crate) profile: ProfileTag,
    /// After the job's arrival.
    pub(crate) deadline_ms: f64,
    /// After the job's arrival.
    pub(crate) finish_ms: f64,
    /// How long after its deadline; 0 for a job in time.
    pub(crate) lateness_ms: f64,
    /// Every request was answered by the deadline.
    pub(crate) in_time: bool,
    /// The policy in place when the job ended.
    pub(crate) policy: PolicyTag,
    /// Who changed the job's strategy, oldest first.
    pub(crate) decisions: Vec<Decision>,
}

/// Requests that were answered in one mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Share {
    /// The selection, as `image+text`.
    pub(crate) modalities: String,
    /// What they were computed with: `fp32`, `bf16`, `fp16`.
    pub(crate) precision: &'static str,
    /// How many requests.
    pub(crate) requests: u32,
    /// The profiled accuracy.
    pub(crate) accuracy: f64,
    /// The lower end of its 95 % Wilson interval.
    pub(crate) accuracy_lower_bound: f64,
}

/// Which profile the accuracies are from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ProfileTag {
    /// Hash of its content.
    pub(crate) id: String,
    /// Labelled samples behind its accuracies, the fewest among the selections used.
    pub(crate) samples: u32,
}

/// One change of a job's strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "lowercase")]
pub(crate) enum Decision {
    /// A policy's answer.
    Policy {
        /// Which answer.
        plan: u64,
        /// The policy's name.
        name: String,
        /// Its component's hash.
        hash: String,
        /// Which installation of a policy.
        generation: u64,
    },
    /// The fallback.
    Fallback,
}

impl Certificate {
    /// The account of a job of this model.
    pub(crate) fn new(completion: &Completion, model: &ServedModel) -> Certificate {
        let outcome = &completion.outcome;
        let profile = model.profile_of(outcome.last_choice.0);
        let measured = |mode: Mode| profile.accuracy(mode).expect("only measured modes are run");
        let shares: Vec<(Mode, u32, Accuracy)> =
            outcome.mix.iter().map(|&(mode, requests)| (mode, requests, measured(mode))).collect();
        let all = profile.measurements.iter().map(|measurement| measurement.accuracy.samples);
        let samples = shares.iter().map(|(_, _, accuracy)| accuracy.samples).min().or(all.min());
        let after = |time: mosel_core::Time| millis(time.since(completion.arrival));
        Certificate {
            floor: outcome.min_accuracy,
            floor_kept: outcome.accuracy.map(|_| outcome.floor_kept()),
            requests: outcome.requests,
            answered: outcome.answered,
            accuracy: outcome.accuracy,
            accuracy_lower_bound: lower_bound(&shares),
            mix: shares.iter().map(|share| Share::new(*share, model)).collect(),
            profile: ProfileTag { id: profile.id.clone(), samples: samples.unwrap_or(0) },
            deadline_ms: after(outcome.deadline),
            finish_ms: after(outcome.finish),
            lateness_ms: millis(outcome.finish.since(outcome.deadline)),
            in_time: outcome.end == End::Served && outcome.finish <= outcome.deadline,
            policy: (*completion.policy).clone(),
            decisions: decisions(outcome, completion),
        }
    }
}

impl Share {
    fn new((mode, requests, accuracy): (Mode, u32, Accuracy), model: &ServedModel) -> Share {
        Share {
            modalities: model.label(mode.modalities),
            precision: mode.precision.name(),
            requests,
            accuracy: accuracy.mean(),
            accuracy_lower_bound: accuracy.lower_bound(),
        }
    }
}

fn lower_bound(shares: &[(Mode, u32, Accuracy)]) -> Option<f64> {
    let requests: u32 = shares.iter().map(|(_, requests, _)| requests).sum();
    let sum: f64 = shares.iter().map(|(_, requests, accuracy)| f64::from(*requests) * accuracy.lower_bound()).sum();
    (requests > 0).then(|| sum / f64::from(requests))
}

fn decisions(outcome: &Outcome, completion: &Completion) -> Vec<Decision> {
    let decision = |decider: &Decider| match *decider {
        Decider::Fallback => Decision::Fallback,
        Decider::Policy(plan) => {
            let policy = completion.planned_by.iter().find(|(by, _)| *by == plan).map(|(_, policy)| (**policy).clone());
            let PolicyTag { name, hash, generation, .. } = policy.unwrap_or_default();
            Decision::Policy { plan: plan.0, name, hash, generation }
        }
    };
    outcome.decisions.iter().map(decision).collect()
}

fn millis(duration: std::time::Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
