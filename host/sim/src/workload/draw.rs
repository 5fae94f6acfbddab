//! Drawing: a workload, a model and a seed give the arrivals of a day.

use std::time::Duration;

use mosel_core::{Job, JobId, StrategyMatrix, StrategyTable, Tenant, Time, scale};

use super::arrivals::Rate;
use super::jobs::{Deadline, Floor, Jobs};
use super::shares::Shares;
use super::stream::Stream;
use super::{Workload, WorkloadError};

/// What a workload is offered to.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The strategies of the model that all jobs are for.
    pub matrix: &'a StrategyMatrix,
    /// Lanes that serve it, at least 1.
    pub lanes: u32,
}

/// A job and when it comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When it is submitted.
    pub at: Time,
    /// What is submitted.
    pub job: Job,
}

impl Workload {
    /// Jobs a second at load 1: what the lanes can serve when every job runs on its most accurate strategy.
    ///
    /// Exact for the distribution of sizes, nothing is sampled. An error if the workload is not sound, if some of its
    /// jobs are larger than the matrix, or if there are no lanes.
    pub fn capacity(&self, offered: &Offered<'_>) -> Result<f64, WorkloadError> {
        self.check()?;
        if offered.lanes == 0 {
            return Err(WorkloadError::NoLanes);
        }
        let most = offered.matrix.max_requests();
        let mut seconds = 0.0;
        for (requests, probability) in self.jobs.requests.probabilities() {
            let table = offered.matrix.table(requests).ok_or(WorkloadError::JobTooLarge { requests, most })?;
            seconds += probability * alone(table).as_secs_f64();
        }
        Ok(f64::from(offered.lanes) / seconds)
    }

    /// Jobs a second that are offered on average. Errors are those of [`Workload::capacity`].
    pub fn jobs_per_s(&self, offered: &Offered<'_>) -> Result<f64, WorkloadError> {
        let capacity = self.capacity(offered)?;
        Ok(match self.arrivals.rate {
            Rate::Load(load) => load * capacity,
            Rate::JobsPerS(jobs) => jobs,
        })
    }

    /// The load that is offered: [`Workload::jobs_per_s`] as a multiple of [`Workload::capacity`].
    pub fn load(&self, offered: &Offered<'_>) -> Result<f64, WorkloadError> {
        let capacity = self.capacity(offered)?;
        Ok(match self.arrivals.rate {
            Rate::Load(load) => load,
            Rate::JobsPerS(jobs) => jobs / capacity,
        })
    }

    /// The jobs of a day, in the order in which they come (several may come at once), with ids from 1 on.
    ///
    /// The same workload, matrix, lanes and seed give the same jobs on every machine. Times, sizes, deadlines, floors,
    /// weights and tenants are drawn from streams of their own: if one is described otherwise, the others' draws stay.
    /// At another load the same jobs come in the same order, at other times, and more or fewer of them.
    ///
    /// Errors are those of [`Workload::capacity`], more than [`MOST_JOBS`](super::MOST_JOBS) jobs, and a trace that was not read or has
    /// no arrivals early enough.
    pub fn draw(&self, offered: &Offered<'_>, seed: u64) -> Result<Vec<Arrival>, WorkloadError> {
        let rate = self.jobs_per_s(offered)?;
        let times = self.arrivals.kind.times(rate, self.duration_s, seed)?;
        let mut draws = Draws::new(&self.jobs, seed);
        let arrival = |(id, seconds): (u64, f64)| {
            let at = Time::from_micros((seconds * 1e6) as u64);
            Arrival { at, job: draws.job(JobId(id), at, offered.matrix) }
        };
        Ok((1..).zip(times).map(arrival).collect())
    }
}

/// What is drawn for each job.
struct Draws<'a> {
    jobs: &'a Jobs,
    requests: Box<dyn FnMut() -> u32>,
    deadline: Box<dyn FnMut() -> f64>,
    floor: Box<dyn FnMut() -> f64>,
    weight: Box<dyn FnMut() -> f64>,
    tenant: Box<dyn FnMut() -> Tenant>,
}

impl<'a> Draws<'a> {
    fn new(jobs: &'a Jobs, seed: u64) -> Draws<'a> {
        let stream = |purpose| Stream::new(seed, purpose);
        let (Deadline::Slack(deadline) | Deadline::Millis(deadline)) = &jobs.deadline;
        let (Floor::Share(floor) | Floor::Accuracy(floor)) = &jobs.floor;
        Draws {
            jobs,
            requests: picks(jobs.requests.probabilities(), stream("requests")),
            deadline: deadline.draws(stream("deadlines")),
            floor: floor.draws(stream("floors")),
            weight: jobs.weight.draws(stream("weights")),
            tenant: picks(tenants(jobs), stream("tenants")),
        }
    }

    fn job(&mut self, id: JobId, at: Time, matrix: &StrategyMatrix) -> Job {
        let requests = (self.requests)();
        let table = matrix.table(requests).expect("capacity looked up every size there is");
        Job {
            id,
            model: matrix.variant(),
            requests,
            deadline: at + self.time_allowed(table),
            min_accuracy: self.min_accuracy(table),
            weight: (self.weight)(),
            tenant: (self.tenant)(),
            on_late: self.jobs.on_late,
        }
    }

    fn time_allowed(&mut self, table: &StrategyTable) -> Duration {
        let drawn = (self.deadline)();
        match self.jobs.deadline {
            Deadline::Slack(_) => scale(alone(table), drawn),
            Deadline::Millis(_) => scale(Duration::from_millis(1), drawn),
        }
    }

    fn min_accuracy(&mut self, table: &StrategyTable) -> f64 {
        let drawn = (self.floor)();
        match self.jobs.floor {
            Floor::Share(_) => floor_at(table, drawn),
            Floor::Accuracy(_) => drawn,
        }
    }
}

fn picks<T: Copy + 'static>(values: Vec<(T, f64)>, mut stream: Stream) -> Box<dyn FnMut() -> T> {
    let shares = Shares::new(values);
    Box::new(move || *shares.pick(stream.unit()))
}

fn tenants(jobs: &Jobs) -> Vec<(Tenant, f64)> {
    if jobs.tenants.is_empty() {
        return vec![(Tenant::default(), 1.0)];
    }
    jobs.tenants.iter().map(|(name, share)| (Tenant::named(name), *share)).collect()
}

/// The time of a job of this table on its most accurate strategy, alone on a lane.
fn alone(table: &StrategyTable) -> Duration {
    table.strategy(table.most_accurate()).latency
}

/// The accuracy at this share of the way from the fastest strategy to the best, rounded down by less than core's
/// tolerance: at 1 the best strategy is legal.
fn floor_at(table: &StrategyTable, share: f64) -> f64 {
    let (fastest, best) = (table.strategy(0).accuracy, table.strategy(table.most_accurate()).accuracy);
    let accuracy = fastest + share * (best - fastest);
    (accuracy * 1e9).floor() / 1e9
}

#[cfg(test)]
mod tests;
