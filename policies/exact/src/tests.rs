//! Small queues against exhaustive search, large ones against what can be checked of them.

mod corners;
mod large;
mod small;

use mosel_sdk::test::{self, Queue, Table, host};
use mosel_sdk::{Decision, Quality, Snapshot};

use crate::Exact;

/// Relative; objectives are sums of floating-point numbers, and ties are settled by shares of that size.
const TOLERANCE: f64 = 1e-9;

/// Without a reserve, if the settings do not name one: the optimum is known then.
fn decide_with(settings: &str, snapshot: &Snapshot) -> (Decision, Snapshot) {
    let mut settings: serde_json::Value = serde_json::from_str(settings).expect("a test's settings are JSON");
    settings.as_object_mut().expect("settings are an object").entry("reserve").or_insert(0.into());
    let decision = test::decide::<Exact>(&settings.to_string(), snapshot).expect("exact answers");
    let after = test::adopt(snapshot, &decision).expect("exact proposes nothing the server refuses");
    (decision, after)
}

fn decide(snapshot: &Snapshot) -> (Decision, Snapshot) {
    decide_with("{}", snapshot)
}

/// What holds of every answer.
fn check(before: &Snapshot, decision: &Decision, after: &Snapshot) {
    let hopeless = before.violators_with(&fastest(before));
    assert_eq!(after.violators(), hopeless, "exactly the jobs that nothing saves are late");
    assert_eq!(decision.quality == Quality::BestEffort, !hopeless.is_empty());
    for (row, (job, now)) in before.jobs.iter().zip(&after.jobs).enumerate() {
        assert!(now.current == job.current || before.legal(row, now.current), "job {} is under its floor", job.id);
        assert!(!job.late || now.current == job.current, "late job {} was touched", job.id);
    }
    let (objective, bound) = (decision.objective.unwrap(), decision.bound.unwrap());
    let value = value_of(before, &after.chosen());
    assert!((objective - value).abs() <= TOLERANCE * value.abs(), "the objective is {objective}, not {value}");
    assert!(bound >= objective);
    if decision.quality == Quality::Optimal {
        assert_eq!(bound, objective);
    }
}

/// Every row on the fastest strategy that it may get.
fn fastest(snapshot: &Snapshot) -> Vec<u32> {
    (0..snapshot.jobs.len()).map(|row| options_of(snapshot, row)[0]).collect()
}

/// The strategies that a row may get.
fn options_of(snapshot: &Snapshot, row: usize) -> Vec<u32> {
    let job = &snapshot.jobs[row];
    let count = snapshot.strategies(row).len() as u32;
    let may = |strategy: &u32| *strategy == job.current || !job.late && snapshot.legal(row, *strategy);
    (0..count).filter(may).collect()
}

fn value_of(snapshot: &Snapshot, chosen: &[u32]) -> f64 {
    let value = |(row, &strategy): (usize, &u32)| {
        let job = &snapshot.jobs[row];
        job.weight * f64::from(job.requests) * snapshot.strategies(row)[strategy as usize].accuracy
    };
    chosen.iter().enumerate().map(value).sum()
}

/// A queue that is about twice as long as its deadlines allow on the most accurate strategies. The seed says it all.
fn random_queue(seed: u64, jobs: usize, strategies: usize) -> Queue {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    queue.start = below(100_000);
    queue.time_factor = 0.7 + below(60) as f64 / 100.0;
    let tables: Vec<(Table, u64)> = (0..20).map(|_| random_table(&mut queue, strategies)).collect();
    let mut work = 0;
    for _ in 0..jobs {
        let (table, slowest) = tables[below(20) as usize];
        work += slowest / 4 + below(slowest / 2 + 1);
        let due = queue.start + (work as f64 * queue.time_factor) as u64 + below(20_000);
        queue.job(table, due, 0.3 + below(400) as f64 / 1000.0);
    }
    for job in &mut queue.jobs {
        job.requests = 1 + below(64) as u32;
        job.weight = [1.0, 1.0, 0.5, 4.0][below(4) as usize];
        job.current -= below(u64::from(job.current) + 1) as u32 / 2;
    }
    queue
}

fn random_table(queue: &mut Queue, strategies: usize) -> (Table, u64) {
    let (mut latency, mut accuracy) = (500 + below(3_000), 0.4 + below(200) as f64 / 1000.0);
    let mut table = Vec::new();
    for _ in 0..strategies {
        table.push((latency, accuracy));
        latency += 1 + below(4_000);
        accuracy += (1 + below(1000)) as f64 / (3_000 * strategies) as f64;
    }
    (queue.table(&table), table.last().map_or(0, |slowest| slowest.0))
}

fn below(end: u64) -> u64 {
    mosel_sdk::random_below(end as usize) as u64
}
