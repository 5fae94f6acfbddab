//! Hostile policies in the sandbox: each is cut off within its budget, the reason is the right one, and the next call
//! works again. Every limit has two tests: kept, broken.

mod caching;
mod calls;
mod examples;
mod housekeeping;
mod ilp;
mod loading;
mod metering;
mod shipped;

use std::sync::OnceLock;
use std::time::Duration;

use mosel_core::{Catalog, Snapshot};
use mosel_sandbox::{Budget, ConfigureError, Engine, Limits, LoadedPolicy, RunningPolicy};
use mosel_tests::queue;

use crate::guests;

const MEMORY: usize = 16 << 20;
const FUEL: u64 = 50_000_000;

/// Fuel binds before time does, so that results do not depend on the machine.
fn limits() -> Limits {
    let budget = Budget { fuel: FUEL, time: Duration::from_secs(10) };
    Limits { memory_bytes: MEMORY, decide: budget, load: budget, housekeeping: budget, ..Limits::default() }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(limits()).expect("this machine runs an engine"))
}

fn hostile() -> &'static LoadedPolicy {
    static HOSTILE: OnceLock<LoadedPolicy> = OnceLock::new();
    HOSTILE.get_or_init(|| engine().load("hostile", guests::HOSTILE).expect("it behaves until it is configured"))
}

fn start(settings: &str) -> Result<RunningPolicy, ConfigureError> {
    RunningPolicy::start(hostile().clone(), settings, &catalog(), 0)
}

fn settings(behaviour: &str, amount: u64) -> String {
    format!(r#"{{"behaviour": "{behaviour}", "amount": {amount}}}"#)
}

fn catalog() -> Catalog {
    queue::catalog(&[vec![(10_000, 0.6), (20_000, 0.7), (30_000, 0.8)]])
}

/// Three jobs on their most accurate strategy, with a floor that forbids the fastest. On lane 0 hostile policies behave.
fn snapshot(lane: u32) -> Snapshot {
    let jobs = [1, 2, 3].map(|id| queue::job(id, 0, 2, 80_000, 0.65));
    Snapshot { lane: mosel_core::LaneId(lane), ..queue::snapshot(1, jobs.to_vec()) }
}
