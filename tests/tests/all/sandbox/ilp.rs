//! The integer program in the sandbox: what it answers natively, within what a server grants by default.

use std::time::Duration;

use mosel_core::{Catalog, Decision, JobId, PolicyError, Snapshot};
use mosel_sandbox::{Budget, Engine, Limits, LoadedPolicy, RunningPolicy};
use mosel_sdk::test;
use mosel_tests::queue;
use policy_ilp::Ilp;

const SEED: u64 = 42;

/// So much that the solver never has to look at the clock: what is left is the same on every machine.
const AMPLE: Budget = Budget { fuel: 20_000_000_000, time: Duration::from_secs(600) };

fn loaded(decide: Budget) -> LoadedPolicy {
    let engine = Engine::new(Limits { decide, ..Limits::default() }).unwrap();
    engine.load("ilp", mosel_policies::shipped("ilp").unwrap()).unwrap()
}

fn ask(
    loaded: &LoadedPolicy,
    settings: &str,
    (catalog, snapshot): &(Catalog, Snapshot),
) -> Result<Decision, PolicyError> {
    RunningPolicy::start(loaded.clone(), settings, catalog, SEED).unwrap().decide(snapshot).answer
}

fn natively(settings: &str, (catalog, snapshot): &(Catalog, Snapshot)) -> mosel_sdk::Decision {
    let mut native = queue::native(catalog, snapshot).snapshot();
    native.budget = AMPLE.time.as_micros() as u64;
    test::decide_seeded::<Ilp>(settings, &native, SEED).unwrap()
}

fn assignments(decision: &Decision) -> Vec<(u64, u32)> {
    decision.assignments.iter().map(|&(JobId(job), strategy)| (job, strategy)).collect()
}

#[test]
fn ilp_answers_the_same_everywhere() {
    let loaded = loaded(AMPLE);
    let mut solved = 0;
    for seed in 0..20 {
        let question = queue::random(seed, 1 + seed, 5, 6);
        for settings in [r#"{"nodes": 20}"#, r#"{"form": "paper", "nodes": 20}"#] {
            let answer = ask(&loaded, settings, &question).unwrap();
            let native = natively(settings, &question);
            let named: Vec<(u64, u32)> =
                native.assignments.iter().map(|chosen| (chosen.job, chosen.strategy)).collect();
            assert_eq!(assignments(&answer), named, "queue {seed}: native and Wasm differ");
            assert_eq!((answer.objective, answer.bound), (native.objective, native.bound), "queue {seed}");
            solved += u32::from(!named.is_empty() && answer.bound.is_some());
        }
    }
    assert!(solved > 15, "only {solved} of 40 programs were solved and changed anything: the test shows little");
}

#[test]
fn the_default_settings_keep_the_default_budget_of_fuel() {
    let loaded = loaded(Budget { fuel: Limits::default().decide.fuel, ..AMPLE });
    for (jobs, strategies) in [(25, 12), (50, 6), (100, 3), (1000, 12)] {
        for seed in 0..5 {
            let answer = ask(&loaded, "{}", &queue::random(seed, jobs, 5, strategies));
            assert!(answer.is_ok(), "{jobs} jobs x {strategies}, queue {seed}: {answer:?}");
        }
    }
}

#[test]
fn nodes_beyond_the_budget_of_fuel_are_cut_off() {
    let loaded = loaded(Budget { fuel: 50_000_000, ..AMPLE });
    let is_cut_off = |&seed: &u64| {
        let answer = ask(&loaded, r#"{"nodes": 1000000}"#, &queue::random(seed, 40, 5, 6));
        matches!(answer, Err(PolicyError::OutOfFuel(_)))
    };
    assert!((0..10).filter(is_cut_off).count() > 0, "ten hard programs were solved for little fuel");
}
