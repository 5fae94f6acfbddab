//! What can go wrong between decisions: outcomes told, state saved and restored, a catalog that grows.

use std::time::Duration;

use mosel_core::{Decision, End, Outcome, PolicyError, TableId, Time};
use mosel_sandbox::{Budget, Engine, Limits, RunningPolicy, SavedState};
use mosel_tests::queue;

use super::{FUEL, catalog, limits, settings, snapshot, start};
use crate::guests;

const MIB: u64 = 1 << 20;

fn hostile(behaviour: &str, amount: u64) -> RunningPolicy {
    start(&settings(behaviour, amount)).expect("it behaves until it is asked")
}

fn outcome(job: u64, end: End) -> Outcome {
    Outcome {
        end,
        finish: Time::from_millis(30),
        deadline: Time::from_millis(30),
        device_time: Duration::from_micros(120),
        expected_time: Duration::from_micros(100),
        last_choice: (TableId(7), 3),
        ..mosel_testkit::jobs::outcome(job)
    }
}

/// What the policy logged since it was last asked.
fn logged(policy: &mut RunningPolicy) -> Vec<String> {
    let reply = policy.decide(&snapshot(0));
    assert_eq!(reply.answer, Ok(Decision::default()));
    reply.log.into_iter().map(|line| line.message).collect()
}

/// The policy failed for this reason, and is replaced for the next decision.
#[track_caller]
fn check_failed<T: std::fmt::Debug>(mut policy: RunningPolicy, answer: Result<T, PolicyError>, expected: PolicyError) {
    assert_eq!(answer.expect_err("it must fail"), expected);
    assert_eq!(policy.decide(&snapshot(0)).answer, Ok(Decision::default()), "it does not recover");
    assert_eq!(policy.replaced(), 1);
}

fn trap_words<T: std::fmt::Debug>(answer: Result<T, PolicyError>) -> String {
    match answer {
        Err(PolicyError::Trapped(words)) => words,
        other => panic!("expected a trap, got {other:?}"),
    }
}

#[test]
fn outcomes_of_served_jobs_are_told() {
    let mut policy = hostile("tell-outcomes", 10);
    let late = Outcome { finish: Time::from_millis(31), ..outcome(2, End::Served) };
    let others = [End::Dropped, End::Cancelled, End::Failed].map(|end| outcome(9, end));
    let told: Vec<Outcome> = [outcome(1, End::Served), late].into_iter().chain(others).collect();
    assert_eq!(policy.observe(&told), Ok(()));
    let [count, first, second] = &logged(&mut policy)[..] else { panic!("three messages") };
    assert_eq!(count, "2 outcomes");
    assert_eq!(first, "Outcome { job: 1, table: 7, strategy: 3, expected: 100, measured: 120, deadline-met: true }");
    assert!(second.contains("job: 2") && second.contains("deadline-met: false"), "{second}");
}

#[test]
fn a_policy_is_not_called_when_there_is_nothing_to_tell() {
    let mut policy = hostile("loop-in-observe", 0);
    assert_eq!(policy.observe(&[]), Ok(()));
    assert_eq!(policy.observe(&[outcome(1, End::Cancelled)]), Ok(()));
}

#[test]
fn outcomes_a_call_kept() {
    let mut policy = hostile("tell-outcomes", 0);
    policy.observe(&vec![outcome(1, End::Served); 4096]).unwrap();
    assert_eq!(logged(&mut policy), ["4096 outcomes"]);
}

#[test]
fn outcomes_a_call_broken() {
    let mut policy = hostile("tell-outcomes", 0);
    policy.observe(&vec![outcome(1, End::Served); 4097]).unwrap();
    assert_eq!(logged(&mut policy), ["4096 outcomes", "1 outcomes"]);
}

#[test]
fn observe_has_a_budget() {
    let mut policy = hostile("loop-in-observe", 0);
    let answer = policy.observe(&[outcome(1, End::Served)]);
    check_failed(policy, answer, PolicyError::OutOfFuel(FUEL));
}

#[test]
fn a_panic_in_observe_is_told_in_its_own_words() {
    let mut policy = hostile("panic-in-observe", 0);
    let words = trap_words(policy.observe(&[outcome(1, End::Served)]));
    assert!(words.contains("I will not look"), "{words}");
    policy.revive().unwrap();
    assert_eq!(policy.replaced(), 1);
}

#[test]
fn state_outlives_the_policy_that_saved_it() {
    let mut policy = hostile("count", 0);
    (0..3).for_each(|_| drop(policy.decide(&snapshot(1))));
    let saved = policy.save().unwrap().expect("it keeps state");
    assert_eq!((saved.name.as_str(), saved.state.as_slice()), ("hostile", &b"3"[..]));
    assert_eq!(saved.version, policy.loaded().description().version);

    let mut successor = hostile("count", 0);
    assert_eq!(successor.restore(&saved), Ok(()));
    assert_eq!(successor.decide(&snapshot(1)).answer.unwrap().objective, Some(4.0));
}

