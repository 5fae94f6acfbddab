//! Which of a budget's two bounds hold.

use std::time::Duration;

use mosel_core::{Decision, JobId, PolicyError};
use mosel_sandbox::{Budget, Engine, Limits, MeteredReply, Metering, RunningPolicy, fuel_time};

use super::{FUEL, catalog, limits, settings, snapshot};
use crate::guests;

const NO_TIME: Duration = Duration::ZERO;
const SOME_TIME: Duration = Duration::from_millis(20);

fn policy(metering: Metering, decide: Budget, behaviour: &str) -> RunningPolicy {
    let engine = Engine::new(Limits { metering, decide, ..limits() }).unwrap();
    let loaded = engine.load("hostile", guests::HOSTILE).unwrap();
    RunningPolicy::start(loaded, &settings(behaviour, 1_000_000), &catalog(), 0).unwrap()
}

#[test]
fn fuel_alone_does_not_look_at_the_clock() {
    let reply = policy(Metering::Fuel, Budget { fuel: FUEL, time: NO_TIME }, "work").decide(&snapshot(1));
    assert_eq!(reply.answer, Ok(Decision::default()));
    assert!(reply.fuel_used.is_some_and(|fuel| fuel > 1_000_000), "{:?}", reply.fuel_used);
}

#[test]
fn fuel_alone_ends_an_endless_loop() {
    let reply = policy(Metering::Fuel, Budget { fuel: FUEL, time: NO_TIME }, "loop-in-decide").decide(&snapshot(1));
    assert_eq!(reply.answer, Err(PolicyError::OutOfFuel(FUEL)));
}

#[test]
fn fuel_alone_is_what_a_policy_sees_of_time() {
    let budget = Budget { fuel: FUEL, time: SOME_TIME };
    let engine = Engine::new(Limits { metering: Metering::Fuel, decide: budget, ..limits() }).unwrap();
    let loaded = engine.load("hostile", guests::HOSTILE).unwrap();
    let policy = || RunningPolicy::start(loaded.clone(), &settings("echo", 0), &catalog(), 0).unwrap();
    let clock = || match policy().decide(&snapshot(1)) {
        MeteredReply { answer: Ok(decision), fuel_used: Some(used), .. } => (decision.order, used),
        other => panic!("expected a clock's words, got {other:?}"),
    };
    let (words, used) = clock();
    let [JobId(now), JobId(remaining)] = words[..] else { panic!("expected two times, got {words:?}") };
    let passed = Duration::from_micros(now - snapshot(1).now.micros());
    assert!(passed > Duration::ZERO && passed <= fuel_time(used), "{passed:?} of {:?}", fuel_time(used));
    let left = snapshot(1).budget.min(SOME_TIME) - passed;
    assert!(Duration::from_micros(remaining) <= left && Duration::from_micros(remaining + 20) > left, "{remaining}");
    assert_eq!(clock(), (words, used), "the machine's clock shines through");
}

#[test]
fn time_alone_does_not_count_fuel() {
    let time = Duration::from_secs(10);
    let reply = policy(Metering::Time, Budget { fuel: 1, time }, "work").decide(&snapshot(1));
    assert_eq!((reply.answer, reply.fuel_used), (Ok(Decision::default()), None));
}

#[test]
fn time_alone_ends_an_endless_loop() {
    let mut policy = policy(Metering::Time, Budget { fuel: 1, time: SOME_TIME }, "loop-in-decide");
    let reply = policy.decide(&snapshot(1));
    assert_eq!((reply.answer, reply.fuel_used), (Err(PolicyError::TimedOut(SOME_TIME)), None));
    assert_eq!(policy.decide(&snapshot(0)).answer, Ok(Decision::default()));
}
