//! Between the contract's types and those of the server's core.

use std::sync::Arc;
use std::time::Duration;

use mosel_core as core;

use crate::bindings::mosel::policy::types as wire;
use crate::{Catalog, Decision, Job, Micros, PolicyError, Quality, Snapshot, Strategy, StrategyTable, Trigger};

/// The catalog as a server sends it.
pub fn sent_catalog(catalog: &core::Catalog) -> wire::Catalog {
    wire::Catalog {
        revision: catalog.revision,
        models: catalog.models.iter().map(|(id, profile)| sent_model(*id, profile)).collect(),
        tables: catalog.tables.iter().map(|table| sent_table(table)).collect(),
    }
}

fn sent_model(id: core::ModelId, profile: &core::Profile) -> wire::Model {
    let entry = |measurement: &core::Measurement| wire::ProfileEntry {
        modalities: measurement.mode.modalities.bits(),
        batch_size: measurement.batch_size,
        latency: micros(measurement.latency.mean),
        accuracy: measurement.accuracy.mean(),
        memory_bytes: measurement.memory_bytes,
    };
    let mut measurements: Vec<&core::Measurement> = profile.measurements.iter().collect();
    measurements.sort_by_key(|measurement| measurement.mode.precision);
    wire::Model {
        id: id.0,
        name: profile.model.clone(),
        modalities: profile.modalities.iter().map(|name| wire::Modality { name: name.clone() }).collect(),
        profile: measurements.into_iter().map(entry).collect(),
    }
}

fn sent_table(table: &core::StrategyTable) -> StrategyTable {
    let strategies = table.strategies.iter().map(sent_strategy).collect();
    StrategyTable { id: table.id.0, model: table.model.0, requests: table.requests, strategies }
}

fn sent_strategy(strategy: &core::Strategy) -> Strategy {
    let step = |step: &core::Step| wire::Step {
        modalities: step.mode.modalities.bits(),
        batch_size: step.batch_size,
        batches: step.batches,
        requests: step.requests,
        batch_latency: micros(step.batch_latency),
    };
    Strategy {
        latency: micros(strategy.latency),
        accuracy: strategy.accuracy,
        memory_bytes: strategy.memory_bytes,
        steps: strategy.steps.iter().map(step).collect(),
    }
}

/// The queue as a server sends it.
pub fn sent_snapshot(snapshot: &core::Snapshot) -> wire::Snapshot {
    wire::Snapshot {
        sequence: snapshot.decision.0,
        lane: snapshot.lane.0,
        trigger: match snapshot.trigger {
            core::Trigger::Violation => Trigger::Violation,
            core::Trigger::Arrival => Trigger::Arrival,
            core::Trigger::Completion => Trigger::Completion,
            core::Trigger::Rehearsal => Trigger::Rehearsal,
        },
        now: snapshot.now.micros(),
        start: snapshot.start.micros(),
        budget: micros(snapshot.budget),
        time_factor: snapshot.time_factor,
        catalog_revision: snapshot.catalog_revision,
        jobs: snapshot.jobs.iter().map(sent_job).collect(),
    }
}

fn sent_job(row: &core::JobRow) -> Job {
    Job {
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

/// The answer as the server takes it in.
pub(super) fn core_decision(decision: &Decision) -> core::Decision {
    let assignments = decision.assignments.iter();
    core::Decision {
        assignments: assignments.map(|assignment| (core::JobId(assignment.job), assignment.strategy)).collect(),
        order: decision.order.iter().map(|&job| core::JobId(job)).collect(),
        quality: match decision.quality {
            Quality::Optimal => core::Quality::Optimal,
            Quality::Bounded => core::Quality::Bounded,
            Quality::Heuristic => core::Quality::Heuristic,
            Quality::BestEffort => core::Quality::BestEffort,
        },
        objective: decision.objective,
        bound: decision.bound,
    }
}

/// The error as the server reports it.
pub(super) fn error(error: PolicyError) -> core::PolicyError {
    core::PolicyError::Declined(match error {
        PolicyError::BadConfig(reason) => format!("bad settings: {reason}"),
        PolicyError::Unsupported(reason) => format!("unsupported: {reason}"),
        PolicyError::GaveUp(reason) => format!("gave up: {reason}"),
        PolicyError::Internal(reason) => format!("internal error: {reason}"),
    })
}

/// What the server checks answers against: tables and rows, back in its own types.
pub(super) fn checkable(snapshot: &Snapshot) -> (core::Snapshot, core::Catalog) {
    let catalog = &snapshot.catalog;
    let tables = catalog.tables().iter().map(|table| Arc::new(checkable_table(table))).collect();
    let queue = core::Snapshot {
        decision: core::DecisionId(snapshot.sequence),
        lane: core::LaneId(snapshot.lane),
        trigger: core::Trigger::Violation,
        now: core::Time::from_micros(snapshot.now),
        start: core::Time::from_micros(snapshot.start),
        budget: Duration::from_micros(snapshot.budget),
        time_factor: snapshot.time_factor,
        catalog_revision: catalog.revision(),
        jobs: snapshot.jobs.iter().map(checkable_row).collect(),
    };
    (queue, core::Catalog { revision: catalog.revision(), models: Vec::new(), tables })
}

fn checkable_table(table: &StrategyTable) -> core::StrategyTable {
    let strategy = |strategy: &Strategy| core::Strategy {
        latency: Duration::from_micros(strategy.latency),
        accuracy: strategy.accuracy,
        memory_bytes: strategy.memory_bytes,
        steps: Vec::new(),
    };
    core::StrategyTable {
        id: core::TableId(table.id),
        model: core::ModelId(table.model),
        requests: table.requests,
        strategies: table.strategies.iter().map(strategy).collect(),
    }
}

fn checkable_row(job: &Job) -> core::JobRow {
    core::JobRow {
        id: core::JobId(job.id),
        table: core::TableId(job.table),
        requests: job.requests,
        arrival: core::Time::from_micros(job.arrival),
        deadline: core::Time::from_micros(job.deadline),
        min_accuracy: job.min_accuracy,
        weight: job.weight,
        tenant: core::Tenant(job.tenant),
        current: job.current,
        given_up: job.late,
    }
}

/// The snapshot as the server had sent it.
pub(super) fn resent(snapshot: &Snapshot) -> wire::Snapshot {
    let Snapshot { sequence, lane, trigger, now, start, budget, time_factor, ref jobs, ref catalog, .. } = *snapshot;
    let catalog_revision = catalog.revision();
    wire::Snapshot { sequence, lane, trigger, now, start, budget, time_factor, catalog_revision, jobs: jobs.clone() }
}

/// The catalog as the server had sent it.
pub(super) fn resent_catalog(catalog: &Catalog) -> wire::Catalog {
    let (models, tables) = (catalog.models().to_vec(), catalog.tables().to_vec());
    wire::Catalog { revision: catalog.revision(), models, tables }
}

/// Rounded up, as the server does.
fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}
