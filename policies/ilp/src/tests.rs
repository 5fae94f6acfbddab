//! The worked example, every way to an answer, and small queues against all answers there are.

use mosel_sdk::test::{self, Queue, Table};
use mosel_sdk::{Decision, Policy, PolicyError, Quality, Snapshot};
use policy_squeeze::Pick;
use proptest::prelude::*;

use crate::{Form, Ilp, MOST_NODES, MOST_VARIABLES, Settings};

/// Time enough, so that only what is set limits the solver.
const AMPLE: u64 = 600_000_000;

fn decide(settings: &str, snapshot: &Snapshot) -> (Decision, Snapshot) {
    let snapshot = within(AMPLE, snapshot.clone());
    let decision = test::decide::<Ilp>(settings, &snapshot).expect("ilp always answers");
    let after = test::adopt(&snapshot, &decision).expect("ilp proposes nothing illegal");
    (decision, after)
}

fn within(budget: u64, mut snapshot: Snapshot) -> Snapshot {
    snapshot.budget = budget;
    snapshot
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

/// Six jobs like each other whose time is worth about the same everywhere: hard to prove anything about.
fn hard() -> Snapshot {
    let mut queue = Queue::new();
    for row in 0..6 {
        let latency = |strategy: u64| 1000 + strategy * 317 + (row * 7 + strategy * 13) % 11 * 10;
        let table: Vec<(u64, f64)> = (0..5).map(|at| (latency(at), latency(at) as f64 / 4000.0)).collect();
        let table = queue.table(&table);
        queue.job(table, 1700 * (row + 1), 0.0);
    }
    queue.snapshot()
}

/// The first job has been squeezed for its own deadline, 30; the second would miss its.
fn squeezed_first_job() -> Snapshot {
    let mut queue = Queue::new();
    let steep = queue.table(&[(10, 0.5), (50, 0.9)]);
    let flat = queue.table(&[(20, 0.7), (95, 0.75)]);
    queue.job(steep, 30, 0.0);
    queue.job(flat, 100, 0.0);
    queue.jobs[0].current = 0;
    queue.snapshot()
}

#[test]
fn figure_2_ends_with_both_jobs_in_time_and_proven_best() {
    for settings in ["{}", r#"{"form": "paper"}"#] {
        let (decision, after) = decide(settings, &figure_2());
        assert!(after.violators().is_empty());
        assert_eq!(after.chosen(), [3, 0]);
        assert_eq!(decision.quality, Quality::Optimal);
        assert_eq!(decision.objective, decision.bound);
    }
}

#[test]
fn one_budget_for_all_makes_an_earlier_job_late() {
    let before = squeezed_first_job();
    assert_eq!(before.violators(), [1]);
    let decision = test::decide::<Ilp>(r#"{"form": "paper"}"#, &before).expect("it answers");
    assert_eq!(decision.quality, Quality::Optimal);
    let refused = test::adopt(&before, &decision).unwrap_err();
    assert_eq!(
        refused, "job 1 is on time now and would be 20µs late",
        "all the time there is goes to the first job, and the server refuses it"
    );
}

#[test]
fn a_deadline_for_every_job_does_not() {
    let (decision, after) = decide("{}", &squeezed_first_job());
    assert_eq!(decision.quality, Quality::Optimal);
    assert_eq!((after.chosen(), after.violators()), (vec![0, 0], vec![]));
}

#[test]
fn one_budget_that_cannot_be_kept_leaves_the_squeeze() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 40, 0.0);
    queue.job(table, 15, 0.0);
    let (decision, after) = decide(r#"{"form": "paper"}"#, &queue.snapshot());
    assert_eq!((after.chosen(), decision.quality, decision.bound), (vec![0, 1], Quality::BestEffort, None));
}

#[test]
fn a_job_that_cannot_be_saved_holds_nobody_back() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 5, 0.5);
    queue.job(table, 60, 0.5);
    queue.job(table, 115, 0.5);
    let (decision, after) = decide("{}", &queue.snapshot());
    assert_eq!(after.violators(), [0]);
    assert_eq!(after.finishes().last(), Some(&110));
    assert_eq!(decision.quality, Quality::BestEffort);
    assert_eq!(decision.objective, decision.bound, "the best effort was proven to be the best");
}

