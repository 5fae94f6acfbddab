//! What drawn jobs are like, and which draws depend on what.

use std::sync::Arc;

use expect_test::{Expect, expect};
use mosel_core::{Accuracy, Latency, Measurement, ModalitySet, Mode, ModelId, OnLate, Profile};

use super::*;
use crate::workload::{Distribution, Kind};

const MODEL: ModelId = ModelId(3);

/// Text alone is fast; with the image it is right more often, and cheaper by the eight.
fn matrix(max_requests: u32) -> StrategyMatrix {
    let measurement = |(modalities, batch_size, millis, correct)| Measurement {
        mode: Mode::full(ModalitySet::from_bits(modalities)),
        batch_size,
        latency: Latency::exactly(Duration::from_millis(millis)),
        accuracy: Accuracy { correct, samples: 1000 },
        memory_bytes: 0,
    };
    let measurements = [(1, 1, 2, 613), (3, 1, 10, 871), (3, 8, 44, 871)].map(measurement).into();
    let modalities = ["text", "image"].map(String::from).into();
    let profile = Profile { id: "test".into(), model: "toy".into(), modalities, measurements };
    StrategyMatrix::new(MODEL, Arc::new(profile), max_requests).unwrap()
}

fn draw(workload: &Workload, seed: u64) -> Vec<Arrival> {
    workload.draw(&Offered { matrix: &matrix(16), lanes: 2 }, seed).unwrap()
}

/// The default workload with a change.
fn workload(change: impl FnOnce(&mut Workload)) -> Workload {
    let mut workload = Workload::default();
    change(&mut workload);
    workload
}

/// How long a job has from its arrival to its deadline.
fn time_allowed(arrival: &Arrival) -> Duration {
    arrival.job.deadline.since(arrival.at)
}

#[test]
fn capacity_is_what_the_lanes_serve_of_the_mean_job() {
    let matrix = matrix(16);
    let offered = Offered { matrix: &matrix, lanes: 3 };
    // one request takes 10 ms on all modalities, eight take 44 ms
    let of = |requests| workload(|workload| workload.jobs.requests = requests).capacity(&offered).unwrap();
    let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-9, "{found}, not {expected}");
    near(of(Distribution::Fixed(1)), 3.0 / 0.010);
    near(of(Distribution::Fixed(8)), 3.0 / 0.044);
    near(of(Distribution::Choices(vec![(8, 3.0), (1, 1.0)])), 3.0 / (0.75 * 0.044 + 0.25 * 0.010));
    near(of(Distribution::Uniform([1, 3])), 3.0 / 0.020);
}

#[test]
fn load_and_rate_are_two_words_for_the_same() {
    let matrix = matrix(16);
    let offered = Offered { matrix: &matrix, lanes: 2 };
    let by_load = workload(|workload| workload.arrivals.rate = Rate::Load(1.5));
    let jobs = by_load.jobs_per_s(&offered).unwrap();
    assert_eq!(jobs, 1.5 * by_load.capacity(&offered).unwrap());
    let by_rate = workload(|workload| workload.arrivals.rate = Rate::JobsPerS(jobs));
    assert_eq!(by_rate.load(&offered), Ok(1.5));
    assert_eq!(by_rate.draw(&offered, 1), by_load.draw(&offered, 1));
}

#[test]
fn load_one_is_as_much_work_as_the_lanes_can_do() {
    let matrix = matrix(16);
    let arrivals = workload(|workload| workload.duration_s = 1200.0).draw(&Offered { matrix: &matrix, lanes: 2 }, 1);
    let seconds = |arrival: &Arrival| alone(matrix.table(arrival.job.requests).unwrap()).as_secs_f64();
    let work: f64 = arrivals.unwrap().iter().map(seconds).sum();
    assert!((work / (2.0 * 1200.0) - 1.0).abs() < 0.03, "{work} s of work for 2 lanes and 1200 s");
}

