//! Queues of up to 10,000 jobs.

use mosel_sdk::Policy;

use super::{Exact, check, decide, decide_with, host, random_queue};
use crate::Settings;
use crate::queue::Queue;
use crate::search::{Effort, Search};
use crate::tables::Tables;

#[test]
fn queues_of_a_hundred_jobs_are_solved_nearly_to_the_end() {
    for seed in 0..40 {
        let before = random_queue(seed, 100, 12).snapshot();
        let (decision, after) = decide(&before);
        check(&before, &decision, &after);
        let (objective, bound) = (decision.objective.unwrap(), decision.bound.unwrap());
        assert!(bound - objective <= 0.002 * bound, "seed {seed}: {objective} {bound}");
    }
}

#[test]
fn more_work_never_gives_less() {
    for seed in 0..10 {
        let before = random_queue(seed, 60, 8).snapshot();
        let objective = |work: u32| {
            let (decision, after) = decide_with(&format!(r#"{{"gap": 0, "work": {work}}}"#), &before);
            check(&before, &decision, &after);
            (decision.objective.unwrap(), decision.bound.unwrap())
        };
        let answers = [0, 1_000, 10_000, 100_000, 500_000].map(objective);
        let better = |pair: &[(f64, f64)]| pair[0].0 <= pair[1].0 + 1e-9 && pair[0].1 >= pair[1].1 - 1e-9;
        assert!(answers.windows(2).all(better), "seed {seed}: {answers:?}");
    }
}

#[test]
fn the_same_question_gets_the_same_answer_whatever_was_asked_before() {
    for seed in 0..10 {
        let before = random_queue(seed, 80, 10).snapshot();
        assert_eq!(decide(&before).0, decide(&before).0);
    }
    let snapshots = [3, 200, 40].map(|jobs| random_queue(7, jobs, 12).snapshot());
    let mut exact = Exact::configure(Settings { reserve: 0.0, ..Settings::default() }, &snapshots[0].catalog).unwrap();
    for snapshot in snapshots.iter().chain(&snapshots) {
        exact.update_catalog(&snapshot.catalog).unwrap();
        host::begin(0, 1, 0, snapshot.budget);
        assert_eq!(exact.decide(snapshot).unwrap(), decide(snapshot).0);
    }
}

#[test]
fn with_no_time_left_the_answer_is_the_filled_relaxation() {
    let before = random_queue(3, 100, 12).snapshot();
    let (relaxed, _) = decide_with(r#"{"gap": 0, "work": 0}"#, &before);
    let mut queue = Queue::default();
    let tables = Tables::new(&before.catalog).unwrap();
    queue.read(&before, &tables).unwrap();
    let objective = |reserve| {
        host::begin(0, 1, 0, 1000);
        let effort = Effort { gap: 0.0, work: 100_000, reserve };
        let mut search = Search::default();
        queue.objective(&tables, search.run(&queue, &tables, effort).chosen)
    };
    assert_eq!(Some(objective(1001)), relaxed.objective);
    assert!(Some(objective(1000)) > relaxed.objective);
}

#[test]
fn thousands_of_jobs_are_answered() {
    for (jobs, gap) in [(1_000, 0.0005), (10_000, 0.001)] {
        let before = random_queue(1, jobs, 12).snapshot();
        let (decision, after) = decide(&before);
        check(&before, &decision, &after);
        let (objective, bound) = (decision.objective.unwrap(), decision.bound.unwrap());
        assert!(bound - objective <= gap * bound, "{objective} {bound}");
    }
}
