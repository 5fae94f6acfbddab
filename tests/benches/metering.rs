//! What fuel and the clock each cost a policy at work, as ratios within one run: the same decisions of the greedy policy
//! under every kind of metering, in turns, so that whatever else the machine does falls on all of them alike.
//!
//! `cargo bench -p mosel-tests --bench metering`

use std::time::{Duration, Instant};

use mosel_core::Snapshot;
use mosel_sandbox::{Engine, Limits, Metering, RunningPolicy};
use mosel_tests::queue;

const SEED: u64 = 1;
const ROUNDS: usize = 400;
const MODES: [(&str, Metering); 4] = [
    ("neither", Metering::Neither),
    ("time", Metering::Time),
    ("fuel", Metering::Fuel),
    ("fuel and time", Metering::FuelAndTime),
];

fn main() {
    println!(
        "greedy, random queues of seed {SEED}, 12 tables of 12 strategies, medians of {ROUNDS} decisions in turns"
    );
    println!("{:>6}  {:<14}  {:>9}  {:>7}", "jobs", "metering", "us", "ratio");
    for jobs in [100, 1000] {
        let medians = medians(jobs);
        for ((name, _), median) in MODES.iter().zip(&medians) {
            let ratio = median.as_secs_f64() / medians[0].as_secs_f64();
            println!("{jobs:>6}  {name:<14}  {:>9.1}  {ratio:>7.3}", median.as_secs_f64() * 1e6);
        }
    }
}

fn medians(jobs: u64) -> Vec<Duration> {
    let (catalog, snapshot) = queue::random(SEED, jobs, 12, 12);
    let start = |(_, metering)| {
        let engine = Engine::new(Limits { metering, ..Limits::default() }).expect("this machine runs an engine");
        let greedy = mosel_policies::shipped("greedy").expect("it is shipped");
        RunningPolicy::start(engine.load("greedy", greedy).expect("it loads"), "{}", &catalog, SEED).expect("it starts")
    };
    let mut policies = MODES.map(start);
    let mut times = MODES.map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for (policy, times) in policies.iter_mut().zip(&mut times) {
            times.push(time(policy, &snapshot));
        }
    }
    times.into_iter().map(median).collect()
}

fn time(policy: &mut RunningPolicy, snapshot: &Snapshot) -> Duration {
    let began = Instant::now();
    let reply = policy.decide(snapshot);
    let took = began.elapsed();
    assert!(reply.answer.is_ok(), "{:?}", reply.answer);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
