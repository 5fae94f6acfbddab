//! Statistics of each kind, with fixed seeds and tolerances of several standard errors.

use std::fs;

use super::*;
use crate::workload::{Form, TraceFile};

const HOUR_S: f64 = 3600.0;
/// Jobs a second of most days here.
const RATE: f64 = 30.0;

fn times(kind: &Kind, seed: u64) -> Vec<f64> {
    kind.times(RATE, HOUR_S, seed).unwrap()
}

fn trace(form: Form, text: &str) -> Kind {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("trace"), text).unwrap();
    let mut file = TraceFile::new("trace", form);
    file.read(folder.path()).unwrap();
    Kind::Trace(file)
}

fn kinds() -> Vec<Kind> {
    vec![
        Kind::Poisson {},
        Kind::Gamma { cv: 0.3 },
        Kind::Gamma { cv: 3.0 },
        Kind::Bursts { ratio: 8.0, quiet_s: 20.0, burst_s: 5.0 },
        Kind::Wave { period_s: 700.0, depth: 1.0 },
        Kind::Step { from_s: 1000.0, until_s: 1500.0, factor: 4.0 },
        trace(Form::Counts, "3\n0\n12\n5\n"),
        trace(Form::Azure, "AT\n2024-01-01 00:00:00\n2024-01-01 00:00:00.5\n2024-01-01 00:00:07.25\n"),
    ]
}

fn within(times: &[f64], from_s: f64, until_s: f64) -> f64 {
    times.iter().filter(|&&at| (from_s..until_s).contains(&at)).count() as f64
}

/// `found` over `expected` is 1, give or take.
fn assert_near(found: f64, expected: f64, share: f64, what: &str) {
    assert!((found / expected - 1.0).abs() < share, "{what}: {found}, expected {expected}");
}

/// Deviation of gaps over their mean.
fn cv(times: &[f64]) -> f64 {
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    variance.sqrt() / mean
}

#[test]
fn every_kind_has_the_asked_rate() {
    for kind in kinds() {
        // 108 000 jobs: a deviation is 0.3 % for Poisson, 0.9 % for gamma with a cv of 3
        assert_near(times(&kind, 1).len() as f64, RATE * HOUR_S, 0.03, &format!("{kind:?}"));
    }
}

#[test]
fn every_kind_ascends_within_the_duration_and_follows_its_seed() {
    for kind in kinds() {
        let first = times(&kind, 1);
        assert!(first.is_sorted() && first[0] >= 0.0 && first[first.len() - 1] <= HOUR_S, "{kind:?}");
        assert_eq!(first, times(&kind, 1), "{kind:?}");
        assert_ne!(first, times(&kind, 2), "{kind:?}");
    }
}

#[test]
fn gaps_have_their_coefficient_of_variation() {
    assert_near(cv(&times(&Kind::Poisson {}, 3)), 1.0, 0.02, "Poisson");
    for expected in [0.2, 1.0, 2.0, 4.0] {
        let found = cv(&times(&Kind::Gamma { cv: expected }, 3));
        assert_near(found, expected, 0.06, &format!("gamma with a cv of {expected}"));
    }
}

#[test]
fn gamma_gaps_have_their_rate_from_the_first_second_on() {
    // a day that began with a whole gap would have (4 * 4 - 1) / 2 = 7.5 jobs more
    let days = 5000;
    let kind = Kind::Gamma { cv: 4.0 };
    let jobs: usize = (0..days).map(|seed| kind.times(RATE, 0.5, seed).unwrap().len()).sum();
    assert_near(jobs as f64 / f64::from(days as u32), RATE * 0.5, 0.1, "jobs in half a second");
}

#[test]
fn bursts_have_their_rate_their_share_and_their_length() {
    let (ratio, quiet_s, burst_s) = (8.0, 20.0, 5.0);
    // a day long enough for 8000 of each
    let duration_s = 200_000.0;
    let pieces = bursts(duration_s, ratio, quiet_s, burst_s, Stream::new(4, "bursts"));
    let mut from_s = 0.0;
    let spans = pieces.iter().map(|piece| (std::mem::replace(&mut from_s, piece.until_s), piece.until_s, piece.rate));
    let (busy, quiet): (Vec<_>, Vec<_>) = spans.partition(|&(_, _, rate)| rate == ratio);
    let length = |spans: &[(f64, f64, f64)]| spans.iter().map(|(from, until, _)| until - from).sum::<f64>();
    assert_near(length(&busy) / duration_s, burst_s / (burst_s + quiet_s), 0.05, "share of the time in bursts");
    assert_near(length(&busy) / busy.len() as f64, burst_s, 0.05, "length of a burst");
    assert_near(length(&quiet) / quiet.len() as f64, quiet_s, 0.05, "length of a quiet time");

    let kind = Kind::Bursts { ratio, quiet_s, burst_s };
    let times = kind.times(2.0, duration_s, 4).unwrap();
    let jobs = |spans: &[(f64, f64, f64)]| {
        let before = |end: f64| times.partition_point(|&at| at < end) as f64;
        spans.iter().map(|&(from, until, _)| before(until) - before(from)).sum::<f64>()
    };
    let found = (jobs(&busy) / length(&busy)) / (jobs(&quiet) / length(&quiet));
    assert_near(found, ratio, 0.05, "rate in bursts over the quiet one");
}

