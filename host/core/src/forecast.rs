//! What becomes of a queue under a plan, for those who have a snapshot of it and no lane: tests, shadows, comparisons.

use std::time::Duration;

use crate::lane::{finishes, keep_promises};
use crate::{Catalog, JobRow, Plan, PlanError, Snapshot, Strategy, Time};

/// A queue under a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The queue as it would be: its order, and the strategies as `current`.
    pub jobs: Vec<JobRow>,
    /// When each of `jobs` is expected to be finished.
    pub finishes: Vec<Time>,
}

impl Forecast {
    /// The queue if the plan is adopted at once, by the rule of the lanes: late jobs stay behind all others, and no
    /// job that is on time may become late.
    ///
    /// # Panics
    /// If a row of the snapshot is off its table, or the plan is of another snapshot.
    pub fn under(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Result<Forecast, PlanError> {
        let before = finishes(snapshot.start, snapshot.time_factor, latencies(&snapshot.jobs, catalog));
        let mut order: Vec<usize> = (0..snapshot.jobs.len()).collect();
        let rank = |row: &JobRow| (row.late, plan.order.get(&row.id).copied().unwrap_or(0));
        order.sort_by_key(|&at| rank(&snapshot.jobs[at]));
        let jobs: Vec<JobRow> = order.iter().map(|&at| moved(snapshot.jobs[at], plan)).collect();
        let after = finishes(snapshot.start, snapshot.time_factor, latencies(&jobs, catalog));
        let promise =
            |(&at, &after): (&usize, &Time)| (snapshot.jobs[at].id, snapshot.jobs[at].deadline, before[at], after);
        keep_promises(order.iter().zip(&after).map(promise))?;
        Ok(Forecast { jobs, finishes: after })
    }

    /// The queue if everything stays as it is.
    ///
    /// # Panics
    /// If a row of the snapshot is off its table.
    pub fn as_it_is(snapshot: &Snapshot, catalog: &Catalog) -> Forecast {
        Forecast::under(snapshot, catalog, &Plan::default()).expect("what changes nothing breaks no promise")
    }

    /// The jobs that would miss their deadline though they are not given up.
    pub fn violators(&self) -> impl Iterator<Item = &JobRow> {
        let jobs = self.jobs.iter().zip(&self.finishes);
        jobs.filter(|(job, finish)| !job.late && **finish > job.deadline).map(|(job, _)| job)
    }

    /// Weighted right answers expected of the whole queue: sum of weight x requests x accuracy.
    pub fn value(&self, catalog: &Catalog) -> f64 {
        let value = |job: &JobRow| job.weight * f64::from(job.requests) * strategy(job, catalog).accuracy;
        self.jobs.iter().map(value).sum()
    }
}

fn moved(row: JobRow, plan: &Plan) -> JobRow {
    JobRow { current: plan.choices.get(&row.id).copied().unwrap_or(row.current), ..row }
}

fn latencies(jobs: &[JobRow], catalog: &Catalog) -> impl Iterator<Item = Duration> {
    jobs.iter().map(|job| strategy(job, catalog).latency)
}

fn strategy<'a>(job: &JobRow, catalog: &'a Catalog) -> &'a Strategy {
    let table = catalog.table(job.table).expect("a snapshot's rows name tables of the catalog");
    table.strategy(job.current)
}
