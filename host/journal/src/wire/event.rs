//! Events.

use std::time::Duration;

use mosel_core::{BatchId, BatchReport, Decision, DecisionId, Event, JobId, LaneId, ModelId, PolicyError, Quality};
use serde::{Deserialize, Serialize};

use super::job::JobLine;
use super::nanos;
use super::number::Number;
use super::profile::{ModelLine, read_weights, weight_pairs};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventLine {
    Submit(JobLine),
    Cancel {
        job: u64,
    },
    Planned {
        plan: u64,
        answer: AnswerLine,
    },
    Done {
        batch: u64,
        took_ns: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        prepare_ns: u64,
        /// Absent in version 1, in which every batch that ran counted as answered.
        #[serde(default = "all")]
        answered: u32,
    },
    Failed {
        batch: u64,
    },
    Policy {
        eager: bool,
    },
    Models {
        first: u32,
        models: Vec<ModelLine>,
    },
    Retired {
        model: u32,
    },
    Lost {
        lane: u32,
        model: u32,
    },
    Restored {
        lane: u32,
        model: u32,
    },
    Paused {
        for_ns: u64,
    },
    LaneRestored {
        lane: u32,
    },
    Shares {
        weights: Vec<(u64, Number)>,
    },
    Wake,
}

fn is_zero(nanos: &u64) -> bool {
    *nanos == 0
}

