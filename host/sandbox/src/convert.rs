//! Between the core's types and the contract's.

use std::time::Duration;

use mosel_core::{
    Decision, JobId, JobRow, Measurement, ModelId, Outcome, PolicyError, Profile, Quality, Snapshot, Step, Strategy,
    StrategyTable, Trigger,
};

use crate::bindings::types;
use crate::log::words;

pub(crate) fn model(id: ModelId, profile: &Profile) -> types::Model {
    let mut measurements: Vec<&Measurement> = profile.measurements.iter().collect();
    measurements.sort_by_key(|measurement| measurement.mode.precision);
    types::Model {
        id: id.0,
        name: profile.model.clone(),
        modalities: profile.modalities.iter().map(|name| types::Modality { name: name.clone() }).collect(),
        profile: measurements.into_iter().map(types::ProfileEntry::from).collect(),
    }
}

pub(crate) fn table(table: &StrategyTable) -> types::StrategyTable {
    types::StrategyTable {
        id: table.id.0,
        model: table.model.0,
        requests: table.requests,
        strategies: table.strategies.iter().map(types::Strategy::from).collect(),
    }
}

/// The decision as it was given; refused if it names more jobs than there are.
pub(crate) fn decision(answer: types::Decision, jobs: usize) -> Result<Decision, PolicyError> {
    let types::Decision { assignments, order, quality, objective, bound } = answer;
    for (what, count) in [("assignments", assignments.len()), ("places in the order", order.len())] {
        if count > jobs {
            return Err(PolicyError::Malformed(format!("it has {count} {what} for {jobs} jobs")));
        }
    }
    Ok(Decision {
        assignments: assignments.into_iter().map(|assignment| (JobId(assignment.job), assignment.strategy)).collect(),
        order: order.into_iter().map(JobId).collect(),
        quality: quality.into(),
        objective,
        bound,
    })
}

impl From<&Measurement> for types::ProfileEntry {
    fn from(measurement: &Measurement) -> types::ProfileEntry {
        types::ProfileEntry {
            modalities: measurement.mode.modalities.bits(),
            batch_size: measurement.batch_size,
            latency: micros(measurement.latency.mean),
            accuracy: measurement.accuracy.mean(),
            memory_bytes: measurement.memory_bytes,
        }
    }
}

impl From<&Strategy> for types::Strategy {
    fn from(strategy: &Strategy) -> types::Strategy {
        types::Strategy {
            latency: micros(strategy.latency),
            accuracy: strategy.accuracy,
            memory_bytes: strategy.memory_bytes,
            steps: strategy.steps.iter().map(types::Step::from).collect(),
        }
    }
}

impl From<&Step> for types::Step {
    fn from(step: &Step) -> types::Step {
        types::Step {
            modalities: step.mode.modalities.bits(),
            batch_size: step.batch_size,
            batches: step.batches,
            requests: step.requests,
            batch_latency: micros(step.batch_latency),
        }
    }
}

impl From<&Snapshot> for types::Snapshot {
    fn from(snapshot: &Snapshot) -> types::Snapshot {
        types::Snapshot {
            sequence: snapshot.decision.0,
            lane: snapshot.lane.0,
            trigger: snapshot.trigger.into(),
            now: snapshot.now.micros(),
            start: snapshot.start.micros(),
            budget: micros(snapshot.budget),
            time_factor: snapshot.time_factor,
            catalog_revision: snapshot.catalog_revision,
            jobs: snapshot.jobs.iter().map(types::Job::from).collect(),
        }
    }
}

impl From<&JobRow> for types::Job {
    fn from(row: &JobRow) -> types::Job {
        types::Job {
            id: row.id.0,
            table: row.table.0,
            requests: row.requests,
            arrival: row.arrival.micros(),
            deadline: row.deadline.micros(),
            min_accuracy: row.min_accuracy,
            weight: row.weight,
            tenant: row.tenant.0,
            current: row.current,
            late: row.given_up,
        }
    }
}

impl From<&Outcome> for types::Outcome {
    fn from(outcome: &Outcome) -> types::Outcome {
        let (table, strategy) = outcome.last_choice;
        types::Outcome {
            job: outcome.job.0,
            table: table.0,
            strategy,
            expected: micros(outcome.expected_time),
            measured: micros(outcome.device_time),
            deadline_met: outcome.finish <= outcome.deadline,
        }
    }
}

impl From<Trigger> for types::Trigger {
    fn from(trigger: Trigger) -> types::Trigger {
        match trigger {
            Trigger::Violation => types::Trigger::Violation,
            Trigger::Arrival => types::Trigger::Arrival,
            Trigger::Completion => types::Trigger::Completion,
            Trigger::Rehearsal => types::Trigger::Rehearsal,
        }
    }
}

impl From<types::Quality> for Quality {
    fn from(quality: types::Quality) -> Quality {
        match quality {
            types::Quality::Optimal => Quality::Optimal,
            types::Quality::Bounded => Quality::Bounded,
            types::Quality::Heuristic => Quality::Heuristic,
            types::Quality::BestEffort => Quality::BestEffort,
        }
    }
}

impl From<types::PolicyError> for String {
    /// The policy's words, and what kind of refusal they are.
    fn from(error: types::PolicyError) -> String {
        let (kind, reason) = match error {
            types::PolicyError::BadConfig(reason) => ("bad settings", reason),
            types::PolicyError::Unsupported(reason) => ("unsupported", reason),
            types::PolicyError::GaveUp(reason) => ("gave up", reason),
            types::PolicyError::Internal(reason) => ("internal error", reason),
        };
        format!("{kind}: {}", words(&reason))
    }
}

/// Rounded up, as the core does.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(assignments: u64, order: u64) -> types::Decision {
        types::Decision {
            assignments: (0..assignments).map(|job| types::Assignment { job, strategy: 0 }).collect(),
            order: (0..order).collect(),
            quality: types::Quality::Heuristic,
            objective: None,
            bound: None,
        }
    }

    #[test]
    fn a_decision_names_at_most_the_jobs_there_are() {
        assert_eq!(decision(answer(3, 3), 3).unwrap().assignments.len(), 3);
        let refused = |assignments, order| decision(answer(assignments, order), 3).unwrap_err();
        assert_eq!(refused(4, 0), PolicyError::Malformed("it has 4 assignments for 3 jobs".into()));
        assert_eq!(refused(0, 4), PolicyError::Malformed("it has 4 places in the order for 3 jobs".into()));
    }

    #[test]
    fn times_round_up() {
        assert_eq!(micros(Duration::from_nanos(1001)), 2);
        assert_eq!(micros(Duration::MAX), u64::MAX);
    }
}
