//! A policy in another language: `fair-share`, in Python, is made a component by its own build script and asked in the
//! sandbox. It answers what its rule says, which is written down here a second time; what that takes is printed:
//!
//! `cargo test --release -p mosel-tests python_policy:: -- --nocapture`

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mosel_core::{Catalog, JobId, JobRow, Plan, PolicyError, Quality, Snapshot};
use mosel_sandbox::{Budget, ConfigureError, Engine, Limits, LoadedPolicy, MeteredReply, RunningPolicy};
use mosel_tests::queue;

/// The limits of every policy: an interpreter fits in. Only time is not counted, so that results do not depend on the
/// machine.
fn limits() -> Limits {
    let standard = Limits::default();
    let unhurried = |budget| Budget { time: Duration::from_secs(60), ..budget };
    Limits {
        decide: unhurried(standard.decide),
        load: unhurried(standard.load),
        housekeeping: unhurried(standard.housekeeping),
        ..standard
    }
}

/// Where its code is kept between runs.
fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// Compiled once for all tests: that takes longer than all of them.
fn fair_share() -> &'static LoadedPolicy {
    static FAIR_SHARE: OnceLock<LoadedPolicy> = OnceLock::new();
    FAIR_SHARE.get_or_init(|| {
        let component = std::fs::read(built()).expect("the build script has written it");
        let engine = Engine::with_cache(limits(), &compiled()).expect("this machine runs an engine");
        let begun = Instant::now();
        let loaded = engine.load("fair-share", &component).unwrap_or_else(|error| panic!("{error}"));
        println!("{} bytes compiled and asked who they are in {:.1?}", component.len(), begun.elapsed());
        loaded
    })
}

/// The component; made anew only if something it is made of has changed.
fn built() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/fair-share/build.py");
    let component = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fair-share.wasm");
    let status = Command::new("python3").arg(&script).arg(&component).status();
    let status = status.unwrap_or_else(|error| panic!("the policy is built with python3: {error}"));
    assert!(status.success(), "{} ended with {status}; above it says why", script.display());
    component
}

fn start(settings: &str, catalog: &Catalog) -> Result<RunningPolicy, ConfigureError> {
    RunningPolicy::start(fair_share().clone(), settings, catalog, 0)
}

fn ask(settings: &str, catalog: &Catalog, snapshot: &Snapshot) -> MeteredReply {
    start(settings, catalog).unwrap_or_else(|error| panic!("{error}")).decide(snapshot)
}

/// The strategy of every row under a legal answer, and what the policy says of it.
fn chosen(catalog: &Catalog, snapshot: &Snapshot, decided: &MeteredReply) -> (Vec<u32>, Quality) {
    let decision = decided.answer.as_ref().unwrap_or_else(|error| panic!("{error}"));
    let plan = Plan::check(snapshot, catalog, decision).unwrap_or_else(|error| panic!("{error}"));
    assert!(plan.order.is_empty(), "it does not reorder");
    let strategy = |row: &JobRow| plan.choices.get(&row.id).copied().unwrap_or(row.current);
    (snapshot.jobs.iter().map(strategy).collect(), decision.quality)
}

fn check(settings: &str, tables: &[queue::Table], jobs: Vec<JobRow>, expected: &[u32], quality: Quality) {
    let (catalog, snapshot) = (queue::catalog(tables), queue::snapshot(1, jobs));
    let decided = ask(settings, &catalog, &snapshot);
    assert_eq!(chosen(&catalog, &snapshot, &decided), (expected.to_vec(), quality));
}

/// Job 2 of the worked example (floor 0.71) starts at 30; job 3 takes 25 and is due at 150, here 30 less.
#[test]
fn the_worked_example_ends_with_both_jobs_in_time_and_above_their_floors() {
    let tables = [vec![(50, 0.685), (62, 0.71), (78, 0.735), (88, 0.76), (98, 0.775), (110, 0.79)], vec![(25, 0.8)]];
    let jobs = |deadline| vec![queue::job(2, 0, 5, 270, 0.71), queue::job(3, 1, 0, deadline, 0.8)];
    check("{}", &tables, jobs(120), &[3, 0], Quality::Heuristic);
    check("{}", &tables, jobs(110), &[2, 0], Quality::Heuristic);
}

