//! The shipped policies: the same snapshot gives the same answer, in the sandbox and natively.

use mosel_core::{Decision, JobId};
use mosel_sandbox::{Engine, Limits, RunningPolicy};
use mosel_tests::queue;
use policy_exact::Exact;
use policy_greedy::Greedy;
use policy_highest_accuracy::HighestAccuracy;

const SEED: u64 = 42;

fn assignments(decision: &Decision) -> Vec<(u64, u32)> {
    decision.assignments.iter().map(|&(JobId(job), strategy)| (job, strategy)).collect()
}

fn native_assignments(wire: &mosel_sdk::Decision) -> Vec<(u64, u32)> {
    wire.assignments.iter().map(|assignment| (assignment.job, assignment.strategy)).collect()
}

/// Asks the component twice and the native code once about each of many random queues; says how often the answer
/// changed something.
fn compare<P: mosel_sdk::Policy>(name: &str) -> usize {
    let engine = Engine::new(Limits::default()).unwrap();
    let loaded = engine.load(name, mosel_policies::shipped(name).unwrap()).unwrap();
    assert_eq!(loaded.description().name, name);
    let mut changed = 0;
    for seed in 0..100 {
        let (catalog, snapshot) = queue::random(seed, 1 + seed % 40, 5, 8);
        let mut policy = RunningPolicy::start(loaded.clone(), "{}", &catalog, SEED).unwrap();
        let answer = policy.decide(&snapshot).answer.unwrap();
        assert_eq!(policy.decide(&snapshot).answer, Ok(answer.clone()), "queue {seed}: two answers");
        let mut native = queue::native(&catalog, &snapshot).snapshot();
        native.now = snapshot.now.micros();
        let native = mosel_sdk::test::decide_seeded::<P>("{}", &native, SEED).unwrap();
        assert_eq!(assignments(&answer), native_assignments(&native), "queue {seed}: native and Wasm differ");
        changed += usize::from(!answer.assignments.is_empty());
    }
    changed
}

#[test]
fn greedy_answers_the_same_everywhere() {
    let changed = compare::<Greedy>("greedy");
    assert!(changed > 50, "only {changed} of 100 queues needed anything: the test shows little");
}

#[test]
fn exact_answers_the_same_everywhere() {
    let changed = compare::<Exact>("exact");
    assert!(changed > 50, "only {changed} of 100 queues needed anything: the test shows little");
}

#[test]
fn highest_accuracy_never_changes_anything() {
    assert_eq!(compare::<HighestAccuracy>("highest-accuracy"), 0);
}

#[test]
fn every_shipped_policy_loads_within_the_default_limits() {
    let engine = Engine::new(Limits::default()).unwrap();
    for (name, bytes) in mosel_policies::SHIPPED {
        let loaded = engine.load(name, bytes).unwrap();
        assert_eq!(loaded.description().name, *name);
        RunningPolicy::start(loaded, "{}", &mosel_core::Catalog::default(), 0).unwrap();
    }
}
