//! A policy that was built against contract 0.1.0 and is never rebuilt still loads, and every call works as it did.

use std::sync::OnceLock;
use std::time::Duration;

use mosel_core::{Catalog, Decision, JobId, JobRow, Outcome, PolicyError, Quality, Snapshot, TableId, Tenant, Time};
use mosel_sandbox::{ConfigureError, Engine, Limits, LoadedPolicy, RunningPolicy, SavedState};
use mosel_tests::queue;

const COMPONENT: &[u8] = include_bytes!("../../fixtures/policy-0.1.0.wasm");
const SHA256: &str = "0fd6ff60c623ea82930faa9df58c33947747b5f096106c1515b75afecec166b5";

fn loaded() -> &'static LoadedPolicy {
    static LOADED: OnceLock<LoadedPolicy> = OnceLock::new();
    LOADED.get_or_init(|| {
        let engine = Engine::new(Limits::default()).expect("this machine runs an engine");
        engine.load("policy-0.1.0", COMPONENT).expect("what was built against 0.1.0 still loads")
    })
}

fn start(settings: &str) -> Result<RunningPolicy, ConfigureError> {
    RunningPolicy::start(loaded().clone(), settings, &catalog(), 7)
}

fn policy(settings: &str) -> RunningPolicy {
    start(settings).expect("the settings are right")
}

fn catalog() -> Catalog {
    queue::catalog(&[vec![(10_000, 0.5), (20_000, 0.625), (30_000, 0.75)]])
}

/// Three jobs on their most accurate strategy; the second has a floor that holds it there, the third is due first.
fn snapshot() -> Snapshot {
    let jobs = [(1, 200_000, 0.5), (2, 300_000, 0.75), (3, 100_000, 0.5)];
    let rows = jobs.map(|(id, deadline, floor)| JobRow {
        requests: 4,
        weight: 2.0,
        tenant: Tenant::named("acme"),
        ..queue::job(id, 0, 2, deadline, floor)
    });
    queue::snapshot(1, rows.to_vec())
}

fn outcome(job: u64, finish: u64) -> Outcome {
    Outcome {
        finish: Time::from_micros(finish),
        deadline: Time::from_micros(100),
        min_accuracy: 0.5,
        accuracy: Some(0.75),
        started: Some(Time::START),
        device_time: Duration::from_micros(40),
        expected_time: Duration::from_micros(30),
        last_choice: (TableId(0), 2),
        ..mosel_testkit::jobs::outcome(job)
    }
}

fn saved(policy: &mut RunningPolicy) -> String {
    let saved = policy.save().expect("it can be saved").expect("it is stateful");
    assert_eq!((&*saved.name, &*saved.version), ("fixture", "0.1.0"));
    String::from_utf8(saved.state).expect("its state is text")
}

#[test]
fn it_is_the_component_that_was_built_then() {
    assert_eq!(loaded().hash(), SHA256);
}

#[test]
fn it_says_who_it_is() {
    let description = loaded().description();
    assert_eq!((&*description.name, &*description.version), ("fixture", "0.1.0"));
    assert_eq!(description.summary, "Uses everything that contract 0.1 has");
    assert!(description.stateful && description.feedback && description.eager);
    assert!(description.settings_schema.contains("gave-up"));
}

#[test]
fn settings_are_read_and_wrong_ones_refused() {
    assert!(start("{}").is_ok());
    let refused = start(r#"{"down": "all"}"#).expect_err("that is no number");
    assert!(matches!(&refused, ConfigureError::BadSettings(reason) if reason.starts_with("down: ")), "{refused:?}");
}

#[test]
fn a_decision_has_all_its_fields() {
    let reply = policy(r#"{"down": 2}"#).decide(&snapshot());
    let expected = Decision {
        assignments: vec![(JobId(1), 1)],
        order: vec![JobId(3), JobId(1), JobId(2)],
        quality: Quality::Bounded,
        objective: Some(17.0),
        bound: Some(18.0),
    };
    assert_eq!(reply.answer, Ok(expected));
}

#[test]
fn all_that_it_imports_is_there() {
    let log = policy("{}").decide(&snapshot()).log;
    let said: Vec<&str> = log.iter().map(|line| &*line.message).collect();
    // The number is the first of the stream of seed 7 and sequence 1, and has to stay it.
    mosel_sdk::test::host::begin(7, 1, 0, 0);
    assert_eq!(said, [format!("Trigger::Violation in time: true, drew {}", mosel_sdk::random())]);
}

#[test]
fn every_error_is_told_in_its_words() {
    for (refuse, words) in [("unsupported", "unsupported"), ("gave-up", "gave up"), ("internal", "internal error")] {
        let mut policy = policy(&format!(r#"{{"refuse": "{refuse}"}}"#));
        let answer = policy.decide(&snapshot()).answer;
        assert_eq!(answer, Err(PolicyError::Declined(format!("{words}: as its settings say"))));
        assert_eq!(policy.decide(&snapshot()).answer, answer);
        assert_eq!(policy.replaced(), 0, "an error is an answer");
    }
}

#[test]
fn outcomes_are_counted_and_saved() {
    let mut policy = policy("{}");
    policy.observe(&[outcome(1, 90), outcome(2, 101)]).expect("outcomes are taken");
    policy.observe(&[outcome(5, 100)]).expect("outcomes are taken");
    policy.decide(&snapshot()).answer.expect("it answers");
    assert_eq!(
        saved(&mut policy),
        r#"{"decisions":1,"updates":0,"tables":1,"outcomes":3,"deadlines_met":2,"expected":90,"measured":120,"last":[5,0,2]}"#
    );
}

#[test]
fn a_catalog_that_grows_is_taken_in() {
    let mut policy = policy(r#"{"down": 1}"#);
    let grown = queue::catalog(&[vec![(10_000, 0.5)], vec![(1_000, 0.25), (5_000, 0.5)]]);
    policy.update_catalog(&grown).expect("news are taken");
    let newcomer = queue::snapshot(2, vec![queue::job(9, 1, 1, 3_000, 0.0)]);
    let answer = policy.decide(&newcomer).answer.expect("it answers");
    assert_eq!(answer.assignments, [(JobId(9), 0)]);
    assert!(saved(&mut policy).starts_with(r#"{"decisions":1,"updates":1,"tables":2,"#));
}

#[test]
fn state_outlives_the_instance_and_garbage_is_refused() {
    let mut old = policy("{}");
    old.observe(&[outcome(1, 90)]).expect("outcomes are taken");
    let state = old.save().expect("it can be saved").expect("it is stateful");
    let mut new = policy("{}");
    new.restore(&state).expect("it is its own state");
    assert_eq!(new.save(), Ok(Some(state.clone())));

    let before = saved(&mut new);
    for wrong in [
        SavedState { state: b"garbage".to_vec(), ..state.clone() },
        SavedState { state: Vec::new(), ..state.clone() },
        SavedState { name: "another".into(), ..state },
    ] {
        let refused = new.restore(&wrong);
        assert!(
            matches!(&refused, Err(PolicyError::Declined(words)) if words.starts_with("unsupported: ")),
            "{refused:?}"
        );
    }
    assert_eq!(saved(&mut new), before, "what was refused changed nothing");
    assert_eq!(new.replaced(), 0, "and broke nothing");
}
