//! What can go wrong in a decision.

use std::time::Duration;

use mosel_core::{Decision, JobId, PolicyError, Quality, Snapshot, TableId, Time};
use mosel_sandbox::{Budget, Engine, Instance, Level, Limits, MeteredReply, RunningPolicy};
use mosel_tests::queue;

use super::{FUEL, MEMORY, catalog, limits, settings, snapshot, start};
use crate::guests;

/// Longer than any budget here lasts, shorter than a hang.
const SOON: Duration = Duration::from_secs(20);

/// The policy misbehaves, is asked once, and works again when it is asked on lane 0.
fn misbehave(behaviour: &str, amount: u64) -> (MeteredReply, RunningPolicy) {
    let mut policy = start(&settings(behaviour, amount)).expect("it behaves until it is asked");
    let reply = policy.decide(&snapshot(1));
    assert!(reply.wall < SOON, "it took {:?}", reply.wall);
    assert_eq!(policy.decide(&snapshot(0)).answer, Ok(Decision::default()), "it does not recover");
    (reply, policy)
}

/// The reason why there is no answer; the instance was replaced.
fn failure(behaviour: &str, amount: u64) -> PolicyError {
    let (reply, policy) = misbehave(behaviour, amount);
    assert_eq!(policy.replaced(), 1, "an instance that failed is replaced");
    reply.answer.expect_err("there must be no answer")
}

/// The answer, as it was given; the instance is still the first.
fn decision(behaviour: &str, amount: u64) -> Decision {
    let (reply, policy) = misbehave(behaviour, amount);
    assert_eq!(policy.replaced(), 0);
    reply.answer.expect("there must be an answer")
}

fn trap(behaviour: &str, amount: u64) -> String {
    match failure(behaviour, amount) {
        PolicyError::Trapped(reason) => reason,
        other => panic!("expected a trap, got {other:?}"),
    }
}

fn malformed(behaviour: &str, amount: u64) -> String {
    match failure(behaviour, amount) {
        PolicyError::Malformed(reason) => reason,
        other => panic!("expected a malformed answer, got {other:?}"),
    }
}

#[test]
fn fuel_kept() {
    let (reply, _) = misbehave("work", 1_000_000);
    assert_eq!(reply.answer, Ok(Decision::default()));
    let fuel_used = reply.fuel_used.expect("fuel is counted");
    assert!((1_000_000..FUEL).contains(&fuel_used), "{fuel_used} used");
}

#[test]
fn fuel_broken() {
    assert_eq!(failure("loop-in-decide", 0), PolicyError::OutOfFuel(FUEL));
    assert_eq!(failure("work", FUEL), PolicyError::OutOfFuel(FUEL));
}

#[test]
fn fuel_is_the_same_for_the_same_snapshot() {
    let used = || misbehave("work", 12_345).0.fuel_used;
    assert_eq!(used(), used());
}

fn impatient() -> RunningPolicy {
    let decide = Budget { fuel: u64::MAX, time: Duration::from_millis(50) };
    let engine = Engine::new(Limits { decide, ..limits() }).unwrap();
    let loaded = engine.load("hostile", guests::HOSTILE).unwrap();
    RunningPolicy::start(loaded, &settings("loop-in-decide", 0), &catalog(), 0).unwrap()
}

#[test]
fn time_kept() {
    assert_eq!(impatient().decide(&snapshot(0)).answer, Ok(Decision::default()));
}

#[test]
fn time_broken() {
    let mut policy = impatient();
    let reply = policy.decide(&snapshot(1));
    assert_eq!(reply.answer, Err(PolicyError::TimedOut(Duration::from_millis(50))));
    assert!((Duration::from_millis(50)..SOON).contains(&reply.wall), "{:?}", reply.wall);
    assert_eq!(policy.decide(&snapshot(0)).answer, Ok(Decision::default()));
}

#[test]
fn the_snapshot_may_allow_less_time_than_the_engine() {
    let budget = Duration::from_millis(5);
    let reply = impatient().decide(&Snapshot { budget, ..snapshot(1) });
    assert_eq!(reply.answer, Err(PolicyError::TimedOut(budget)));
}