fn all() -> u32 {
    u32::MAX
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerLine {
    Proposal(ProposalLine),
    Declined(String),
    TimedOut { budget_ns: u64 },
    OutOfFuel(u64),
    OutOfMemory(u64),
    Trapped(String),
    Malformed(String),
    Unavailable(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProposalLine {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    assignments: Vec<(u64, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    order: Vec<u64>,
    quality: QualityLine,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objective: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound: Option<Number>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum QualityLine {
    Optimal,
    Bounded,
    Heuristic,
    BestEffort,
}

impl From<&Event> for EventLine {
    fn from(event: &Event) -> EventLine {
        match event {
            Event::Submit(job) => EventLine::Submit(job.into()),
            Event::Cancel(job) => EventLine::Cancel { job: job.0 },
            Event::Decided(plan, answer) => EventLine::Planned { plan: plan.0, answer: answer.into() },
            Event::BatchDone(batch, report) => EventLine::Done {
                batch: batch.0,
                took_ns: nanos(report.compute),
                prepare_ns: nanos(report.prepare),
                answered: report.answered,
            },
            Event::BatchFailed(batch) => EventLine::Failed { batch: batch.0 },
            Event::PolicyChanged { eager } => EventLine::Policy { eager: *eager },
            Event::ModelsLoaded(models) => EventLine::Models {
                first: models.first().map_or(0, |matrix| matrix.variant().0),
                models: models.iter().map(|matrix| matrix.as_ref().into()).collect(),
            },
            Event::ModelRetired(model) => EventLine::Retired { model: model.0 },
            &Event::ModelLost(lane, model) => EventLine::Lost { lane: lane.0, model: model.0 },
            &Event::ModelRestored(lane, model) => EventLine::Restored { lane: lane.0, model: model.0 },
            Event::Paused(time) => EventLine::Paused { for_ns: nanos(*time) },
            Event::LaneRestored(lane) => EventLine::LaneRestored { lane: lane.0 },
            Event::SharesChanged(weights) => EventLine::Shares { weights: weight_pairs(weights) },
            Event::WakeUp => EventLine::Wake,
        }
    }
}

impl EventLine {
    /// The event, if its models are sound: their strategies are computed anew.
    pub(crate) fn read(self) -> Result<Event, String> {
        Ok(match self {
            EventLine::Submit(job) => Event::Submit(job.into()),
            EventLine::Cancel { job } => Event::Cancel(JobId(job)),
            EventLine::Planned { plan, answer } => Event::Decided(DecisionId(plan), answer.into()),
            EventLine::Done { batch, took_ns, prepare_ns, answered } => {
                let [compute, prepare] = [took_ns, prepare_ns].map(Duration::from_nanos);
                Event::BatchDone(BatchId(batch), BatchReport { compute, prepare, answered })
            }
            EventLine::Failed { batch } => Event::BatchFailed(BatchId(batch)),
            EventLine::Policy { eager } => Event::PolicyChanged { eager },
            EventLine::Models { first, models } => {
                let ids = (first..=u32::MAX).map(ModelId);
                let models = models.into_iter().zip(ids).map(|(model, id)| model.read(id));
                Event::ModelsLoaded(models.collect::<Result<_, _>>()?)
            }
            EventLine::Retired { model } => Event::ModelRetired(ModelId(model)),
            EventLine::Lost { lane, model } => Event::ModelLost(LaneId(lane), ModelId(model)),
            EventLine::Restored { lane, model } => Event::ModelRestored(LaneId(lane), ModelId(model)),
            EventLine::Paused { for_ns } => Event::Paused(Duration::from_nanos(for_ns)),
            EventLine::LaneRestored { lane } => Event::LaneRestored(LaneId(lane)),
            EventLine::Shares { weights } => Event::SharesChanged(read_weights(weights)?),
            EventLine::Wake => Event::WakeUp,
        })
    }
}

impl From<&Result<Decision, PolicyError>> for AnswerLine {
    fn from(answer: &Result<Decision, PolicyError>) -> AnswerLine {
        match answer {
            Ok(decision) => AnswerLine::Proposal(decision.into()),
            Err(PolicyError::Declined(words)) => AnswerLine::Declined(words.clone()),
            Err(PolicyError::TimedOut(budget)) => AnswerLine::TimedOut { budget_ns: nanos(*budget) },
            Err(PolicyError::OutOfFuel(fuel)) => AnswerLine::OutOfFuel(*fuel),
            Err(PolicyError::OutOfMemory(bytes)) => AnswerLine::OutOfMemory(*bytes),
            Err(PolicyError::Trapped(words)) => AnswerLine::Trapped(words.clone()),
            Err(PolicyError::Malformed(words)) => AnswerLine::Malformed(words.clone()),
            Err(PolicyError::Unavailable(words)) => AnswerLine::Unavailable(words.clone()),
        }
    }
}

impl From<AnswerLine> for Result<Decision, PolicyError> {
    fn from(line: AnswerLine) -> Result<Decision, PolicyError> {
        Err(match line {
            AnswerLine::Proposal(decision) => return Ok(decision.into()),
            AnswerLine::Declined(words) => PolicyError::Declined(words),
            AnswerLine::TimedOut { budget_ns } => PolicyError::TimedOut(Duration::from_nanos(budget_ns)),
            AnswerLine::OutOfFuel(fuel) => PolicyError::OutOfFuel(fuel),
            AnswerLine::OutOfMemory(bytes) => PolicyError::OutOfMemory(bytes),
            AnswerLine::Trapped(words) => PolicyError::Trapped(words),
            AnswerLine::Malformed(words) => PolicyError::Malformed(words),
            AnswerLine::Unavailable(words) => PolicyError::Unavailable(words),
        })
    }
}

impl From<&Decision> for ProposalLine {
    fn from(decision: &Decision) -> ProposalLine {
        ProposalLine {
            assignments: decision.assignments.iter().map(|&(job, choice)| (job.0, choice)).collect(),
            order: decision.order.iter().map(|job| job.0).collect(),
            quality: match decision.quality {
                Quality::Optimal => QualityLine::Optimal,
                Quality::Bounded => QualityLine::Bounded,
                Quality::Heuristic => QualityLine::Heuristic,
                Quality::BestEffort => QualityLine::BestEffort,
            },
            objective: decision.objective.map(Number),
            bound: decision.bound.map(Number),
        }
    }
}

impl From<ProposalLine> for Decision {
    fn from(line: ProposalLine) -> Decision {
        Decision {
            assignments: line.assignments.into_iter().map(|(job, choice)| (JobId(job), choice)).collect(),
            order: line.order.into_iter().map(JobId).collect(),
            quality: match line.quality {
                QualityLine::Optimal => Quality::Optimal,
                QualityLine::Bounded => Quality::Bounded,
                QualityLine::Heuristic => Quality::Heuristic,
                QualityLine::BestEffort => Quality::BestEffort,
            },
            objective: line.objective.map(|number| number.0),
            bound: line.bound.map(|number| number.0),
        }
    }
}