#[test]
fn jobs_are_numbered_from_one_in_the_order_in_which_they_come() {
    let arrivals = draw(&Workload::default(), 1);
    assert!(arrivals.len() > 1000 && arrivals.is_sorted_by_key(|arrival| arrival.at));
    assert!(arrivals.iter().zip(1..).all(|(arrival, id)| arrival.job.id == JobId(id)));
    assert!(arrivals.iter().all(|arrival| arrival.job.model == MODEL && arrival.at <= Time::from_millis(120_000)));
}

#[test]
fn sizes_come_as_often_as_they_should() {
    let arrivals = draw(&workload(|workload| workload.duration_s = 1200.0), 2);
    for size in 4..=16 {
        let found = arrivals.iter().filter(|arrival| arrival.job.requests == size).count() as f64;
        let expected = arrivals.len() as f64 / 13.0;
        assert!((found / expected - 1.0).abs() < 0.1, "{found} jobs of {size} requests, expected {expected}");
    }
}

#[test]
fn a_deadline_is_slack_times_the_jobs_own_time() {
    let matrix = matrix(16);
    let arrivals = draw(&workload(|w| w.jobs.deadline = Deadline::Slack(Distribution::Fixed(2.5))), 1);
    for arrival in arrivals {
        let alone = alone(matrix.table(arrival.job.requests).unwrap());
        assert_eq!(time_allowed(&arrival), alone * 5 / 2, "{arrival:?}");
    }
    let arrivals = draw(&workload(|w| w.jobs.deadline = Deadline::Slack(Distribution::Uniform([4.0, 12.0]))), 1);
    let slack = |arrival: &Arrival| {
        time_allowed(arrival).as_secs_f64() / alone(matrix.table(arrival.job.requests).unwrap()).as_secs_f64()
    };
    let mean = arrivals.iter().map(slack).sum::<f64>() / arrivals.len() as f64;
    assert!((mean - 8.0).abs() < 0.3, "mean slack {mean}");
}

#[test]
fn a_deadline_may_be_the_same_for_every_size() {
    let arrivals = draw(&workload(|w| w.jobs.deadline = Deadline::Millis(Distribution::Fixed(250.0))), 1);
    assert!(arrivals.iter().all(|arrival| time_allowed(arrival) == Duration::from_millis(250)));
}

#[test]
fn floors_lie_between_the_fastest_strategy_and_the_best() {
    let matrix = matrix(16);
    let fastest_legal = |share| {
        let change = |w: &mut Workload| {
            w.jobs.requests = Distribution::Uniform([3, 5]);
            w.jobs.floor = Floor::Share(Distribution::Fixed(share));
        };
        let arrivals = draw(&workload(change), 1);
        let place = |arrival: &Arrival| {
            let table = matrix.table(arrival.job.requests).unwrap();
            (table.fastest_legal(arrival.job.min_accuracy), table.most_accurate())
        };
        arrivals.iter().map(place).collect::<Vec<_>>()
    };
    assert!(fastest_legal(0.0).iter().all(|&(legal, _)| legal == Some(0)));
    assert!(fastest_legal(1.0).iter().all(|&(legal, best)| legal == Some(best)));
    assert!(fastest_legal(0.5).iter().all(|&(legal, best)| legal > Some(0) && legal < Some(best)));
}

#[test]
fn a_floor_may_be_an_accuracy_that_no_strategy_reaches() {
    let arrivals = draw(&workload(|w| w.jobs.floor = Floor::Accuracy(Distribution::Fixed(0.99))), 1);
    assert!(arrivals.iter().all(|arrival| arrival.job.min_accuracy == 0.99));
}