#[test]
fn late_jobs_are_left_alone() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 70, 0.5);
    queue.job(table, 70, 0.5);
    queue.job(table, 5, 0.5);
    queue.jobs[2].late = true;
    queue.jobs[2].current = 0;
    let (decision, after) = decide("{}", &queue.snapshot());
    assert_eq!(after.chosen()[2], 0);
    assert_eq!(after.finishes()[1], 60);
    assert_eq!(decision.quality, Quality::Optimal);
}

#[test]
fn time_that_was_gained_is_given_back() {
    let mut before = figure_2();
    before.jobs[0].current = 1;
    let (decision, after) = decide("{}", &before);
    assert_eq!((after.chosen(), decision.quality), (vec![3, 0], Quality::Optimal));
}

#[test]
fn a_weight_says_who_is_squeezed() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    let _ = [70; 2].map(|deadline| queue.job(table, deadline, 0.5));
    for (dear, chosen) in [(0, [1, 0]), (1, [0, 1])] {
        let mut before = queue.snapshot();
        before.jobs[dear].weight = 3.0;
        assert_eq!(decide("{}", &before).1.chosen(), chosen);
    }
}

#[test]
fn nodes_enough_prove_the_optimum() {
    let before = hard();
    let (decision, after) = decide(r#"{"nodes": 1000000}"#, &before);
    assert_eq!(decision.quality, Quality::Optimal);
    let best = most(&before);
    assert!((value(&before, &after.chosen()) - best).abs() < 1e-9 * best);
}

#[test]
fn too_few_nodes_leave_a_gap_that_is_told() {
    let before = hard();
    let (decision, after) = decide(r#"{"nodes": 1}"#, &before);
    assert_eq!(decision.quality, Quality::Bounded);
    assert!(after.violators().is_empty());
    let best = most(&before);
    assert!(decision.objective.unwrap() <= best && best <= decision.bound.unwrap(), "{decision:?} {best}");
    assert!(decision.objective.unwrap() >= value(&before, &squeezed(&before)), "no worse than what it started from");
}

#[test]
fn a_program_of_as_many_variables_as_are_set_is_solved() {
    assert_eq!(decide(r#"{"variables": 30}"#, &hard()).0.quality, decide("{}", &hard()).0.quality);
}

#[test]
fn a_larger_one_is_squeezed() {
    let before = hard();
    let (decision, after) = decide(r#"{"variables": 29}"#, &before);
    assert_eq!(after.chosen(), squeezed(&before));
    assert_eq!((decision.quality, decision.bound), (Quality::Heuristic, None));
}

#[test]
fn without_time_for_the_solver_the_squeeze_answers() {
    for budget in [0, 1] {
        let before = within(budget, hard());
        let decision = test::decide::<Ilp>("{}", &before).unwrap();
        assert_eq!(test::adopt(&before, &decision).unwrap().chosen(), squeezed(&before));
        assert_eq!((decision.quality, decision.bound), (Quality::Heuristic, None));
    }
}

#[test]
fn times_far_apart_are_no_obstacle() {
    let mut queue = Queue::new();
    let hours = queue.table(&[(1, 0.1), (3_600_000_000, 0.5), (36_000_000_000, 0.9)]);
    let micros = queue.table(&[(1, 0.5), (2, 0.6), (4, 0.7)]);
    queue.job(micros, 3, 0.0);
    queue.job(hours, 36_000_000_000, 0.0);
    queue.job(micros, 36_000_000_005, 0.0);
    let (_, after) = decide("{}", &queue.snapshot());
    assert!(after.violators().is_empty());
}

#[test]
fn settings_within_their_bounds_are_taken() {
    for settings in
        [format!(r#"{{"nodes": {MOST_NODES}, "variables": {MOST_VARIABLES}}}"#), r#"{"nodes":1,"variables":1}"#.into()]
    {
        assert!(test::decide::<Ilp>(&settings, &figure_2()).is_ok(), "{settings}");
    }
}

#[test]
fn settings_outside_are_refused_with_the_bounds() {
    let refusal = |settings: &str| match test::decide::<Ilp>(settings, &figure_2()) {
        Err(PolicyError::BadConfig(reason)) => reason,
        other => panic!("{settings} was not refused: {other:?}"),
    };
    assert_eq!(refusal(r#"{"nodes": 0}"#), "nodes must be 1 to 1000000, not 0");
    assert_eq!(refusal(r#"{"nodes": 1000001}"#), "nodes must be 1 to 1000000, not 1000001");
    assert_eq!(refusal(r#"{"variables": 0}"#), "variables must be 1 to 20000, not 0");
    assert_eq!(refusal(r#"{"variables": 20001}"#), "variables must be 1 to 20000, not 20001");
    assert!(refusal(r#"{"form": "dense"}"#).contains("expected `prefix` or `paper`"));
    assert!(refusal(r#"{"speed": 3}"#).contains("speed"));
}

#[test]
fn the_schema_tells_the_defaults_and_bounds_that_hold() {
    let schema: serde_json::Value = serde_json::from_str(&Ilp::describe().config_schema).unwrap();
    let of = |name: &str| &schema["properties"][name];
    let Settings { form, nodes, variables } = Settings::default();
    assert_eq!(form, serde_json::from_value::<Form>(of("form")["default"].clone()).unwrap());
    assert_eq!((of("nodes")["default"].as_u64(), of("nodes")["maximum"].as_u64()), (Some(nodes), Some(MOST_NODES)));
    let bounds = (of("variables")["default"].as_u64(), of("variables")["maximum"].as_u64());
    assert_eq!(bounds, (Some(variables as u64), Some(MOST_VARIABLES as u64)));
}

fn squeezed(snapshot: &Snapshot) -> Vec<u32> {
    test::host::begin(0, snapshot.sequence, snapshot.now, snapshot.budget);
    policy_squeeze::squeeze(snapshot, Pick::Random).chosen
}

fn value(snapshot: &Snapshot, chosen: &[u32]) -> f64 {
    let rows = snapshot.jobs.iter().zip(chosen).enumerate();
    rows.map(|(row, (job, &strategy))| {
        job.weight * f64::from(job.requests) * snapshot.strategies(row)[strategy as usize].accuracy
    })
    .sum()
}

/// Every strategy a row may be given, by the contract.
fn allowed(snapshot: &Snapshot, row: usize) -> Vec<u32> {
    let job = &snapshot.jobs[row];
    let may = |&strategy: &u32| strategy == job.current || (!job.late && snapshot.legal(row, strategy));
    (0..snapshot.strategies(row).len() as u32).filter(may).collect()
}

/// The rows nothing saves.
fn hopeless(snapshot: &Snapshot) -> Vec<usize> {
    let fastest: Vec<u32> = (0..snapshot.jobs.len()).map(|row| allowed(snapshot, row)[0]).collect();
    snapshot.violators_with(&fastest)
}

/// The most that any answer is worth under which only hopeless rows are late: all are tried.
fn most(snapshot: &Snapshot) -> f64 {
    let tables: Vec<Vec<u32>> = (0..snapshot.jobs.len()).map(|row| allowed(snapshot, row)).collect();
    let hopeless = hopeless(snapshot);
    let mut best = f64::NEG_INFINITY;
    let mut places = vec![0; tables.len()];
    loop {
        let chosen: Vec<u32> = places.iter().zip(&tables).map(|(&place, table): (&usize, _)| table[place]).collect();
        if snapshot.violators_with(&chosen) == hopeless {
            best = best.max(value(snapshot, &chosen));
        }
        let Some(row) = (0..tables.len()).find(|&row| places[row] + 1 < tables[row].len()) else { return best };
        places[..row].fill(0);
        places[row] += 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn small_queues_get_what_ilp_promises(before in small_queue(), nodes in prop_oneof![Just(1_u64), Just(1_000_000)]) {
        let (decision, after) = decide(&format!(r#"{{"nodes": {nodes}}}"#), &before);
        let hopeless = hopeless(&before);
        prop_assert_eq!(after.violators(), hopeless.clone(), "exactly the jobs that nothing saves are late");
        for row in 0..before.jobs.len() {
            prop_assert!(allowed(&before, row).contains(&after.jobs[row].current), "row {} has what it may not", row);
        }
        let (best, reached) = (most(&before), value(&before, &after.chosen()));
        let (objective, bound) = (decision.objective.unwrap(), decision.bound.unwrap());
        let near = 1e-8 * best.max(1.0);
        prop_assert!((objective - reached).abs() <= near);
        prop_assert!(bound >= best - near, "bound {} is under the optimum {}", bound, best);
        prop_assert!(bound >= objective);
        prop_assert_eq!(decision.quality == Quality::BestEffort, !hopeless.is_empty());
        if decision.quality == Quality::Optimal || nodes > 1 {
            prop_assert!((reached - best).abs() <= near, "{} was called optimal, {} is", reached, best);
        }
        prop_assert_eq!(decide(&format!(r#"{{"nodes": {nodes}}}"#), &before).0, decision, "the same again");
    }
}

/// Up to six jobs on tables of up to five, from slack to hopeless, some late, some squeezed, some under their floors.
fn small_queue() -> impl Strategy<Value = Snapshot> {
    let tables = prop::collection::vec(prop::collection::vec((1..40_000_u64, 1..40_u32), 1..=5), 1..=3);
    let jobs = prop::collection::vec(job(), 1..=6);
    (tables, jobs, 0..50_000_u64, 0.5..2.0_f64).prop_map(|(tables, jobs, start, time_factor)| {
        let mut queue = Queue { start, time_factor, ..Queue::new() };
        let tables: Vec<Table> = tables.iter().map(|steps| rising_table(&mut queue, steps)).collect();
        let mut due = start;
        for job in &jobs {
            due += job.slack;
            queue.job(tables[job.table % tables.len()], due.saturating_sub(20_000), job.floor);
            let row = queue.jobs.last_mut().expect("just added");
            row.current -= (job.squeezed * f64::from(row.current)) as u32;
            (row.weight, row.requests, row.late) = (job.weight, job.requests, job.late);
        }
        queue.snapshot()
    })
}

fn rising_table(queue: &mut Queue, steps: &[(u64, u32)]) -> Table {
    let (mut latency, mut accuracy) = (0, 0.3);
    let point = |&(longer, better): &(u64, u32)| {
        latency += longer;
        accuracy += f64::from(better) / 400.0;
        (latency, accuracy)
    };
    let table: Vec<(u64, f64)> = steps.iter().map(point).collect();
    queue.table(&table)
}

#[derive(Clone, Debug)]
struct Row {
    table: usize,
    slack: u64,
    floor: f64,
    squeezed: f64,
    weight: f64,
    requests: u32,
    late: bool,
}

fn job() -> impl Strategy<Value = Row> {
    let late = prop::bool::weighted(0.1);
    let squeezed = prop_oneof![Just(0.0), 0.0..1.0_f64];
    (0..3_usize, 0..120_000_u64, 0.0..0.9_f64, squeezed, 0.1..10.0_f64, 1..200_u32, late).prop_map(
        |(table, slack, floor, squeezed, weight, requests, late)| Row {
            table,
            slack,
            floor,
            squeezed,
            weight,
            requests,
            late,
        },
    )
}
