//! Actions as they are read: only of journals that older rules wrote, whose steps cannot be taken again.

use std::time::Duration;

use mosel_core::{
    Accepted, Action, Decider, DecisionError, DecisionId, End, JobId, LaneId, ModelId, Outcome, PolicyError, Refusal,
    TableId, Time,
};
use serde::Deserialize;

use super::job::BatchLine;
use super::mode::ModeLine;
use super::number::Number;

/// An action of version 1. What is not read is not needed to tell what happened.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WrittenAction {
    Accept { job: u64, lane: u32, predicted_finish_us: u64 },
    Refuse { job: u64, refusal: WrittenRefusal },
    Run(BatchLine),
    Plan(serde::de::IgnoredAny),
    Adopt { plan: u64, jobs: Vec<u64> },
    RefusePlan { plan: u64, kind: String, reason: String },
    Squeeze { lane: u32, moves: Vec<(u64, u32)> },
    GiveUp { job: u64 },
    Finish(WrittenOutcome),
    WakeAt { at_us: u64 },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WrittenRefusal {
    UnknownModel { model: u32 },
    ModelLost { model: u32 },
    TooManyRequests { requests: u32, most: u32 },
    Nonsense { reason: String },
    Duplicate,
    FloorUnreachable { min_accuracy: Number, best: Number },
    DeadlineUnreachable { deadline_us: u64, earliest_us: u64, best_accuracy: Option<Number>, never: bool },
    QueueFull { most: usize, retry_at_us: u64 },
}

#[derive(Debug, Deserialize)]
pub(crate) struct WrittenOutcome {
    job: u64,
    end: String,
    deadline_us: u64,
    min_accuracy: Number,
    mix: Vec<(ModeLine, u32)>,
    accuracy: Option<Number>,
    started_us: Option<u64>,
    device_ns: u64,
    expected_ns: u64,
    last_choice: (u32, u32),
    decisions: Vec<u64>,
}

impl WrittenAction {
    /// The action that was taken at this time; `None` for a question, whose rows are not written. `budget` is what policies
    /// were given.
    pub(crate) fn read(self, at: Time, budget: Duration) -> Result<Option<Action>, String> {
        Ok(Some(match self {
            WrittenAction::Accept { job, lane, predicted_finish_us } => Action::Accept(Accepted {
                job: JobId(job),
                lane: LaneId(lane),
                predicted_finish: Time::from_micros(predicted_finish_us),
            }),
            WrittenAction::Refuse { job, refusal } => Action::Refuse(JobId(job), refusal.read(JobId(job))),
            WrittenAction::Run(batch) => Action::Run(batch.into()),
            WrittenAction::Plan(_) => return Ok(None),
            WrittenAction::Adopt { plan, jobs } => {
                Action::Adopt(DecisionId(plan), jobs.into_iter().map(JobId).collect())
            }
            WrittenAction::RefusePlan { plan, kind, reason } => {
                Action::RefuseDecision(DecisionId(plan), decision_error(&kind, reason, budget))
            }
            WrittenAction::Squeeze { lane, moves } => {
                Action::Fallback(LaneId(lane), moves.into_iter().map(|(job, to)| (JobId(job), to)).collect())
            }
            WrittenAction::GiveUp { job } => Action::GiveUp(JobId(job)),
            WrittenAction::Finish(outcome) => Action::Finish(outcome.read(at)?),
            WrittenAction::WakeAt { at_us } => Action::WakeAt(Time::from_micros(at_us)),
        }))
    }
}

/// Of an error only its kind and its words are written.
fn decision_error(kind: &str, reason: String, budget: Duration) -> DecisionError {
    DecisionError::Policy(match kind {
        "late" => return DecisionError::TooLate,
        "not_finite" => return DecisionError::NotFinite,
        "declined" => PolicyError::Declined(reason),
        "timed_out" => PolicyError::TimedOut(budget),
        "trapped" => PolicyError::Trapped(reason),
        "unavailable" => PolicyError::Unavailable(reason),
        _ => PolicyError::Malformed(reason),
    })
}

impl WrittenRefusal {
    fn read(self, job: JobId) -> Refusal {
        match self {
            WrittenRefusal::UnknownModel { model } => Refusal::UnknownModel(ModelId(model)),
            WrittenRefusal::ModelLost { model } => Refusal::ModelLost(ModelId(model)),
            WrittenRefusal::TooManyRequests { requests, most } => Refusal::TooManyRequests { requests, most },
            WrittenRefusal::Nonsense { reason } => Refusal::InvalidJob(reason),
            WrittenRefusal::Duplicate => Refusal::Duplicate(job),
            WrittenRefusal::FloorUnreachable { min_accuracy, best } => {
                Refusal::FloorUnreachable { min_accuracy: min_accuracy.0, best: best.0 }
            }
            WrittenRefusal::DeadlineUnreachable { deadline_us, earliest_us, best_accuracy, never } => {
                Refusal::DeadlineUnreachable {
                    deadline: Time::from_micros(deadline_us),
                    earliest: Time::from_micros(earliest_us),
                    best_accuracy: best_accuracy.map(|accuracy| accuracy.0),
                    never,
                }
            }
            WrittenRefusal::QueueFull { most, retry_at_us } => {
                Refusal::QueueFull { most, retry_at: Time::from_micros(retry_at_us) }
            }
        }
    }
}

impl WrittenOutcome {
    fn read(self, finish: Time) -> Result<Outcome, String> {
        let end = match &*self.end {
            "served" => End::Served,
            "dropped" => End::Dropped,
            "cancelled" => End::Cancelled,
            "failed" => End::Failed,
            other => return Err(format!("expected served, dropped, cancelled or failed, got {other:?}")),
        };
        let mix: Vec<_> = self.mix.into_iter().map(|(ModeLine(mode), requests)| (mode, requests)).collect();
        let answered = mix.iter().fold(0_u32, |sum, part| sum.saturating_add(part.1));
        let decider = |plan| if plan == 0 { Decider::Fallback } else { Decider::Policy(DecisionId(plan)) };
        Ok(Outcome {
            job: JobId(self.job),
            end,
            finish,
            deadline: Time::from_micros(self.deadline_us),
            min_accuracy: self.min_accuracy.0,
            mix,
            accuracy: self.accuracy.map(|accuracy| accuracy.0),
            answered,
            // a job that was not served whole does not say of how many it was
            requests: answered,
            started: self.started_us.map(Time::from_micros),
            device_time: Duration::from_nanos(self.device_ns),
            expected_time: Duration::from_nanos(self.expected_ns),
            last_choice: (TableId(self.last_choice.0), self.last_choice.1),
            decisions: self.decisions.into_iter().map(decider).collect(),
        })
    }
}