#[test]
fn tenants_have_their_shares_and_without_any_jobs_are_nobodys() {
    let of_all = |arrivals: &[Arrival], tenant| {
        let found = arrivals.iter().filter(|arrival| arrival.job.tenant == tenant).count();
        found as f64 / arrivals.len() as f64
    };
    let shared = draw(&workload(|w| w.jobs.tenants = vec![("alice".into(), 3.0), ("bob".into(), 1.0)]), 1);
    let alice = of_all(&shared, Tenant::named("alice"));
    assert!((alice - 0.75).abs() < 0.04, "{alice}");
    assert!((alice + of_all(&shared, Tenant::named("bob")) - 1.0).abs() < 1e-12);
    assert_eq!(of_all(&draw(&Workload::default(), 1), Tenant::default()), 1.0);
}

#[test]
fn weights_and_the_wish_for_late_jobs_are_passed_on() {
    let arrivals = draw(
        &workload(|w| {
            w.jobs.weight = Distribution::Choices(vec![(0.5, 1.0), (4.0, 1.0)]);
            w.jobs.on_late = OnLate::Drop;
        }),
        1,
    );
    assert!(arrivals.iter().all(|Arrival { job, .. }| job.on_late == OnLate::Drop && [0.5, 4.0].contains(&job.weight)));
    assert!(draw(&Workload::default(), 1).iter().all(|arrival| arrival.job.weight == 1.0));
}

#[test]
fn the_same_seed_gives_the_same_day_and_another_another() {
    let workload = Workload::default();
    assert_eq!(draw(&workload, 1), draw(&workload, 1));
    assert_ne!(draw(&workload, 1), draw(&workload, 2));
}

