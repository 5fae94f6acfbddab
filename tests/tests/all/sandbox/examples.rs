//! The examples, in the sandbox: they load as they are shipped to be read, and answer what they answer natively.

use mosel_core::JobId;
use mosel_sandbox::{Engine, Limits, RunningPolicy};
use mosel_sdk::test;
use mosel_tests::queue;
use policy_cheapest::Cheapest;
use policy_earliest_deadline::EarliestDeadline;
use policy_tenant_weights::TenantWeights;

/// Asks component and native code about many random queues; says in how many the order changed, and a strategy.
fn compare<P: mosel_sdk::Policy>(name: &str, settings: &str) -> (usize, usize) {
    let engine = Engine::new(Limits::default()).unwrap();
    let loaded = engine.load(name, mosel_policies::example(name).unwrap()).unwrap();
    assert_eq!(loaded.description().name, name);
    let (mut orders, mut strategies) = (0, 0);
    for seed in 0..100 {
        let (catalog, snapshot) = queue::random(seed, 1 + seed % 40, 5, 8);
        let answer =
            RunningPolicy::start(loaded.clone(), settings, &catalog, 0).unwrap().decide(&snapshot).answer.unwrap();
        let native = test::decide::<P>(settings, &queue::native(&catalog, &snapshot).snapshot()).unwrap();
        let order: Vec<u64> = answer.order.iter().map(|&JobId(job)| job).collect();
        let chosen: Vec<(u64, u32)> =
            answer.assignments.iter().map(|&(JobId(job), strategy)| (job, strategy)).collect();
        let natively: Vec<(u64, u32)> = native.assignments.iter().map(|chosen| (chosen.job, chosen.strategy)).collect();
        assert_eq!((order, chosen), (native.order, natively), "queue {seed}: native and Wasm differ");
        orders += usize::from(!answer.order.is_empty());
        strategies += usize::from(!answer.assignments.is_empty());
    }
    (orders, strategies)
}

#[test]
fn earliest_deadline_answers_the_same_everywhere() {
    let (orders, strategies) = compare::<EarliestDeadline>("earliest-deadline", "{}");
    assert!(
        orders > 20 && strategies > 20,
        "{orders} orders and {strategies} strategies of 100: the test shows little"
    );
}

#[test]
fn tenant_weights_answers_the_same_everywhere() {
    let settings = r#"{"weights": {"acme": 3, "free": 0.5}, "default": 2}"#;
    let (orders, strategies) = compare::<TenantWeights>("tenant-weights", settings);
    assert!(
        orders == 0 && strategies > 50,
        "{orders} orders and {strategies} strategies of 100: the test shows little"
    );
}

#[test]
fn cheapest_answers_the_same_everywhere() {
    let (orders, strategies) = compare::<Cheapest>("cheapest", "{}");
    assert!(
        orders == 0 && strategies > 50,
        "{orders} orders and {strategies} strategies of 100: the test shows little"
    );
}
