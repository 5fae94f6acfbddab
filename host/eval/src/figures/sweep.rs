//! Many runs, on all cores, and what came of each.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use mosel_core::Time;
use mosel_sim::{Tally, Workload};

use crate::policy_under_test::PolicyUnderTest;
use crate::sim_setup::SimSetup;
use crate::summary::percentile;

/// One run that is wanted.
#[derive(Clone)]
pub(super) struct Run<'a> {
    /// The server as it believes to be, and the devices as they are.
    pub(super) setup: &'a SimSetup,
    /// The server that workloads are scaled by.
    pub(super) scale: &'a SimSetup,
    /// Its policy.
    pub(super) policy: &'a PolicyUnderTest,
    /// What is offered.
    pub(super) workload: Workload,
    /// What all is drawn with.
    pub(super) seed: u64,
}

/// What came of runs that differ in their seeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// Violations over jobs, of every run.
    pub(super) violations: Vec<f64>,
    /// Requests of finished jobs a second.
    pub(super) throughput: Vec<f64>,
    /// The same, of jobs that kept deadline and floor.
    pub(super) goodput: Vec<f64>,
    /// Request-weighted mean accuracy of what was served.
    pub(super) accuracy: Vec<f64>,
    /// Share of all requests that were served as asked for.
    pub(super) good_share: Vec<f64>,
    /// Completion times in seconds, ascending, of all runs.
    pub(super) completions: Vec<f64>,
    /// Accuracy of every job that was served.
    pub(super) accuracies: Vec<f64>,
    /// Floors of the same jobs.
    pub(super) floors: Vec<f64>,
    /// Jobs that came.
    pub(super) jobs: usize,
    /// Jobs served late.
    pub(super) late: usize,
    /// Jobs below their floor.
    pub(super) floors_broken: usize,
}

impl Outcome {
    /// What came of these runs.
    pub(super) fn of(runs: impl IntoIterator<Item = (Tally, Duration)>) -> Outcome {
        let mut outcome = Outcome::default();
        runs.into_iter().for_each(|(tally, window)| outcome.take(&tally, window));
        outcome.completions.sort_by(f64::total_cmp);
        outcome
    }

    fn take(&mut self, tally: &Tally, window: Duration) {
        self.violations.push(tally.violation_ratio());
        self.throughput.push(tally.throughput(Time::START, window));
        self.goodput.push(tally.goodput(Time::START, window));
        self.accuracy.extend(tally.accuracy());
        self.good_share.push(tally.good_share());
        self.completions.extend(tally.completions());
        self.accuracies.extend(tally.served.iter().map(|job| job.accuracy));
        self.floors.extend(tally.served.iter().map(|job| job.min_accuracy));
        self.jobs += tally.arrived;
        self.late += tally.late();
        self.floors_broken += tally.floors_broken;
    }

    /// Mean completion time in seconds.
    pub(super) fn mean_completion(&self) -> f64 {
        mean(&self.completions)
    }

    /// The completion time that this share does not exceed, in seconds.
    pub(super) fn completion(&self, share: f64) -> f64 {
        percentile(&self.completions, share)
    }
}

/// The mean; not a number without values.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Runs all of them; the tallies are in the same order.
pub(super) fn run_all(what: &str, runs: &[Run<'_>], quiet: bool) -> Result<Vec<(Tally, Duration)>> {
    let progress = if quiet { ProgressBar::hidden() } else { ProgressBar::new(runs.len() as u64) };
    progress.set_style(ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} runs, {elapsed}")?);
    progress.set_message(what.to_owned());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(index) else { return };
            let tally = one(run);
            progress.inc(1);
            done.lock().expect("nobody panics while handing a result in").push((index, tally));
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores.min(runs.len())).for_each(|_| drop(scope.spawn(work)));
    });
    progress.finish_and_clear();
    let mut done = done.into_inner().expect("nobody panics while handing a result in");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, tally)| tally).collect()
}

/// One of them.
pub(super) fn one(run: &Run<'_>) -> Result<(Tally, Duration)> {
    let Run { setup, scale, policy, workload, seed } = run;
    let arrivals = workload.draw(&scale.offered(), *seed)?;
    Ok((setup.run(policy, &arrivals, *seed, ())?, Duration::from_secs_f64(workload.duration_s)))
}
