//! How often the published form, one time budget up to the last job's deadline, makes an earlier job late.
//!
//! 2,000 random queues: all jobs were on time, some of them squeezed for it, when one more arrived that would be late.
//! There is a way to have all of them on time.

use mosel_sdk::test::{self, Queue, Table, host};
use mosel_sdk::{Job, Snapshot, random_below};
use policy_ilp::Ilp;
use policy_squeeze::{Pick, squeeze};

const QUEUES: u64 = 2000;

fn main() {
    let [paper, prefix] = ["paper", "prefix"].map(|form| {
        let settings = format!(r#"{{"form": "{form}", "nodes": 1000}}"#);
        (0..QUEUES).filter(|&seed| makes_a_job_late(&settings, &overfull_queue(seed))).count()
    });
    println!(
        "in {QUEUES} random queues (seeds 0 to {}) all jobs are on time but one that has just arrived",
        QUEUES - 1
    );
    println!("one budget up to the last job's deadline (form `paper`) makes another one late in {paper}");
    println!("a deadline for every job (form `prefix`) does in {prefix}");
}

fn makes_a_job_late(settings: &str, before: &Snapshot) -> bool {
    let decision = test::decide::<Ilp>(settings, before).expect("ilp always answers");
    let after = test::adopt(before, &decision).expect("ilp proposes nothing illegal");
    let violators = before.violators();
    after.violators().iter().any(|row| !violators.contains(row))
}

/// The first queue of a seed in which one job is late, the last, and none has to be.
fn overfull_queue(seed: u64) -> Snapshot {
    host::begin(seed, 0, 0, 0);
    loop {
        let snapshot = random_queue();
        let fastest = vec![0; snapshot.jobs.len()];
        if snapshot.violators_with(&fastest).is_empty() && snapshot.violators() == [fastest.len() - 1] {
            return snapshot;
        }
    }
}

/// 2 to 8 jobs on two tables of six strategies, none with a floor. All but the last have been squeezed before.
fn random_queue() -> Snapshot {
    let mut queue = Queue::new();
    let tables = [random_table(&mut queue), random_table(&mut queue)];
    let mut due = 0;
    for _ in 0..2 + below(7) {
        due += 5_000 + below(60_000);
        queue.job(tables[below(2) as usize], due + below(40_000), 0.0);
    }
    let last: Option<Job> = queue.jobs.pop();
    let squeezed = squeeze(&queue.snapshot(), Pick::Random);
    for (job, strategy) in queue.jobs.iter_mut().zip(squeezed.chosen) {
        job.current = strategy;
    }
    queue.jobs.extend(last);
    let mut snapshot = queue.snapshot();
    // Time enough: what is counted is the form, not the clock.
    snapshot.budget = 600_000_000;
    snapshot
}

fn random_table(queue: &mut Queue) -> Table {
    let (mut latency, mut accuracy) = (2_000 + below(6_000), 0.5 + below(10) as f64 / 100.0);
    let mut table = Vec::new();
    for _ in 0..6 {
        table.push((latency, accuracy));
        latency += 2_000 + below(12_000);
        accuracy += (1 + below(30)) as f64 / 400.0;
    }
    queue.table(&table)
}

fn below(end: u64) -> u64 {
    random_below(end as usize) as u64
}