#[test]
fn days_begin_in_a_burst_as_often_as_there_are_bursts() {
    let begins = |seed| bursts(1.0, 8.0, 15.0, 5.0, Stream::new(seed, "bursts")).iter().next().unwrap().rate == 8.0;
    let found = (0..4000).filter(|&seed| begins(seed)).count() as f64 / 4000.0;
    assert_near(found, 0.25, 0.15, "days that begin in a burst");
}

#[test]
fn a_wave_has_its_peak_and_its_trough() {
    let (period_s, depth) = (600.0, 0.8);
    let times = times(&Kind::Wave { period_s, depth }, 5);
    // an eighth of a period around a point; the mean of a cosine over it is sin(pi / 8) / (pi / 8)
    let around = |middle: f64| {
        let periods = (0..6).map(|period| f64::from(period) * period_s + middle * period_s);
        periods.map(|at| within(&times, at - period_s / 16.0, at + period_s / 16.0)).sum::<f64>()
    };
    let steady = RATE * HOUR_S / 8.0;
    let swing = depth * 0.974_495;
    assert_near(around(0.25), steady * (1.0 + swing), 0.04, "jobs around the peak");
    assert_near(around(0.75), steady * (1.0 - swing), 0.08, "jobs around the trough");
    assert_near(around(0.5), steady, 0.04, "jobs on the way down");
}

#[test]
fn a_step_multiplies_the_rate_while_it_lasts() {
    for factor in [5.0, 0.5, 0.0] {
        let times = times(&Kind::Step { from_s: 1200.0, until_s: 1800.0, factor }, 6);
        let inside = within(&times, 1200.0, 1800.0) / 600.0;
        let before = within(&times, 0.0, 1200.0) / 1200.0;
        let after = within(&times, 1800.0, HOUR_S) / 1800.0;
        assert!((inside / before - factor).abs() < 0.04 * factor + 1e-3, "{inside} over {before}, expected {factor}");
        assert_near(after, before, 0.03, "rate after over rate before");
    }
}

#[test]
fn counts_are_scaled_in_rate_and_come_again() {
    let times = times(&trace(Form::Counts, "3\n0\n12\n5\n"), 7);
    let second = |phase: usize| {
        let seconds = (0..900).map(|cycle| (cycle * 4 + phase) as f64);
        seconds.map(|from| within(&times, from, from + 1.0)).sum::<f64>()
    };
    for (phase, count) in [3.0, 0.0, 12.0, 5.0].into_iter().enumerate() {
        let expected = RATE * HOUR_S * count / 20.0;
        assert!((second(phase) - expected).abs() <= 0.03 * expected, "{} at {phase}", second(phase));
    }
}

#[test]
fn counts_are_scaled_by_what_of_them_is_used() {
    // two seconds and a half of 10, 30, 60: half of the last counts
    let kind = trace(Form::Counts, "10\n30\n60\n1000\n");
    let times = kind.times(40_000.0, 2.5, 8).unwrap();
    assert_near(within(&times, 0.0, 1.0), 100_000.0 * 10.0 / 70.0, 0.03, "first second");
    assert_near(within(&times, 1.0, 2.0), 100_000.0 * 30.0 / 70.0, 0.03, "second second");
    assert_near(within(&times, 2.0, 2.5), 100_000.0 * 30.0 / 70.0, 0.03, "half of the third");
}

#[test]
fn rows_keep_their_gaps_whatever_the_rate() {
    let text = "AT\n2024-01-01 00:00:00\n2024-01-01 00:00:00.5\n2024-01-01 00:00:08\n";
    let kind = trace(Form::Azure, text);
    // a cycle is 12 s, the silences 7.5 s and 4 s less what copies fill of the median gap, 7.5 s at most
    for rate in [1.0, 20.0] {
        let times = kind.times(rate, HOUR_S, 9).unwrap();
        assert_near(times.len() as f64, rate * HOUR_S, 0.03, "jobs");
        let in_cycle = |at: &f64| at.rem_euclid(12.0);
        let early = times.iter().map(in_cycle).filter(|at| *at < 0.5).count() as f64;
        assert_near(early, times.len() as f64 / 3.0, 0.05, "jobs of the first row");
    }
}

#[test]
fn a_trace_without_arrivals_early_enough_is_refused() {
    let refused = trace(Form::Counts, "0\n0\n0\n4\n").times(RATE, 2.5, 1).unwrap_err();
    assert_eq!(refused.to_string(), "the trace trace: expected arrivals in its first 2.5 s, found none");
}

#[test]
fn a_trace_that_was_not_read_is_refused() {
    let refused = Kind::Trace(TraceFile::new("a.txt", Form::Counts)).times(RATE, 2.5, 1).unwrap_err();
    assert!(refused.to_string().contains("expected to be read before jobs are drawn"), "{refused}");
}

#[test]
fn more_jobs_than_can_be_drawn_are_refused() {
    let most = MOST_JOBS as f64;
    assert_eq!(at_most(most), Ok(()));
    assert!(at_most(most + 1.0).is_err() && at_most(f64::NAN).is_err());
    let refused = Kind::Poisson {}.times(2.0 * most, 0.75, 1).unwrap_err();
    assert_eq!(refused, WorkloadError::TooManyJobs { jobs: 1.5 * most, most: MOST_JOBS });
}