#[test]
fn who_stands_highest_above_its_floor_is_squeezed() {
    let tables = [vec![(10, 0.5), (20, 0.625), (30, 0.75)]];
    let jobs = |deadline| {
        vec![
            queue::job(1, 0, 2, 1000, 0.4375),
            queue::job(2, 0, 2, 1000, 0.375),
            queue::job(3, 0, 2, deadline, 0.5),
            queue::job(4, 0, 2, 1000, 0.0),
        ]
    };
    check("{}", &tables, jobs(80), &[2, 1, 2, 2], Quality::Heuristic);
    check("{}", &tables, jobs(70), &[1, 1, 2, 2], Quality::Heuristic);
    check("{}", &tables, jobs(60), &[1, 0, 2, 2], Quality::Heuristic);
}

#[test]
fn late_and_hopeless_jobs_are_left_alone_and_those_behind_them_saved() {
    let tables = [vec![(10, 0.6), (50, 0.8)]];
    let late = JobRow { given_up: true, ..queue::job(1, 0, 1, 5, 0.0) };
    check("{}", &tables, vec![late, queue::job(2, 0, 1, 70, 0.5)], &[1, 0], Quality::Heuristic);
    let hopeless = queue::job(1, 0, 1, 5, 0.6);
    check("{}", &tables, vec![hopeless, queue::job(2, 0, 1, 70, 0.5)], &[1, 0], Quality::BestEffort);
}

