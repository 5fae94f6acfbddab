//! Time of a decision through the sandbox: the crossing alone (`highest-accuracy`), and a policy at work (`greedy`).
//!
//! `cargo bench -p mosel-tests --bench decide`

use divan::Bencher;
use mosel_core::Snapshot;
use mosel_sandbox::{Engine, Limits, LoadedPolicy, RunningPolicy};
use mosel_tests::queue;
use tempfile::TempDir;

const JOBS: [u64; 3] = [10, 100, 1000];
const SEED: u64 = 1;

fn main() {
    println!("random queues, seed {SEED}; 12 tables of 12 strategies");
    divan::main();
}

fn load(name: &str) -> LoadedPolicy {
    let engine = Engine::new(Limits::default()).expect("this machine runs an engine");
    engine.load(name, mosel_policies::shipped(name).expect("it is shipped")).expect("it loads")
}

fn started(name: &str, jobs: u64) -> (RunningPolicy, Snapshot) {
    let (catalog, snapshot) = queue::random(SEED, jobs, 12, 12);
    (RunningPolicy::start(load(name), "{}", &catalog, SEED).expect("it starts"), snapshot)
}

#[divan::bench(args = JOBS)]
fn highest_accuracy(bencher: Bencher, jobs: u64) {
    let (mut policy, snapshot) = started("highest-accuracy", jobs);
    bencher.bench_local(|| policy.decide(&snapshot));
}

#[divan::bench(args = JOBS)]
fn greedy(bencher: Bencher, jobs: u64) {
    let (mut policy, snapshot) = started("greedy", jobs);
    bencher.bench_local(|| policy.decide(&snapshot));
}

/// Configuring the policy and copying the catalog included, some 3 us.
#[divan::bench(args = JOBS)]
fn greedy_native(bencher: Bencher, jobs: u64) {
    let (catalog, snapshot) = queue::random(SEED, jobs, 12, 12);
    let snapshot = queue::native(&catalog, &snapshot).snapshot();
    bencher.bench_local(|| mosel_sdk::test::decide_seeded::<policy_greedy::Greedy>("{}", &snapshot, SEED));
}

#[divan::bench(sample_count = 10)]
fn load_compiled(bencher: Bencher) {
    bencher.with_inputs(|| Engine::new(Limits::default()).unwrap()).bench_local_refs(load_greedy);
}

/// As a server does that starts again.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn load_from_disk(bencher: Bencher) {
    let dir = tempfile::tempdir().unwrap();
    let engine = |dir: &TempDir| Engine::with_cache(Limits::default(), dir.path()).unwrap();
    load_greedy(&mut engine(&dir));
    bencher.with_inputs(|| engine(&dir)).bench_local_refs(load_greedy);
}

/// As a server does that goes back to a policy it had.
#[divan::bench]
fn load_from_memory(bencher: Bencher) {
    let mut engine = Engine::new(Limits::default()).unwrap();
    load_greedy(&mut engine);
    bencher.bench_local(|| load_greedy(&mut engine));
}

fn load_greedy(engine: &mut Engine) -> LoadedPolicy {
    engine.load("greedy", mosel_policies::shipped("greedy").unwrap()).unwrap()
}

#[divan::bench]
fn fresh_instance(bencher: Bencher) {
    let loaded = load("greedy");
    let (catalog, _) = queue::random(SEED, 1, 12, 12);
    bencher.bench_local(|| RunningPolicy::start(loaded.clone(), "{}", &catalog, SEED));
}
