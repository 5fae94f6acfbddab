//! How long decisions take natively, and how near to the bound they are.
//!
//! `cargo run --release -p policy-exact --example speed [SEED]`

mod queues;

use std::time::{Duration, Instant};

use mosel_sdk::test::host;
use mosel_sdk::{Decision, Policy, Snapshot};
use policy_exact::{Exact, Settings};
use queues::Kind;

const INSTANCES: u64 = 100;
const CALLS: usize = 30;

fn main() {
    let seed = std::env::args().nth(1).map_or(1, |seed| seed.parse().expect("expected a number as the seed"));
    println!("{INSTANCES} queues each, seeds {seed} and up; {CALLS} calls a queue; microseconds");
    println!("kind          jobs  strategies   median      p99   gap mean %    gap max %  optimal");
    for kind in [Kind::Uneven, Kind::Proportional] {
        for (jobs, strategies) in [(10, 6), (100, 12), (100, 30), (300, 12), (1_000, 12), (10_000, 12)] {
            measure(kind, seed, jobs, strategies);
        }
    }
}

fn measure(kind: Kind, seed: u64, jobs: usize, strategies: usize) {
    let instances = if jobs > 1_000 { INSTANCES / 10 } else { INSTANCES };
    let (mut times, mut gaps, mut optimal) = (Vec::new(), Vec::new(), 0);
    for seed in seed..seed + instances {
        let snapshot = queues::random(kind, seed, jobs, strategies).snapshot();
        let mut exact = Exact::configure(Settings::default(), &snapshot.catalog).expect("its settings are sound");
        for _ in 0..CALLS {
            let (decision, time) = decide(&mut exact, &snapshot);
            times.push(time);
            gaps.push(gap(&decision));
        }
        optimal += usize::from(gaps.last() == Some(&0.0));
    }
    times.sort_unstable();
    let micros = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
    let mean = 100.0 * gaps.iter().sum::<f64>() / gaps.len() as f64;
    let most = 100.0 * gaps.iter().copied().fold(0.0, f64::max);
    let (median, p99, kind) = (micros(50), micros(99), format!("{kind:?}"));
    println!(
        "{kind:12} {jobs:5} {strategies:11} {median:8.1} {p99:8.1} {mean:12.4} {most:12.4} {optimal:4}/{instances}"
    );
}

fn decide(exact: &mut Exact, snapshot: &Snapshot) -> (Decision, Duration) {
    host::begin(0, snapshot.sequence, snapshot.now, snapshot.budget);
    let begun = Instant::now();
    let decision = exact.decide(snapshot).expect("exact answers");
    (decision, begun.elapsed())
}

fn gap(decision: &Decision) -> f64 {
    let (Some(objective), Some(bound)) = (decision.objective, decision.bound) else { return f64::NAN };
    (bound - objective) / bound
}