#[test]
fn a_reserve_is_kept_where_it_can_be() {
    let tables = [vec![(1000, 0.6), (3000, 0.7), (5000, 0.8)]];
    let jobs = || vec![queue::job(1, 0, 2, 5000, 0.5)];
    check("{}", &tables, jobs(), &[2], Quality::Heuristic);
    check(r#"{"reserve_ms": 2}"#, &tables, jobs(), &[1], Quality::Heuristic);
    check(r#"{"reserve_ms": 4.5}"#, &tables, jobs(), &[0], Quality::Heuristic);
}

#[test]
fn random_queues_are_answered_by_the_rule() {
    let mut changed = 0;
    for seed in 0..200 {
        let (catalog, snapshot) = queue::random(seed, 1 + seed % 40, 5, 8);
        let decided = ask("{}", &catalog, &snapshot);
        let (chosen, quality) = chosen(&catalog, &snapshot, &decided);
        let native = queue::native(&catalog, &snapshot).snapshot();
        let hopeless = native.violators_with(&fastest(&native));
        assert_eq!(native.violators_with(&chosen), hopeless, "seed {seed}: only what nothing saves stays late");
        assert_eq!(quality == Quality::BestEffort, !hopeless.is_empty(), "seed {seed}");
        assert_eq!(chosen, by_the_rule(&native), "seed {seed}");
        changed += usize::from(chosen != native.chosen());
    }
    assert!(changed > 100, "only {changed} of 200 queues needed anything: the test shows little");
}

/// As plainly as it can be put: while some row would be late that can be saved, the row at or before the first such
/// that stands highest above its floor, of several the first, goes one strategy down.
fn by_the_rule(queue: &mosel_sdk::Snapshot) -> Vec<u32> {
    let fastest = fastest(queue);
    let hopeless = queue.violators_with(&fastest);
    let mut chosen = queue.chosen();
    while let Some(late) = queue.violators_with(&chosen).into_iter().find(|row| !hopeless.contains(row)) {
        let above_floor =
            |row: usize| queue.strategies(row)[chosen[row] as usize].accuracy - queue.jobs[row].min_accuracy;
        let squeezable = (0..=late).rev().filter(|&row| chosen[row] > fastest[row]);
        let richest = squeezable.max_by(|&a, &b| above_floor(a).total_cmp(&above_floor(b)));
        chosen[richest.expect("a row that can be saved has one to squeeze")] -= 1;
    }
    chosen
}

/// Every row on the fastest strategy it may get.
fn fastest(queue: &mosel_sdk::Snapshot) -> Vec<u32> {
    let fastest = |(row, job): (usize, &mosel_sdk::Job)| {
        let legal = queue.fastest_legal(row).filter(|&legal| !job.late && legal < job.current);
        legal.unwrap_or(job.current)
    };
    queue.jobs.iter().enumerate().map(fastest).collect()
}

#[test]
fn it_says_who_it_is_and_what_can_be_set() {
    let description = fair_share().description();
    assert_eq!((description.name.as_str(), description.eager), ("fair-share", false));
    let schema: serde_json::Value = serde_json::from_str(&description.settings_schema).expect("a schema is JSON");
    assert_eq!(schema["properties"]["reserve_ms"]["minimum"], 0);
}

#[test]
fn wrong_settings_are_refused_in_its_own_words() {
    let refusal = |settings| start(settings, &Catalog::default()).map(drop).unwrap_err();
    let message = "reserve_ms is -1, expected a number from 0 to 3600000";
    assert_eq!(refusal(r#"{"reserve_ms": -1}"#), ConfigureError::BadSettings(message.into()));
    let message = "there is no setting 'reserve', only reserve_ms";
    assert_eq!(refusal(r#"{"reserve": 1}"#), ConfigureError::BadSettings(message.into()));
}

#[test]
fn a_row_it_cannot_use_is_declined_and_the_next_question_answered() {
    let catalog = queue::catalog(&[vec![(10, 0.6)]]);
    let mut policy = start("{}", &catalog).unwrap();
    let unknown = queue::snapshot(1, vec![queue::job(1, 9, 0, 100, 0.5)]);
    let declined = policy.decide(&unknown).answer.unwrap_err();
    assert!(matches!(declined, PolicyError::Declined(_)), "{declined:?}");
    assert!(declined.to_string().contains("job 1 names table 9, which the catalog lacks"), "{declined}");
    assert!(policy.decide(&queue::snapshot(2, vec![queue::job(1, 0, 0, 100, 0.5)])).answer.is_ok());
    assert_eq!(policy.replaced(), 0);
}

#[test]
fn tables_that_come_later_are_used() {
    let mut policy = start("{}", &Catalog::default()).unwrap();
    let catalog = queue::catalog(&[vec![(10, 0.6), (50, 0.8)]]);
    policy.update_catalog(&catalog).unwrap();
    let decision = policy.decide(&queue::snapshot(1, vec![queue::job(1, 0, 1, 20, 0.5)])).answer.unwrap();
    assert_eq!(decision.assignments, [(JobId(1), 0)]);
}

/// Printed, not asserted: what README.md of the policy speaks of.
#[test]
fn what_a_decision_takes_is_printed() {
    const CALLS: usize = 101;
    const SEED: u64 = 1;
    for jobs in [1, 10, 100, 1000] {
        let (catalog, snapshot) = queue::random(SEED, jobs, 12, 12);
        let begun = Instant::now();
        let mut policy = start("{}", &catalog).unwrap();
        let answer = policy.decide(&snapshot).answer.unwrap_or_else(|error| panic!("{error}"));
        let first = begun.elapsed();
        let mut calls: Vec<MeteredReply> = (0..CALLS).map(|_| policy.decide(&snapshot)).collect();
        for decided in &calls {
            assert_eq!(decided.answer.as_ref(), Ok(&answer), "one question, two answers");
        }
        let fuel = calls[CALLS - 1].fuel_used.expect("fuel is metered");
        calls.sort_by_key(|decided| decided.wall);
        let (least, median) = (calls[0].wall, calls[CALLS / 2].wall);
        println!("{jobs} jobs x 12, seed {SEED}: {least:.0?} least, {median:.0?} median of {CALLS}, {fuel} fuel");
        println!("    a fresh instance and its first answer: {first:.1?}");
    }
}
