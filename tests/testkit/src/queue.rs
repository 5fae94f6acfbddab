//! Queues as a policy is shown them, on tables that a test writes down.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Catalog, DecisionId, JobId, JobRow, LaneId, ModalitySet, Mode, ModelId, Profile, Snapshot, Step, Strategy,
    StrategyTable, TableId, Tenant, Time, Trigger,
};

/// So much that the limits of an engine bind first, and a test that is patient does not depend on the machine.
pub const BUDGET: Duration = Duration::from_secs(600);

/// A table: (microseconds, accuracy) of each strategy.
pub type Table = Vec<(u64, f64)>;

/// A catalog of one model with these tables as tables 0, 1, ...
pub fn catalog(tables: &[Table]) -> Catalog {
    let profile =
        Profile { id: "made-up".into(), model: "toy".into(), modalities: vec!["a".into()], measurements: vec![] };
    let entries = tables.iter().enumerate().map(|(id, strategies)| Arc::new(table(id as u32, strategies)));
    Catalog { revision: tables.len() as u64, models: vec![(ModelId(0), Arc::new(profile))], tables: entries.collect() }
}

fn table(id: u32, strategies: &Table) -> StrategyTable {
    let strategies =
        strategies.iter().map(|&(micros, accuracy)| strategy(Duration::from_micros(micros), accuracy)).collect();
    StrategyTable { id: TableId(id), model: ModelId(0), requests: 1, strategies }
}

fn strategy(latency: Duration, accuracy: f64) -> Strategy {
    let mode = Mode::full(ModalitySet::single(0));
    let step = Step { mode, batch_size: 1, batches: 1, requests: 1, batch_latency: latency };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}

/// A snapshot of these jobs on lane 0, which is free at once; the policy may think as long as its engine lets it.
pub fn snapshot(decision: u64, jobs: Vec<JobRow>) -> Snapshot {
    Snapshot {
        decision: DecisionId(decision),
        lane: LaneId(0),
        trigger: Trigger::Violation,
        now: Time::START,
        start: Time::START,
        budget: BUDGET,
        time_factor: 1.0,
        catalog_revision: 1,
        jobs,
    }
}

/// A job on the given strategy of a table.
pub fn job(id: u64, table: u32, current: u32, deadline: u64, min_accuracy: f64) -> JobRow {
    JobRow {
        id: JobId(id),
        table: TableId(table),
        requests: 1,
        arrival: Time::START,
        deadline: Time::from_micros(deadline),
        min_accuracy,
        weight: 1.0,
        tenant: Tenant(0),
        current,
        given_up: false,
    }
}