/// A fact of an arrival, as a number; that of a deadline counts from the arrival.
type Fact = (&'static str, fn(&Arrival) -> u64);
/// What is described otherwise, and how, with another distribution where it is one.
type Change = (&'static str, fn(&mut Workload, Distribution<f64>));

#[test]
fn describing_one_thing_otherwise_leaves_the_draws_of_all_others() {
    let facts: [Fact; 6] = [
        ("times", |arrival| arrival.at.micros()),
        ("requests", |arrival| arrival.job.requests.into()),
        ("deadlines", |arrival| time_allowed(arrival).as_micros() as u64),
        ("floors", |arrival| arrival.job.min_accuracy.to_bits()),
        ("weights", |arrival| arrival.job.weight.to_bits()),
        ("tenants", |arrival| arrival.job.tenant.0),
    ];
    let base = || {
        workload(|w| {
            w.arrivals.rate = Rate::JobsPerS(50.0);
            w.jobs.deadline = Deadline::Millis(Distribution::Uniform([100.0, 900.0]));
            w.jobs.floor = Floor::Accuracy(Distribution::Uniform([0.5, 0.9]));
            w.jobs.weight = Distribution::Uniform([1.0, 2.0]);
            w.jobs.tenants = vec![("alice".into(), 1.0), ("bob".into(), 1.0)];
        })
    };
    let log_normal = || Distribution::LogNormal { median: 0.6, sigma: 0.1, least: 0.1, most: 0.9 };
    let changes: [Change; 6] = [
        ("times", |w, _| w.arrivals.kind = Kind::Bursts { ratio: 9.0, quiet_s: 5.0, burst_s: 1.0 }),
        ("requests", |w, _| w.jobs.requests = Distribution::Uniform([1, 3])),
        ("deadlines", |w, other| w.jobs.deadline = Deadline::Millis(other)),
        ("floors", |w, other| w.jobs.floor = Floor::Accuracy(other)),
        ("weights", |w, other| w.jobs.weight = other),
        ("tenants", |w, _| w.jobs.tenants.push(("carol".into(), 2.0))),
    ];
    let before = draw(&base(), 1);
    for (changed, change) in changes {
        let mut workload = base();
        change(&mut workload, log_normal());
        let after = draw(&workload, 1);
        for (name, fact) in facts {
            let same = before.iter().zip(&after).all(|(before, after)| fact(before) == fact(after));
            assert_eq!(same, name != changed, "{name} after a change of {changed}");
        }
    }
}

#[test]
fn jobs_larger_than_the_matrix_are_refused_not_clamped() {
    let refused = |requests, reach| {
        let workload = workload(|w| w.jobs.requests = requests);
        workload.draw(&Offered { matrix: &matrix(reach), lanes: 1 }, 1).err().map(|error| error.to_string())
    };
    let words = "jobs.requests reach to 13, expected at most 12: the model has no strategies for larger jobs";
    assert_eq!(refused(Distribution::Fixed(13), 12).as_deref(), Some(words));
    assert_eq!(refused(Distribution::Fixed(12), 12), None);
    assert!(refused(Distribution::Uniform([4, 16]), 15).unwrap().contains("reach to 16, expected at most 15"));
    assert_eq!(refused(Distribution::Choices(vec![(4, 1.0), (99, 0.0)]), 12), None);
    let long_tail = Distribution::LogNormal { median: 4.0, sigma: 0.5, least: 1, most: 64 };
    assert!(refused(long_tail, 12).is_some());
}

#[test]
fn nothing_is_offered_to_no_lane_or_by_an_unsound_workload() {
    let matrix = matrix(16);
    let none = Offered { matrix: &matrix, lanes: 0 };
    assert_eq!(Workload::default().draw(&none, 1), Err(WorkloadError::NoLanes));
    let unsound = workload(|w| w.arrivals.rate = Rate::Load(f64::NAN));
    let refused = unsound.draw(&Offered { matrix: &matrix, lanes: 1 }, 1).unwrap_err();
    assert_eq!(refused.to_string(), "arrivals.load is NaN, expected 0.001 to 1000");
}

/// The first jobs of a day, one a line.
fn check(kind: Kind, expected: &Expect) {
    let workload = workload(|w| {
        w.arrivals.kind = kind;
        w.jobs.requests = Distribution::LogNormal { median: 6.0, sigma: 0.7, least: 1, most: 16 };
        w.jobs.deadline = Deadline::Slack(Distribution::LogNormal { median: 6.0, sigma: 0.4, least: 2.0, most: 20.0 });
    });
    let line = |Arrival { at, job }: &Arrival| {
        format!("{at} {} requests until {} at {}\n", job.requests, job.deadline, job.min_accuracy)
    };
    expected.assert_eq(&draw(&workload, 1)[..4].iter().map(line).collect::<String>());
}

/// These days may never change: figures name their seeds.
#[test]
fn a_seed_means_the_same_day_on_every_machine_and_in_every_version() {
    check(
        Kind::Poisson {},
        &expect![[r#"
        57.488ms 4 requests until 200.812ms at 0.650236799
        62.747ms 3 requests until 192.412ms at 0.653084659
        100.123ms 13 requests until 446.236ms at 0.649500993
        107.757ms 13 requests until 384.289ms at 0.624782693
    "#]],
    );
    check(
        Kind::Gamma { cv: 3.0 },
        &expect![[r#"
        178.911ms 4 requests until 322.235ms at 0.650236799
        185.179ms 3 requests until 314.844ms at 0.653084659
        185.184ms 13 requests until 531.297ms at 0.649500993
        201.472ms 13 requests until 478.004ms at 0.624782693
    "#]],
    );
    check(
        Kind::Bursts { ratio: 8.0, quiet_s: 20.0, burst_s: 5.0 },
        &expect![[r#"
        64.351ms 4 requests until 207.675ms at 0.650236799
        70.239ms 3 requests until 199.904ms at 0.653084659
        112.076ms 13 requests until 458.189ms at 0.649500993
        120.622ms 13 requests until 397.154ms at 0.624782693
    "#]],
    );
    check(
        Kind::Wave { period_s: 60.0, depth: 0.9 },
        &expect![[r#"
        56.86ms 4 requests until 200.184ms at 0.650236799
        62.062ms 3 requests until 191.727ms at 0.653084659
        99.03ms 13 requests until 445.143ms at 0.649500993
        106.58ms 13 requests until 383.112ms at 0.624782693
    "#]],
    );
}
