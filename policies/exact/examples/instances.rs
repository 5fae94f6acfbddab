//! Writes large random queues as JSON, with what exact makes of them; `verify/verify.py` solves them otherwise.
//!
//! `cargo run --release -p policy-exact --example instances [SEED]`

mod queues;

use mosel_sdk::test::{adopt, host};
use mosel_sdk::{ACCURACY_TOLERANCE, Policy, Snapshot};
use policy_exact::{Exact, Settings};
use queues::Kind;
use serde_json::{Value, json};

const INSTANCES: u64 = 10;

fn main() {
    let seed = std::env::args().nth(1).map_or(1, |seed| seed.parse().expect("expected a number as the seed"));
    let mut instances = Vec::new();
    for kind in [Kind::Uneven, Kind::Proportional] {
        for (jobs, strategies) in [(100, 12), (300, 12)] {
            instances.extend((seed..seed + INSTANCES).map(|seed| instance(kind, seed, jobs, strategies)));
        }
    }
    println!("{}", Value::from(instances));
}

fn instance(kind: Kind, seed: u64, jobs: usize, strategies: usize) -> Value {
    let snapshot = queues::random(kind, seed, jobs, strategies).snapshot();
    let mut exact = Exact::configure(Settings { reserve: 0.0, ..Settings::default() }, &snapshot.catalog)
        .expect("its settings are sound");
    host::begin(0, snapshot.sequence, snapshot.now, snapshot.budget);
    let decision = exact.decide(&snapshot).expect("exact answers");
    let chosen = adopt(&snapshot, &decision).expect("exact proposes nothing the server refuses").chosen();
    json!({
        "kind": format!("{kind:?}"), "seed": seed, "jobs": jobs, "strategies": strategies,
        "start": snapshot.start, "time_factor": snapshot.time_factor,
        "rows": (0..jobs).map(|row| row_of(&snapshot, row)).collect::<Vec<_>>(),
        "chosen": chosen, "objective": decision.objective, "bound": decision.bound,
    })
}

fn row_of(snapshot: &Snapshot, row: usize) -> Value {
    let job = &snapshot.jobs[row];
    let table: Vec<(u64, f64)> = snapshot.strategies(row).iter().map(|each| (each.latency, each.accuracy)).collect();
    json!({
        "deadline": job.deadline, "weight": job.weight, "requests": job.requests, "current": job.current,
        "floor": job.min_accuracy - ACCURACY_TOLERANCE, "table": table,
    })
}
