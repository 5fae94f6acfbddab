//! The worked example, the corner cases, and random queues against what greedy promises.

use mosel_sdk::test::{self, Queue, host};
use mosel_sdk::{Decision, Quality, Snapshot};

use crate::Greedy;

fn decide(snapshot: &Snapshot, seed: u64) -> (Decision, Snapshot) {
    let decision = test::decide_seeded::<Greedy>("{}", snapshot, seed).expect("greedy always answers");
    let after = test::adopt(snapshot, &decision).expect("greedy proposes nothing the server refuses");
    (decision, after)
}

/// Figure 2 of the seed at t = 20: job 1 runs until 30, job 2 (floor 0.71) has six strategies of which the most
/// accurate ends at 140, job 3 takes 25 and is due at 150.
fn figure_2() -> Snapshot {
    let mut queue = Queue::new();
    queue.start = 30;
    let table = queue.table(&[(50, 0.685), (62, 0.71), (78, 0.735), (88, 0.76), (98, 0.775), (110, 0.79)]);
    queue.job(table, 300, 0.71);
    let table = queue.table(&[(25, 0.8)]);
    queue.job(table, 150, 0.8);
    queue.snapshot()
}

#[test]
fn figure_2_ends_with_both_jobs_in_time_and_above_their_floors() {
    let before = figure_2();
    assert_eq!(before.finishes(), [140, 165]);
    assert_eq!(before.violators(), [1]);
    for seed in 0..20 {
        let (decision, after) = decide(&before, seed);
        assert!(after.violators().is_empty());
        // One job can be squeezed, so chance has no say: step by step until it fits, and no further.
        assert_eq!(after.chosen(), [3, 0]);
        assert_eq!(decision.quality, Quality::Heuristic);
    }
}

#[test]
fn a_tighter_deadline_takes_the_mix_at_0_735() {
    let mut before = figure_2();
    before.jobs[1].deadline = 140;
    let (_, after) = decide(&before, 0);
    assert_eq!(after.strategies(0)[after.jobs[0].current as usize].accuracy, 0.735);
    assert!(after.violators().is_empty());
}

#[test]
fn nobody_is_squeezed_for_a_job_that_cannot_be_saved() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 1000, 0.5);
    queue.job(table, 15, 0.5);
    let before = queue.snapshot();
    let (decision, after) = decide(&before, 1);
    assert_eq!(after.chosen(), before.chosen());
    assert_eq!(decision.quality, Quality::BestEffort);
}

#[test]
fn jobs_behind_one_that_cannot_be_saved_are_still_saved() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 5, 0.5);
    queue.job(table, 70, 0.5);
    let before = queue.snapshot();
    let (_, after) = decide(&before, 1);
    assert_eq!(after.violators(), [0]);
}

#[test]
fn late_jobs_are_left_alone() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 5, 0.5);
    queue.jobs[0].late = true;
    queue.job(table, 70, 0.5);
    let (decision, after) = decide(&queue.snapshot(), 1);
    assert_eq!(after.chosen(), [1, 0]);
    assert_eq!(decision.quality, Quality::Heuristic);
}

#[test]
fn deterministic_squeezes_from_the_front() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    let _ = [115; 3].map(|deadline| queue.job(table, deadline, 0.5));
    let before = queue.snapshot();
    let decision = test::decide::<Greedy>(r#"{"deterministic": true}"#, &before).unwrap();
    assert_eq!(test::adopt(&before, &decision).unwrap().chosen(), [0, 1, 1]);
}

#[test]
fn chance_is_the_servers_stream_and_nothing_else() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    let _ = [220; 6].map(|deadline| queue.job(table, deadline, 0.5));
    let before = queue.snapshot();
    assert_eq!(decide(&before, 7).0, decide(&before, 7).0);
    let answers: Vec<_> = (0..20).map(|seed| decide(&before, seed).1.chosen()).collect();
    assert!(answers.iter().any(|answer| *answer != answers[0]), "twenty seeds, one answer");
}

#[test]
fn random_queues_get_what_greedy_promises() {
    for seed in 0..3000 {
        let before = random_queue(seed);
        let (decision, after) = decide(&before, seed);
        check_promises(seed, &before, &decision, &after);
    }
}

fn check_promises(seed: u64, before: &Snapshot, decision: &Decision, after: &Snapshot) {
    let fastest: Vec<u32> = (0..before.jobs.len()).map(|row| fastest(before, row)).collect();
    let hopeless = before.violators_with(&fastest);
    assert_eq!(after.violators(), hopeless, "seed {seed}: exactly the jobs that nothing saves stay violators");
    assert_eq!(decision.quality == Quality::BestEffort, !hopeless.is_empty(), "seed {seed}");
    for (row, (job, now)) in before.jobs.iter().zip(&after.jobs).enumerate() {
        assert!(now.current <= job.current, "seed {seed}: job {} became slower", job.id);
        assert!(
            now.current == job.current || before.legal(row, now.current),
            "seed {seed}: job {} under its floor",
            job.id
        );
        assert!(!job.late || now.current == job.current, "seed {seed}: late job {} was touched", job.id);
    }
    if before.violators().is_empty() {
        assert!(decision.assignments.is_empty(), "seed {seed}: nothing was wrong, something was changed");
    }
}

fn fastest(snapshot: &Snapshot, row: usize) -> u32 {
    let job = &snapshot.jobs[row];
    let legal = (0..=job.current).find(|&strategy| !job.late && snapshot.legal(row, strategy));
    legal.unwrap_or(job.current)
}

/// Up to 30 jobs on tables of up to 8, from slack to hopeless. The seed says it all.
fn random_queue(seed: u64) -> Snapshot {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    queue.sequence = seed;
    queue.start = below(50);
    queue.time_factor = 0.5 + below(100) as f64 / 100.0;
    let tables: Vec<_> = (0..4).map(|_| random_table(&mut queue)).collect();
    let mut due = queue.start;
    for _ in 0..1 + below(30) {
        due += below(110);
        let deadline = (due + below(150)).saturating_sub(40);
        queue.job(tables[below(4) as usize], deadline, below(100) as f64 / 100.0);
    }
    for job in &mut queue.jobs {
        job.late = below(12) == 0;
        job.current -= below(u64::from(job.current) + 1) as u32 / 3;
    }
    queue.snapshot()
}

fn random_table(queue: &mut Queue) -> test::Table {
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
