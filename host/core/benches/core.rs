//! `cargo bench -p mosel-core`: the strategy matrix, a look-up, and a step of the scheduler.
//!
//! The profile has the shape of the default task (synthetic: image, text and both, six batch sizes each).

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use divan::{Bencher, counter::ItemsCount};
use mosel_core::{
    Accuracy, Action, BatchId, BatchReport, Config, Event, Job, JobId, Latency, Measurement, ModalitySet, Mode,
    ModelId, OnLate, Profile, Scheduler, StrategyMatrix, Tenant, Time, front,
};

fn main() {
    divan::main();
}

fn profile() -> Profile {
    with_selections([(1, 1900, 4900, 645), (2, 1100, 1400, 806), (3, 2800, 6400, 854)])
}

/// No selection beats another: the dearest case of two modalities.
fn undominated() -> Profile {
    with_selections([(1, 1900, 2900, 730), (2, 1100, 1400, 606), (3, 2800, 6400, 854)])
}

fn with_selections(selections: [(u32, u64, u64, u32); 3]) -> Profile {
    let measurement = |bits, first: u64, each: u64, correct, batch_size: u32| Measurement {
        mode: Mode::full(ModalitySet::from_bits(bits)),
        batch_size,
        latency: Latency::exactly(Duration::from_micros(first + each * u64::from(batch_size))),
        accuracy: Accuracy { correct, samples: 1000 },
        memory_bytes: 0,
    };
    let sizes = [1, 2, 4, 8, 16, 32];
    let measurements = sizes
        .iter()
        .flat_map(|&size| selections.map(|(bits, first, each, correct)| measurement(bits, first, each, correct, size)));
    let modalities = vec!["image".into(), "text".into()];
    Profile { id: "bench".into(), model: "bench".into(), modalities, measurements: measurements.collect() }
}

fn matrix() -> Arc<StrategyMatrix> {
    Arc::new(StrategyMatrix::new(ModelId(0), Arc::new(profile()), 256).expect("a sound profile"))
}

/// The whole Pareto front of one job size (and of all smaller ones, on the way).
#[divan::bench(args = [32, 100, 256], sample_count = 5, sample_size = 1)]
fn strategy_front(requests: u32) {
    black_box(front(&profile(), requests).expect("a sound profile"));
}

/// The same where none of the three selections beats another.
#[divan::bench(args = [32, 100, 256], sample_count = 5, sample_size = 1)]
fn strategy_front_undominated(requests: u32) {
    black_box(front(&undominated(), requests).expect("a sound profile"));
}

/// The menus of every job size up to this one.
#[divan::bench(args = [32, 100, 256], sample_count = 5, sample_size = 1)]
fn strategy_matrix(requests: u32) {
    black_box(StrategyMatrix::new(ModelId(0), Arc::new(profile()), requests).expect("a sound profile"));
}

/// A job's strategy table and its fastest legal strategy at run time.
#[divan::bench]
fn look_up(bencher: Bencher) {
    let matrix = matrix();
    bencher.bench_local(|| {
        let table = matrix.table(black_box(100)).expect("within the matrix");
        table.fastest_legal(black_box(0.83))
    });
}

fn job(id: u64, deadline: Time) -> Event {
    let (model, on_late) = (ModelId(0), OnLate::Run);
    Event::Submit(Job {
        id: JobId(id),
        model,
        requests: 8,
        deadline,
        min_accuracy: 0.8,
        weight: 1.0,
        tenant: Tenant::default(),
        on_late,
    })
}

/// A scheduler with this many jobs waiting, all on time.
fn queue(jobs: u64) -> Scheduler {
    let config = Config { max_jobs: 100_000, ..Config::default() };
    let mut scheduler = Scheduler::new(config, vec![matrix()]);
    for id in 0..jobs {
        scheduler.step(Time::START, job(id, Time::from_millis(10_000_000)));
    }
    scheduler
}

/// One job admitted and one given up, with this many waiting: two steps.
#[divan::bench(args = [10, 100, 1000])]
fn step_submit_and_cancel(bencher: Bencher, jobs: u64) {
    let mut scheduler = queue(jobs);
    let mut id = jobs;
    bencher.counter(ItemsCount::new(2usize)).bench_local(|| {
        id += 1;
        black_box(scheduler.step(Time::START, job(id, Time::from_millis(10_000_000))));
        black_box(scheduler.step(Time::START, Event::Cancel(JobId(id))));
    });
}

/// One batch ends and the next starts, with this many waiting: one step.
#[divan::bench(args = [10, 100, 1000])]
fn step_batch_done(bencher: Bencher, jobs: u64) {
    let mut scheduler = queue(jobs);
    let (mut batch, mut next) = (BatchId(1), jobs);
    bencher.bench_local(|| {
        let actions =
            scheduler.step(Time::START, Event::BatchDone(batch, BatchReport::all(u32::MAX, Duration::from_millis(12))));
        for action in actions {
            match action {
                Action::Run(run) => batch = run.id,
                Action::Finish(_) => {
                    next += 1;
                    scheduler.step(Time::START, job(next, Time::from_millis(10_000_000)));
                }
                _ => {}
            }
        }
    });
}

/// A violator is found, the policy fails, the fallback acts: two steps, with this many waiting.
#[divan::bench(args = [10, 100, 1000], sample_count = 20, sample_size = 1)]
fn step_squeeze(bencher: Bencher, jobs: u64) {
    let last_of = |share: f64| Time::from_micros((jobs as f64 * 54_000.0 * 1.05 * share) as u64);
    let violated = || {
        let mut scheduler = queue(jobs);
        let actions = scheduler.step(Time::START, job(jobs, last_of(0.6)));
        let plan = actions.iter().find_map(|action| match action {
            Action::Decide(snapshot) => Some(snapshot.decision),
            _ => None,
        });
        (scheduler, plan)
    };
    bencher.with_inputs(violated).bench_local_values(|(mut scheduler, plan)| {
        let plan = plan.expect("the last job would be late");
        let none = Err(mosel_core::PolicyError::Unavailable("bench".into()));
        let actions = scheduler.step(Time::START, Event::Decided(plan, none));
        assert!(actions.iter().any(|action| matches!(action, Action::Fallback(..))));
        (scheduler, actions)
    });
}
