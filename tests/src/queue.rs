//! Made-up queues, as the core has them and as the SDK's native tests have them.

use std::sync::Arc;
use std::time::Duration;

use mosel_conformance::queues::{self, Pressure, Shape};
use mosel_core::{
    Catalog, DecisionId, JobId, JobRow, ModalitySet, Mode, ModelId, Profile, Snapshot, Step, Strategy, StrategyTable,
    TableId, Tenant, Time, Trigger,
};

/// So much that the limits of an engine bind first, and a test that is patient does not depend on the machine.
const BUDGET: Duration = Duration::from_secs(600);

/// A menu: (microseconds, accuracy) of each strategy.
pub type Menu = Vec<(u64, f64)>;

/// A catalog of one model with these menus as tables 0, 1, ...
pub fn catalog(menus: &[Menu]) -> Catalog {
    let profile =
        Profile { id: "made-up".into(), model: "toy".into(), modalities: vec!["a".into()], measurements: vec![] };
    let tables = menus.iter().enumerate().map(|(id, menu)| Arc::new(table(id as u32, menu)));
    Catalog { revision: menus.len() as u64, models: vec![(ModelId(0), Arc::new(profile))], tables: tables.collect() }
}

fn table(id: u32, menu: &Menu) -> StrategyTable {
    let strategies = menu.iter().map(|&(micros, accuracy)| strategy(Duration::from_micros(micros), accuracy)).collect();
    StrategyTable { id: TableId(id), model: ModelId(0), requests: 1, strategies }
}

fn strategy(latency: Duration, accuracy: f64) -> Strategy {
    let mode = Mode::full(ModalitySet::single(0));
    let step = Step { mode, batch_size: 1, batches: 1, requests: 1, batch_latency: latency };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}

/// A snapshot of these jobs on lane 0, which is free at once; the policy may think as long as its engine lets it.
pub fn snapshot(plan: u64, jobs: Vec<JobRow>) -> Snapshot {
    Snapshot {
        decision: DecisionId(plan),
        lane: 0,
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
        late: false,
    }
}

/// The same queue, as native tests of policies have it.
pub fn native(catalog: &Catalog, snapshot: &Snapshot) -> mosel_sdk::test::Queue {
    let mut queue = mosel_sdk::test::Queue::new();
    for table in &catalog.tables {
        let menu = table.strategies.iter().map(|strategy| (strategy.latency.as_micros() as u64, strategy.accuracy));
        queue.menu(&menu.collect::<Menu>());
    }
    queue.sequence = snapshot.decision.0;
    queue.start = snapshot.start.micros();
    queue.time_factor = snapshot.time_factor;
    queue.jobs = mosel_sdk::test::sent_snapshot(snapshot).jobs;
    queue
}

/// A wild queue of `jobs` jobs on `menus` menus of `strategies` strategies each, budget as in [`snapshot`]. The seed says
/// it all.
pub fn random(seed: u64, jobs: u64, menus: u64, strategies: u64) -> (Catalog, Snapshot) {
    let (jobs, tables, strategies) = (jobs as usize, menus as usize, strategies as usize);
    let (catalog, snapshot) = queues::random(seed, Shape { jobs, tables, strategies, pressure: Pressure::Wild });
    (catalog, Snapshot { decision: DecisionId(seed), budget: BUDGET, ..snapshot })
}
