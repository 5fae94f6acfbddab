//! Actions: written, and compared with what a replay writes; never read back as actions.

use std::hash::Hasher;

use fnv::FnvHasher;
use mosel_core::{Action, Decider, End, Outcome, OverShare, Refusal, Snapshot, Trigger};
use serde::Serialize;

use super::job::BatchLine;
use super::mode::ModeLine;
use super::nanos;
use super::number::Number;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionLine {
    Accept {
        job: u64,
        lane: u32,
        predicted_finish_us: u64,
    },
    Refuse {
        job: u64,
        refusal: RefusalLine,
    },
    Run(BatchLine),
    Plan(QuestionLine),
    Adopt {
        plan: u64,
        jobs: Vec<u64>,
    },
    RefusePlan {
        plan: u64,
        kind: &'static str,
        reason: String,
    },
    /// Jobs, with the strategy each was given.
    Squeeze {
        lane: u32,
        moves: Vec<(u64, u32)>,
    },
    GiveUp {
        job: u64,
    },
    KeepFloor {
        job: u64,
        choice: u32,
    },
    Suspect {
        lane: u32,
        why: String,
    },
    Trust {
        lane: u32,
    },
    LoseLane {
        lane: u32,
    },
    Move {
        job: u64,
        lane: u32,
    },
    Finish(OutcomeLine),
    WakeAt {
        at_us: u64,
    },
}

/// A question without its rows, which a replay has: their digest says whether they are the same.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct QuestionLine {
    plan: u64,
    lane: u32,
    trigger: &'static str,
    start_us: u64,
    time_factor: Number,
    jobs: usize,
    digest: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefusalLine {
    UnknownModel { model: u32 },
    ModelLost { model: u32 },
    DeviceSuspect { model: u32 },
    TooManyRequests { requests: u32, most: u32 },
    Nonsense { reason: String },
    Duplicate,
    FloorUnreachable { min_accuracy: Number, best: Number },
    DeadlineUnreachable { deadline_us: u64, earliest_us: u64, best_accuracy: Option<Number>, never: bool },
    QueueFull { most: usize, retry_at_us: u64 },
    OverPlaces { held: usize, most: usize, retry_at_us: u64 },
    OverDeviceTime { promised_ns: u64, most_ns: u64, share: Number, retry_at_us: u64 },
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct OutcomeLine {
    job: u64,
    end: &'static str,
    deadline_us: u64,
    min_accuracy: Number,
    mix: Vec<(ModeLine, u32)>,
    accuracy: Option<Number>,
    answered: u32,
    requests: u32,
    started_us: Option<u64>,
    device_ns: u64,
    expected_ns: u64,
    last_choice: (u32, u32),
    /// The plan that changed the job's strategy; 0 for the fallback.
    decisions: Vec<u64>,
}

impl From<&Action> for ActionLine {
    fn from(action: &Action) -> ActionLine {
        match action {
            Action::Accept(accepted) => ActionLine::Accept {
                job: accepted.job.0,
                lane: accepted.lane.0,
                predicted_finish_us: accepted.predicted_finish.micros(),
            },
            Action::Refuse(job, refusal) => ActionLine::Refuse { job: job.0, refusal: refusal.into() },
            Action::Run(batch) => ActionLine::Run(batch.into()),
            Action::Decide(snapshot) => ActionLine::Plan(snapshot.into()),
            Action::Adopt(plan, jobs) => {
                ActionLine::Adopt { plan: plan.0, jobs: jobs.iter().map(|job| job.0).collect() }
            }
            Action::RefuseDecision(plan, error) => {
                ActionLine::RefusePlan { plan: plan.0, kind: error.kind(), reason: error.to_string() }
            }
            Action::Fallback(lane, moves) => {
                ActionLine::Squeeze { lane: lane.0, moves: moves.iter().map(|&(job, to)| (job.0, to)).collect() }
            }
            Action::GiveUp(job) => ActionLine::GiveUp { job: job.0 },
            &Action::KeepFloor(job, choice) => ActionLine::KeepFloor { job: job.0, choice },
            Action::Suspect(lane, why) => ActionLine::Suspect { lane: lane.0, why: why.to_string() },
            Action::Trust(lane) => ActionLine::Trust { lane: lane.0 },
            Action::LoseLane(lane) => ActionLine::LoseLane { lane: lane.0 },
            Action::Move(job, lane) => ActionLine::Move { job: job.0, lane: lane.0 },
            Action::Finish(outcome) => ActionLine::Finish(outcome.into()),
            Action::WakeAt(at) => ActionLine::WakeAt { at_us: at.micros() },
        }
    }
}

impl From<&Refusal> for RefusalLine {
    fn from(refusal: &Refusal) -> RefusalLine {
        match refusal {
            Refusal::UnknownModel(model) => RefusalLine::UnknownModel { model: model.0 },
            Refusal::ModelLost(model) => RefusalLine::ModelLost { model: model.0 },
            Refusal::DeviceSuspect(model) => RefusalLine::DeviceSuspect { model: model.0 },
            &Refusal::TooManyRequests { requests, most } => RefusalLine::TooManyRequests { requests, most },
            Refusal::InvalidJob(reason) => RefusalLine::Nonsense { reason: reason.clone() },
            Refusal::Duplicate(_) => RefusalLine::Duplicate,
            &Refusal::FloorUnreachable { min_accuracy, best } => {
                RefusalLine::FloorUnreachable { min_accuracy: Number(min_accuracy), best: Number(best) }
            }
            &Refusal::DeadlineUnreachable { deadline, earliest, best_accuracy, never } => {
                RefusalLine::DeadlineUnreachable {
                    deadline_us: deadline.micros(),
                    earliest_us: earliest.micros(),
                    best_accuracy: best_accuracy.map(Number),
                    never,
                }
            }
            &Refusal::OverShare { of: OverShare::Places { held, most }, retry_at } => {
                RefusalLine::OverPlaces { held, most, retry_at_us: retry_at.micros() }
            }
            &Refusal::OverShare { of: OverShare::DeviceTime { promised, most, share }, retry_at } => {
                RefusalLine::OverDeviceTime {
                    promised_ns: nanos(promised),
                    most_ns: nanos(most),
                    share: Number(share),
                    retry_at_us: retry_at.micros(),
                }
            }
            &Refusal::QueueFull { most, retry_at } => RefusalLine::QueueFull { most, retry_at_us: retry_at.micros() },
        }
    }
}

impl From<&Snapshot> for QuestionLine {
    fn from(snapshot: &Snapshot) -> QuestionLine {
        QuestionLine {
            plan: snapshot.decision.0,
            lane: snapshot.lane.0,
            trigger: trigger(snapshot.trigger),
            start_us: snapshot.start.micros(),
            time_factor: Number(snapshot.time_factor),
            jobs: snapshot.jobs.len(),
            digest: format!("{:016x}", digest(snapshot)),
        }
    }
}

/// FNV-1a over every number of every row, in their order.
fn digest(snapshot: &Snapshot) -> u64 {
    let numbers = snapshot.jobs.iter().flat_map(|row| {
        let size = u64::from(row.requests) << 32 | u64::from(row.table.0);
        let state = u64::from(row.current) << 1 | u64::from(row.given_up);
        let (arrival, deadline) = (row.arrival.micros(), row.deadline.micros());
        let (floor, weight) = (row.min_accuracy.to_bits(), row.weight.to_bits());
        [row.id.0, size, state, arrival, deadline, floor, weight, row.tenant.0]
    });
    let mut hasher = FnvHasher::default();
    numbers.for_each(|number| hasher.write(&number.to_le_bytes()));
    hasher.finish()
}

pub(super) fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Violation => "violation",
        Trigger::Arrival => "arrival",
        Trigger::Completion => "completion",
        Trigger::Rehearsal => "rehearsal",
    }
}

