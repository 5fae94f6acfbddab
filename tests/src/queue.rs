//! Made-up queues, as the core has them and as the SDK's native tests have them.

use mosel_conformance::queues::{self, Pressure, Shape};
use mosel_core::{Catalog, DecisionId, Snapshot};
pub use mosel_testkit::queue::{BUDGET, Table, catalog, job, snapshot};

/// The same queue, as native tests of policies have it.
pub fn native(catalog: &Catalog, snapshot: &Snapshot) -> mosel_sdk::test::Queue {
    let mut queue = mosel_sdk::test::Queue::new();
    for table in &catalog.tables {
        let table = table.strategies.iter().map(|strategy| (strategy.latency.as_micros() as u64, strategy.accuracy));
        queue.table(&table.collect::<Table>());
    }
    queue.sequence = snapshot.decision.0;
    queue.start = snapshot.start.micros();
    queue.time_factor = snapshot.time_factor;
    queue.jobs = mosel_sdk::test::sent_snapshot(snapshot).jobs;
    queue
}

/// A wild queue of `jobs` jobs on `tables` tables of `strategies` strategies each, budget as in [`snapshot`]. The seed says
/// it all.
pub fn random(seed: u64, jobs: u64, tables: u64, strategies: u64) -> (Catalog, Snapshot) {
    let (jobs, tables, strategies) = (jobs as usize, tables as usize, strategies as usize);
    let (catalog, snapshot) = queues::random(seed, Shape { jobs, tables, strategies, pressure: Pressure::Wild });
    (catalog, Snapshot { decision: DecisionId(seed), budget: BUDGET, ..snapshot })
}
