//! Made-up queues, as the core has them and as the SDK's native tests have them.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Catalog, JobId, JobRow, ModalitySet, ModelId, PlanId, Profile, Snapshot, Step, Strategy, StrategyTable, TableId,
    Tenant, Time, Trigger,
};

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
    let modalities = ModalitySet::single(0);
    let step = Step { modalities, batch_size: 1, batches: 1, requests: 1, batch_latency: latency };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}

/// A snapshot of these jobs on lane 0, which is free at once; the policy may think for a second.
pub fn snapshot(plan: u64, jobs: Vec<JobRow>) -> Snapshot {
    Snapshot {
        plan: PlanId(plan),
        lane: 0,
        trigger: Trigger::Violation,
        now: Time::START,
        start: Time::START,
        budget: Duration::from_secs(1),
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
    queue.sequence = snapshot.plan.0;
    queue.start = snapshot.start.micros();
    queue.time_factor = snapshot.time_factor;
    queue.jobs = snapshot.jobs.iter().map(native_job).collect();
    queue
}

fn native_job(row: &JobRow) -> mosel_sdk::Job {
    mosel_sdk::Job {
        id: row.id.0,
        table: row.table.0,
        requests: row.requests,
        arrival: row.arrival.micros(),
        deadline: row.deadline.micros(),
        min_accuracy: row.min_accuracy,
        weight: row.weight,
        tenant: row.tenant.0,
        current: row.current,
        late: row.late,
    }
}

/// A queue of `jobs` jobs on `menus` menus of `strategies` strategies each, from slack to hopeless. The seed says it all.
pub fn random(seed: u64, jobs: u64, menus: u64, strategies: u64) -> (Catalog, Snapshot) {
    let mut chance = Chance(seed);
    let menus: Vec<Menu> = (0..menus).map(|_| random_menu(&mut chance, strategies)).collect();
    let mut due = 0;
    let rows = (1..=jobs).map(|id| {
        let table = chance.below(menus.len() as u64) as u32;
        due += chance.below(2 * menus[table as usize].last().map_or(0, |dearest| dearest.0));
        let floor = chance.below(100) as f64 / 120.0;
        let late = chance.below(20) == 0;
        JobRow { late, ..job(id, table, strategies as u32 - 1, due + chance.below(20_000), floor) }
    });
    let rows = rows.collect();
    let time_factor = 0.5 + chance.below(100) as f64 / 100.0;
    (catalog(&menus), Snapshot { time_factor, ..snapshot(seed, rows) })
}

fn random_menu(chance: &mut Chance, strategies: u64) -> Menu {
    let (mut micros, mut accuracy) = (100, 0.3);
    let mut next = |_| {
        micros += 1 + chance.below(2000);
        accuracy += (1 + chance.below(10)) as f64 / (12 * strategies) as f64;
        (micros, accuracy)
    };
    (0..strategies).map(&mut next).collect()
}

/// Numbers that a seed determines.
struct Chance(u64);

impl Chance {
    /// A number below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's linear congruential generator; its upper bits are good enough to make up queues.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
