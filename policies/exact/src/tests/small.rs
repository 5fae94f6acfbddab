//! Thousands of small queues against exhaustive search.

use mosel_sdk::Quality;
use mosel_sdk::test::Queue;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct SmallJob {
    table: usize,
    deadline: u64,
    floor: f64,
    weight: f64,
    requests: u32,
    current: usize,
    late: bool,
}

fn table() -> impl Strategy<Value = Vec<(u64, f64)>> {
    // Few numbers, so that ties come up.
    let step = (1..12_u64, 1..6_u32);
    (0..30_u64, prop::collection::vec(step, 1..=5)).prop_map(|(first, steps)| {
        let (mut latency, mut accuracy) = (first, 20);
        let mut next = |(slower, better): (u64, u32)| {
            latency += slower;
            accuracy += better;
            (latency, f64::from(accuracy) / 50.0)
        };
        steps.into_iter().map(&mut next).collect()
    })
}

fn weight() -> impl Strategy<Value = f64> {
    prop_oneof![6 => Just(1.0), 2 => 0.1..10.0, 1 => Just(1e-6), 1 => Just(1e6), 1 => Just(1e12)]
}

fn job() -> impl Strategy<Value = SmallJob> {
    let floor = prop_oneof![2 => Just(0.0), 3 => (20..46_u32).prop_map(|floor| f64::from(floor) / 50.0)];
    let requests = prop_oneof![2 => Just(1), 1 => 1..64_u32];
    (0..3_usize, 0..200_u64, floor, weight(), requests, 0..5_usize, prop::bool::weighted(0.08)).prop_map(
        |(table, deadline, floor, weight, requests, current, late)| SmallJob {
            table,
            deadline,
            floor,
            weight,
            requests,
            current,
            late,
        },
    )
}

fn queue() -> impl Strategy<Value = Snapshot> {
    let factor = prop_oneof![2 => Just(1.0), 2 => 0.3..3.0, 1 => Just(1.05)];
    let tables = prop::collection::vec(table(), 3);
    let jobs = prop::collection::vec(job(), 1..=6);
    (tables, jobs, factor, 0..40_u64).prop_map(|(tables, jobs, factor, start)| {
        let mut queue = Queue::new();
        (queue.time_factor, queue.start) = (factor, start);
        let tables: Vec<(Table, usize)> = tables.iter().map(|table| (queue.table(table), table.len())).collect();
        for small in jobs {
            let (table, count) = tables[small.table];
            queue.job(table, small.deadline, small.floor);
            let job = queue.jobs.last_mut().expect("it was just pushed");
            (job.weight, job.requests, job.late) = (small.weight, small.requests, small.late);
            job.current = (small.current % count) as u32;
        }
        queue.snapshot()
    })
}

/// The best value of all choices under which only hopeless rows are late, and the fewest late rows of all choices.
fn exhaustive(snapshot: &Snapshot) -> (f64, usize) {
    let tables: Vec<Vec<u32>> = (0..snapshot.jobs.len()).map(|row| options_of(snapshot, row)).collect();
    let hopeless = snapshot.violators_with(&fastest(snapshot));
    let mut chosen = fastest(snapshot);
    let mut places = vec![0; tables.len()];
    let (mut best, mut fewest) = (f64::NEG_INFINITY, usize::MAX);
    loop {
        let late = snapshot.violators_with(&chosen);
        fewest = fewest.min(late.len());
        if late == hopeless {
            best = best.max(value_of(snapshot, &chosen));
        }
        let Some(row) = (0..tables.len()).find(|&row| places[row] + 1 < tables[row].len()) else { break };
        places[row] += 1;
        places[..row].fill(0);
        (0..=row).for_each(|row| chosen[row] = tables[row][places[row]]);
    }
    (best, fewest)
}

fn is_about(left: f64, right: f64) -> bool {
    (left - right).abs() <= TOLERANCE * left.abs().max(right.abs())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_gap_0_the_answer_is_the_optimum_and_says_so(before in queue()) {
        let (decision, after) = decide_with(r#"{"gap": 0}"#, &before);
        check(&before, &decision, &after);
        let (best, fewest) = exhaustive(&before);
        let value = value_of(&before, &after.chosen());
        prop_assert!(is_about(value, best), "the optimum is {best}, the answer {value}");
        prop_assert!(is_about(decision.bound.unwrap(), best));
        prop_assert!(matches!(decision.quality, Quality::Optimal | Quality::BestEffort));
        prop_assert_eq!(after.violators().len(), fewest);
    }

    #[test]
    fn with_another_gap_the_answer_is_within_it_and_the_bound_holds(before in queue(), gap in 0.0..0.2) {
        let (decision, after) = decide_with(&format!(r#"{{"gap": {gap}}}"#), &before);
        check(&before, &decision, &after);
        let (best, _) = exhaustive(&before);
        let (value, bound) = (decision.objective.unwrap(), decision.bound.unwrap());
        prop_assert!(bound >= best - TOLERANCE * best, "the optimum is {best}, the bound {bound}");
        prop_assert!(bound - value <= (gap + TOLERANCE) * bound);
        if decision.quality == Quality::Optimal {
            prop_assert!(is_about(value, best));
        }
    }

    #[test]
    fn however_little_work_is_allowed_every_deadline_that_can_be_kept_is_kept(before in queue(), work in 0..4_u32) {
        let (decision, after) = decide_with(&format!(r#"{{"gap": 0, "work": {work}}}"#), &before);
        check(&before, &decision, &after);
        let (best, _) = exhaustive(&before);
        prop_assert!(decision.bound.unwrap() >= best - TOLERANCE * best);
        prop_assert!(decision.quality != Quality::Optimal || is_about(decision.objective.unwrap(), best));
    }

    #[test]
    fn with_a_reserve_the_bound_still_holds_for_all_plans_and_all_that_can_be_saved_are(
        before in queue(), reserve in 0.0..0.99, horizon in 0.0..2.0,
    ) {
        let (decision, after) = decide_with(&format!(r#"{{"gap": 0, "reserve": {reserve}, "horizon": {horizon}}}"#), &before);
        check(&before, &decision, &after);
        let (best, fewest) = exhaustive(&before);
        prop_assert!(decision.bound.unwrap() >= best - TOLERANCE * best, "{decision:?}, the optimum is {best}");
        prop_assert_eq!(after.violators().len(), fewest);
        if decision.quality == Quality::Optimal {
            prop_assert!(is_about(decision.objective.unwrap(), best));
        }
    }

    #[test]
    fn an_optimal_choice_is_kept_as_it_is(mut before in queue()) {
        // Beside a weight of 1e12 the ties of small jobs are lost in rounding.
        before.jobs.iter_mut().for_each(|job| job.weight = job.weight.clamp(0.1, 10.0));
        let (_, after) = decide_with(r#"{"gap": 0}"#, &before);
        let (again, _) = decide_with(r#"{"gap": 0}"#, &after);
        prop_assert!(again.assignments.is_empty(), "{:?}", again.assignments);
    }
}