#[test]
fn memory_kept() {
    assert_eq!(decision("take-memory", MEMORY as u64 / 2), Decision::default());
}

#[test]
fn memory_broken() {
    assert_eq!(failure("take-memory", MEMORY as u64 * 2), PolicyError::OutOfMemory(MEMORY as u64));
}

#[test]
fn stack_kept() {
    assert_eq!(decision("recurse", 1000), Decision::default());
}

#[test]
fn stack_broken() {
    trap("recurse", 10_000_000);
}

#[test]
fn panics_are_told_in_their_own_words() {
    assert!(trap("panic", 0).contains("I panic"));
    assert!(trap("flood-and-panic", 0).contains("heard all the same"));
}

#[test]
fn other_traps_are_named() {
    assert_eq!(trap("unreachable", 0), "wasm trap: wasm `unreachable` instruction executed");
    assert_eq!(trap("read-out-of-bounds", 0), "wasm trap: out of bounds memory access");
}

#[test]
fn a_policy_that_traps_now_and_then_is_asked_again_each_time() {
    let mut policy = start(&settings("panic-later", 2)).unwrap();
    let answered: Vec<bool> = (0..9).map(|_| policy.decide(&snapshot(1)).answer.is_ok()).collect();
    assert_eq!(answered, [true, true, false, true, true, false, true, true, false]);
    assert_eq!(policy.replaced(), 2);
    policy.revive().unwrap();
    assert_eq!(policy.replaced(), 3);
}

#[test]
fn a_dead_instance_says_so() {
    let mut instance = Instance::start(super::hostile(), &settings("panic", 0), &catalog(), 0).unwrap();
    assert!(instance.decide(&snapshot(1)).answer.is_err());
    assert!(!instance.alive());
    assert!(matches!(instance.decide(&snapshot(0)).answer, Err(PolicyError::Unavailable(_))));
    assert!(matches!(instance.update_catalog(&catalog()), Err(PolicyError::Unavailable(_))));
}

#[test]
fn a_refusal_is_no_failure() {
    let mut policy = start(&settings("give-up", 0)).unwrap();
    let declined = Err(PolicyError::Declined("gave up: out of ideas".into()));
    assert_eq!(policy.decide(&snapshot(1)).answer, declined);
    assert_eq!(policy.decide(&snapshot(1)).answer, declined);
    assert_eq!(policy.replaced(), 0);
}

#[test]
fn an_instance_keeps_its_state_between_calls() {
    let mut policy = start(&settings("count", 0)).unwrap();
    let mut count = || policy.decide(&snapshot(1)).answer.unwrap().objective;
    assert_eq!([count(), count(), count()], [Some(1.0), Some(2.0), Some(3.0)]);
}

#[test]
fn illegal_proposals_come_through_as_they_were_given() {
    let all = |strategy| [1, 2, 3].map(|job| (JobId(job), strategy)).to_vec();
    assert_eq!(decision("choose", 0).assignments, all(0));
    assert_eq!(decision("choose", 7).assignments, all(7));
    assert_eq!(decision("unknown-job", 0).assignments, [(JobId(u64::MAX), 0)]);
    assert_eq!(decision("duplicate-job", 0).assignments, [(JobId(1), 0); 3]);
    assert_eq!(decision("incomplete-order", 0).order, [JobId(1), JobId(2)]);
}

#[test]
fn numbers_that_are_none_come_through_too() {
    let decision = decision("nan-objective", 0);
    assert_eq!(decision.quality, Quality::Optimal);
    assert!(decision.objective.is_some_and(f64::is_nan));
    assert_eq!(decision.bound, Some(f64::INFINITY));
}

#[test]
fn answer_kept() {
    assert_eq!(decision("many-assignments", 3).assignments.len(), 3);
    assert_eq!(decision("long-order", 3).order.len(), 3);
}

#[test]
fn answer_broken() {
    assert_eq!(malformed("many-assignments", 4), "it has 4 assignments for 3 jobs");
    assert_eq!(malformed("long-order", 4), "it has 4 places in the order for 3 jobs");
}

#[test]
fn answers_beyond_all_measure_are_not_even_copied() {
    let reason = malformed("long-order", 500_000);
    assert!(reason.contains("too much data"), "{reason}");
    malformed("many-assignments", 200_000);
    malformed("long-text", 2 << 20);
}