#[test]
fn a_replaced_instance_starts_without_state() {
    let mut policy = hostile("panic-later", 5);
    let state = b"4".to_vec();
    policy.restore(&SavedState { name: "hostile".into(), version: "0".into(), state }).unwrap();
    assert!(policy.decide(&snapshot(1)).answer.is_ok());
    assert!(policy.decide(&snapshot(1)).answer.is_err());
    assert_eq!(policy.save(), Err(PolicyError::Unavailable("its instance failed in an earlier call".into())));
    assert!(policy.decide(&snapshot(1)).answer.is_ok());
    assert_eq!(policy.save().unwrap().unwrap().state, b"1");
}

#[test]
fn state_kept() {
    assert_eq!(hostile("save-much", MIB).save().unwrap().unwrap().state.len(), 1 << 20);
}

#[test]
fn state_broken() {
    let mut policy = hostile("save-much", MIB + 1);
    let answer = policy.save();
    let words = "its state has 1048577 bytes, expected at most 1048576";
    check_failed(policy, answer, PolicyError::Malformed(words.into()));

    let Err(PolicyError::Malformed(words)) = hostile("save-much", 8 * MIB).save() else { panic!("it must fail") };
    assert!(words.contains("too much data"), "not even copied: {words}");

    let state = vec![0; (1 << 20) + 1];
    let mut policy = hostile("loop-in-restore", 0);
    let declined = policy.restore(&SavedState { name: "hostile".into(), version: "0".into(), state });
    assert!(matches!(declined, Err(PolicyError::Declined(_))), "not even asked: {declined:?}");
}

#[test]
fn save_and_restore_have_a_budget() {
    let mut policy = hostile("loop-in-save", 0);
    let answer = policy.save();
    check_failed(policy, answer, PolicyError::OutOfFuel(FUEL));

    let saved = hostile("behave", 0).save().unwrap().unwrap();
    let mut policy = hostile("loop-in-restore", 0);
    let answer = policy.restore(&saved);
    check_failed(policy, answer, PolicyError::OutOfFuel(FUEL));
}

#[test]
fn panics_in_save_and_restore_are_told_in_their_own_words() {
    let words = trap_words(hostile("panic-in-save", 0).save());
    assert!(words.contains("I keep it to myself"), "{words}");
    let saved = hostile("behave", 0).save().unwrap().unwrap();
    let words = trap_words(hostile("panic-in-restore", 0).restore(&saved));
    assert!(words.contains("I want none of this"), "{words}");
}

#[test]
fn to_refuse_a_state_is_no_failure() {
    let saved = hostile("behave", 0).save().unwrap().unwrap();
    let mut policy = hostile("refuse-to-restore", 0);
    drop(policy.decide(&snapshot(1)));
    let words = format!("unsupported: nothing of hostile {} is of use", saved.version);
    assert_eq!(policy.restore(&saved), Err(PolicyError::Declined(words)));
    assert_eq!(policy.save().unwrap().unwrap().state, b"1", "it was not harmed");
    assert_eq!(policy.replaced(), 0);
}

#[test]
fn a_policy_without_state_and_feedback_is_not_asked() {
    let greedy = mosel_policies::shipped("greedy").unwrap();
    let greedy = super::engine().load("greedy", greedy).unwrap();
    let mut policy = RunningPolicy::start(greedy, "{}", &catalog(), 0).unwrap();
    assert_eq!(policy.save(), Ok(None));
    assert_eq!(policy.observe(&[outcome(1, End::Served)]), Ok(()));
    let saved = SavedState { name: "greedy".into(), version: "0".into(), state: Vec::new() };
    assert!(matches!(policy.restore(&saved), Err(PolicyError::Declined(_))));
    assert_eq!(policy.replaced(), 0);
}

#[test]
fn housekeeping_has_a_budget_of_its_own() {
    let housekeeping = Budget { fuel: FUEL / 2, time: Duration::from_secs(10) };
    let engine = Engine::new(Limits { housekeeping, ..limits() }).unwrap();
    let loaded = engine.load("hostile", guests::HOSTILE).unwrap();
    let grown = queue::catalog(&[vec![(10_000, 0.6)], vec![(5_000, 0.5)]]);
    let hostile = |behaviour| RunningPolicy::start(loaded.clone(), &settings(behaviour, 0), &catalog(), 0).unwrap();
    let out_of_fuel = PolicyError::OutOfFuel(FUEL / 2);
    assert_eq!(hostile("loop-in-observe").observe(&[outcome(1, End::Served)]), Err(out_of_fuel.clone()));
    assert_eq!(hostile("loop-in-save").save(), Err(out_of_fuel.clone()));
    assert_eq!(hostile("loop-in-update-catalog").update_catalog(&grown), Err(out_of_fuel));
    assert_eq!(hostile("loop-in-decide").decide(&snapshot(1)).answer, Err(PolicyError::OutOfFuel(FUEL)));
}

#[test]
fn housekeeping_has_a_time_limit_of_its_own() {
    let housekeeping = Budget { fuel: u64::MAX, time: Duration::from_millis(20) };
    let engine = Engine::new(Limits { housekeeping, ..limits() }).unwrap();
    let loaded = engine.load("hostile", guests::HOSTILE).unwrap();
    let mut policy = RunningPolicy::start(loaded, &settings("loop-in-save", 0), &catalog(), 0).unwrap();
    assert_eq!(policy.save(), Err(PolicyError::TimedOut(housekeeping.time)));
}
