//! Who overtakes whom, who is squeezed, and random queues against what the policy promises.

use mosel_sdk::test::{self, Queue, Table, host};
use mosel_sdk::{Decision, Quality, Snapshot};

use crate::EarliestDeadline;

fn decide(snapshot: &Snapshot) -> (Decision, Snapshot) {
    let decision = test::decide::<EarliestDeadline>("{}", snapshot).expect("it always answers");
    let after = test::adopt(snapshot, &decision).expect("it proposes nothing illegal");
    (decision, after)
}

fn ids(snapshot: &Snapshot) -> Vec<u64> {
    snapshot.jobs.iter().map(|job| job.id).collect()
}

/// Jobs due at these times, each with the table (10, 0.6), (50, 0.8).
fn due(deadlines: &[u64]) -> Queue {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    for &deadline in deadlines {
        queue.job(table, deadline, 0.5);
    }
    queue
}

#[test]
fn an_urgent_job_overtakes_patient_ones_and_nobody_is_squeezed() {
    let before = due(&[60, 500, 500, 110]).snapshot();
    let (decision, after) = decide(&before);
    assert_eq!(decision.order, [1, 4, 2, 3]);
    assert_eq!(decision.assignments, []);
    assert!(after.violators().is_empty());
    assert_eq!(decision.quality, Quality::Heuristic);
}

#[test]
fn the_first_job_stays_first() {
    let (decision, after) = decide(&due(&[500, 200, 90]).snapshot());
    assert_eq!(decision.order, [1, 3, 2]);
    assert!(after.violators().is_empty());
}

#[test]
fn what_is_late_even_so_is_squeezed() {
    let (_, after) = decide(&due(&[500, 500, 65]).snapshot());
    assert_eq!(ids(&after), [1, 3, 2]);
    assert_eq!(after.chosen().iter().sum::<u32>(), 2, "one of the two that have to be done by 65 is squeezed");
    assert!(after.violators().is_empty());
}

#[test]
fn late_jobs_run_last_and_are_left_alone() {
    let mut queue = due(&[60, 5, 500, 110]);
    queue.jobs[1].late = true;
    let (decision, after) = decide(&queue.snapshot());
    assert_eq!(decision.order, [1, 4, 3, 2]);
    assert_eq!(after.job(2).current, 1);
    assert_eq!(decision.quality, Quality::Heuristic);
}

#[test]
fn the_order_is_kept_where_another_would_make_a_job_late() {
    let mut queue = Queue::new();
    let rigid = queue.table(&[(60, 0.8)]);
    let _ = [60, 130, 125].map(|deadline| queue.job(rigid, deadline, 0.5));
    let before = queue.snapshot();
    assert_eq!(before.violators(), [2]);
    let (decision, after) = decide(&before);
    assert_eq!(decision.order, [0; 0], "job 3 first would be on time, and job 2 not any more");
    assert_eq!(after.violators(), [2]);
    assert_eq!(decision.quality, Quality::BestEffort);
}

#[test]
fn an_order_that_is_right_already_is_not_told() {
    let before = due(&[60, 120, 180]).snapshot();
    assert_eq!(decide(&before).0, Decision::keep());
}

#[test]
fn random_queues_get_what_is_promised() {
    let (mut reordered, mut kept) = (0, 0);
    for seed in 0..3000 {
        let before = random_queue(seed);
        let (decision, after) = decide(&before);
        check_promises(seed, &before, &after);
        assert_eq!(decision.quality == Quality::BestEffort, !after.violators().is_empty(), "seed {seed}");
        let sorted = sorted(&before);
        reordered += u32::from(!decision.order.is_empty());
        kept += u32::from(decision.order.is_empty() && sorted != ids(&before));
        assert!(decision.order.is_empty() || decision.order == sorted, "seed {seed}: {:?}", decision.order);
    }
    assert!(reordered > 300 && kept > 30, "{reordered} orders were changed and {kept} kept: the test shows little");
}

fn check_promises(seed: u64, before: &Snapshot, after: &Snapshot) {
    let violators = |snapshot: &Snapshot| -> Vec<u64> {
        snapshot.violators().into_iter().map(|row| snapshot.jobs[row].id).collect()
    };
    let were = violators(before);
    for job in violators(after) {
        assert!(were.contains(&job), "seed {seed}: job {job} was on time and is made late");
    }
    for job in &before.jobs {
        let now = after.job(job.id);
        assert!(now.current <= job.current, "seed {seed}: job {} became slower", job.id);
        assert!(!job.late || now.current == job.current, "seed {seed}: late job {} was touched", job.id);
    }
}

/// The ids by deadline: the first job stays, late ones come last.
fn sorted(snapshot: &Snapshot) -> Vec<u64> {
    let mut rows: Vec<_> = snapshot.jobs.iter().enumerate().filter(|(_, job)| !job.late).collect();
    rows.sort_by_key(|(row, job)| if *row == 0 { 0 } else { job.deadline + 1 });
    let late = snapshot.jobs.iter().filter(|job| job.late);
    rows.iter().map(|(_, job)| job.id).chain(late.map(|job| job.id)).collect()
}

/// Up to 12 jobs, from slack to hopeless, in no order. The seed says it all.
fn random_queue(seed: u64) -> Snapshot {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    queue.start = below(50);
    queue.time_factor = 0.5 + below(100) as f64 / 100.0;
    let tables: Vec<Table> = (0..3).map(|_| random_table(&mut queue)).collect();
    let jobs = 1 + below(12);
    for _ in 0..jobs {
        let deadline = queue.start + 40 + below(150 * jobs);
        queue.job(tables[below(3) as usize], deadline, below(100) as f64 / 100.0);
    }
    for job in &mut queue.jobs {
        job.late = below(12) == 0;
        job.current -= below(u64::from(job.current) + 1) as u32 / 3;
    }
    queue.snapshot()
}

fn random_table(queue: &mut Queue) -> Table {
    let (mut latency, mut accuracy) = (1 + below(40), 0.3);
    let mut table = Vec::new();
    for _ in 0..1 + below(8) {
        table.push((latency, accuracy));
        latency += 1 + below(40);
        accuracy += (1 + below(12)) as f64 / 200.0;
    }
    queue.table(&table)
}

fn below(end: u64) -> u64 {
    mosel_sdk::random_below(end as usize) as u64
}
