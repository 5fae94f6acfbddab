//! What becomes of a queue under a plan, for those who have a snapshot of it and no lane: tests, shadows, comparisons.

use std::time::Duration;

use crate::fallback::{FallbackJob, speed_up};
use crate::lane::{finishes, keep_promises};
use crate::{Catalog, DecisionError, JobRow, Plan, Snapshot, Strategy, StrategyTable, Time, at_least};

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
    /// job that is on time, and not given up, may become late.
    ///
    /// # Panics
    /// If a row of the snapshot is off its table, or the plan is of another snapshot.
    pub fn under(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Result<Forecast, DecisionError> {
        let before = finishes(snapshot.start, snapshot.time_factor, latencies(&snapshot.jobs, catalog));
        let mut order: Vec<usize> = (0..snapshot.jobs.len()).collect();
        let rank = |row: &JobRow| (row.given_up, plan.order.get(&row.id).copied().unwrap_or(0));
        order.sort_by_key(|&at| rank(&snapshot.jobs[at]));
        let jobs: Vec<JobRow> = order.iter().map(|&at| moved(snapshot.jobs[at], plan)).collect();
        let after = finishes(snapshot.start, snapshot.time_factor, latencies(&jobs, catalog));
        let on_time = order.iter().zip(&after).filter(|&(&at, _)| !snapshot.jobs[at].given_up);
        keep_promises(on_time.map(|(&at, &after)| {
            let JobRow { id, deadline, .. } = snapshot.jobs[at];
            (id, deadline, before[at], after)
        }))?;
        Ok(Forecast { jobs, finishes: after })
    }

    /// The queue if everything stays as it is.
    ///
    /// # Panics
    /// If a row of the snapshot is off its table.
    pub fn as_it_is(snapshot: &Snapshot, catalog: &Catalog) -> Forecast {
        Forecast::under(snapshot, catalog, &Plan::default()).expect("what changes nothing breaks no promise")
    }

    /// The queue after the fallback: what happens if no policy answers.
    ///
    /// # Panics
    /// If a row of the snapshot is off its table.
    pub fn with_fallback(snapshot: &Snapshot, catalog: &Catalog) -> Forecast {
        let on_time = snapshot.jobs.iter().take_while(|job| !job.given_up);
        let mut rows: Vec<Row> = on_time.map(|job| Row { job: *job, table: table(job, catalog) }).collect();
        speed_up(&mut rows, snapshot.start, snapshot.time_factor);
        let choices = rows.iter().map(|row| (row.job.id, row.job.current)).collect();
        let plan = Plan { choices, ..Plan::default() };
        Forecast::under(snapshot, catalog, &plan).expect("what only makes jobs faster breaks no promise")
    }

    /// The jobs that would miss their deadline though they are not given up.
    pub fn violators(&self) -> impl Iterator<Item = &JobRow> {
        let jobs = self.jobs.iter().zip(&self.finishes);
        jobs.filter(|(job, finish)| !job.given_up && **finish > job.deadline).map(|(job, _)| job)
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
    table(job, catalog).strategy(job.current)
}

fn table<'a>(job: &JobRow, catalog: &'a Catalog) -> &'a StrategyTable {
    catalog.table(job.table).expect("a snapshot's rows name tables of the catalog")
}

/// A job of a snapshot, with its strategy table.
struct Row<'a> {
    job: JobRow,
    table: &'a StrategyTable,
}

impl FallbackJob for Row<'_> {
    fn deadline(&self) -> Time {
        self.job.deadline
    }

    fn latency(&self) -> Duration {
        self.table.strategy(self.job.current).latency
    }

    fn fastest(&self) -> Duration {
        let fastest = self.table.fastest_legal(self.job.min_accuracy).map(|index| self.table.strategy(index).latency);
        fastest.map_or(self.latency(), |fastest| fastest.min(self.latency()))
    }

    fn next_faster(&self) -> Option<u32> {
        let faster = self.job.current.checked_sub(1)?;
        at_least(self.table.strategy(faster).accuracy, self.job.min_accuracy).then_some(faster)
    }

    fn loss_per_second(&self, choice: u32) -> f64 {
        let (from, to) = (self.table.strategy(self.job.current), self.table.strategy(choice));
        let lost = (from.accuracy - to.accuracy) * f64::from(self.job.requests);
        self.job.weight * lost / (from.latency - to.latency).as_secs_f64()
    }

    fn choose(&mut self, choice: u32) {
        self.job.current = choice;
    }
}