#[test]
fn answers_of_no_shape_are_malformed() {
    malformed("order-out-of-bounds", 0);
    malformed("broken-text", 0);
}

#[test]
fn log_kept() {
    let (reply, _) = misbehave("flood-log", 64);
    assert_eq!(reply.log.len(), 64);
    assert_eq!((reply.log[63].level, reply.log[63].message.as_str()), (Level::Info, "63"));
    assert_eq!(misbehave("long-message", 1024).0.log[0].message.len(), 1024);
}

#[test]
fn log_broken() {
    let (reply, _) = misbehave("flood-log", 10_000);
    assert_eq!((reply.log.len(), reply.log_left_out), (65, 9_936));
    assert_eq!(reply.log[64].to_string(), "Warn: 9936 messages of the policy were left out: it logs too much");
    assert_eq!(misbehave("long-message", 1025).0.log[0].message.len(), 1024);
    malformed("long-message", 2 << 20);
}

#[test]
fn a_catalog_that_grows_is_told_once() {
    let mut policy = start("{}").unwrap();
    let grown = queue::catalog(&[vec![(10_000, 0.6), (20_000, 0.7), (30_000, 0.8)], vec![(5_000, 0.5)]]);
    let mut asked = snapshot(0);
    asked.jobs[0] = mosel_core::JobRow { table: TableId(1), current: 0, ..asked.jobs[0] };
    let unknown = PolicyError::Declined("unsupported: job 1 names table 1, which the catalog lacks".into());
    assert_eq!(policy.decide(&asked).answer, Err(unknown));
    policy.update_catalog(&grown).unwrap();
    assert_eq!(policy.decide(&asked).answer, Ok(Decision::default()));

    // Nothing is new: a policy that would hang is not called.
    let mut policy = start(&settings("loop-in-update-catalog", 0)).unwrap();
    assert_eq!(policy.update_catalog(&catalog()), Ok(()));
    assert_eq!(policy.update_catalog(&grown), Err(PolicyError::OutOfFuel(FUEL)));
    // A fresh instance is configured with the grown catalog.
    assert_eq!(policy.decide(&asked).answer, Ok(Decision::default()));
    assert_eq!(policy.replaced(), 1);
}

/// What the host tells: random numbers, the time, what is left of it.
fn echo(policy: &mut RunningPolicy, snapshot: &Snapshot) -> Vec<u64> {
    policy.decide(snapshot).answer.unwrap().order.iter().map(|job| job.0).collect()
}

#[test]
fn the_host_tells_the_time_of_the_snapshot() {
    let mut policy = start(&settings("echo", 0)).unwrap();
    let asked = Snapshot { now: Time::from_millis(5_000), budget: Duration::from_secs(1), ..snapshot(1) };
    let [now, remaining] = echo(&mut policy, &asked)[..] else { panic!("two numbers") };
    assert!((5_000_000..5_000_000 + SOON.as_micros() as u64).contains(&now), "{now}");
    assert!((1..=1_000_000).contains(&remaining), "{remaining}");
}

#[test]
fn chance_is_the_seed_and_the_snapshot() {
    let numbers = |seed: u64, plan: u64| {
        let mut policy =
            RunningPolicy::start(super::hostile().clone(), &settings("echo", 1), &catalog(), seed).unwrap();
        let asked = Snapshot { decision: mosel_core::DecisionId(plan), ..snapshot(1) };
        (echo(&mut policy, &asked)[0], echo(&mut policy, &asked)[0])
    };
    let (first, again) = numbers(7, 1);
    assert_eq!(first, again);
    assert_ne!(first, numbers(7, 2).0);
    assert_ne!(first, numbers(8, 1).0);
    mosel_sdk::test::host::begin(7, 1, 0, 0);
    assert_eq!(first, mosel_sdk::random(), "native tests see the server's numbers");
}

#[test]
fn policies_move_between_threads() {
    let mut policy = start("{}").unwrap();
    let answer = std::thread::spawn(move || policy.decide(&snapshot(0)).answer).join().unwrap();
    assert_eq!(answer, Ok(Decision::default()));
}