impl From<&Outcome> for OutcomeLine {
    fn from(outcome: &Outcome) -> OutcomeLine {
        OutcomeLine {
            job: outcome.job.0,
            end: match outcome.end {
                End::Served => "served",
                End::Partial => "partial",
                End::Dropped => "dropped",
                End::Cancelled => "cancelled",
                End::Failed => "failed",
            },
            deadline_us: outcome.deadline.micros(),
            min_accuracy: Number(outcome.min_accuracy),
            mix: outcome.mix.iter().map(|&(mode, requests)| (ModeLine(mode), requests)).collect(),
            accuracy: outcome.accuracy.map(Number),
            answered: outcome.answered,
            requests: outcome.requests,
            started_us: outcome.started.map(mosel_core::Time::micros),
            device_ns: nanos(outcome.device_time),
            expected_ns: nanos(outcome.expected_time),
            last_choice: (outcome.last_choice.0.0, outcome.last_choice.1),
            decisions: outcome.decisions.iter().map(|&decider| decided_by(decider)).collect(),
        }
    }
}

/// Plans count from 1.
pub(super) fn decided_by(decider: Decider) -> u64 {
    match decider {
        Decider::Policy(plan) => plan.0,
        Decider::Fallback => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mosel_core::{JobId, JobRow, TableId, Tenant, Time};

    use super::*;

    #[test]
    fn a_snapshot_has_the_digest_that_older_journals_have() {
        let row = JobRow {
            id: JobId(7),
            table: TableId(3),
            requests: 8,
            arrival: Time::from_micros(10),
            deadline: Time::from_micros(500_000),
            min_accuracy: 0.7,
            weight: 2.0,
            tenant: Tenant::named("acme"),
            current: 4,
            given_up: false,
        };
        let snapshot = Snapshot {
            decision: mosel_core::DecisionId(1),
            lane: mosel_core::LaneId(0),
            trigger: Trigger::Arrival,
            now: Time::from_micros(10),
            start: Time::from_micros(20),
            budget: Duration::from_millis(1),
            time_factor: 1.0,
            catalog_revision: 1,
            jobs: vec![row],
        };
        // computed apart from this program: FNV-1a over the little-endian numbers of the row
        assert_eq!(digest(&snapshot), 0x3187_ca1c_db01_f16c);
    }
}
