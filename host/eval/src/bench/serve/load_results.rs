//! What became of every job that was offered: none is lost silently.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mosel_core::{Accuracy, Job, Time, at_least};
use mosel_sim::{Served, Tally};

use super::job_result::{JobResult, ServedJob};
use super::offered_jobs::OfferedJobs;
use super::target_model::TargetModel;
use mosel_client::connection::Answer;

/// Answers, by the job they are to.
pub(super) struct LoadResults {
    offers: Arc<OfferedJobs>,
    target: Arc<TargetModel>,
    entries: Vec<Option<Entry>>,
    heard: usize,
}

/// What is heard of a job. Times are after the start of the run.
pub(super) struct JobAnswer {
    /// Which job.
    pub(super) index: usize,
    /// When it was sent.
    pub(super) sent: Duration,
    /// When its answer had been read, or was given up.
    pub(super) read: Duration,
    /// The answer.
    pub(super) answer: Result<Answer>,
}

/// What the client saw, apart from what is in a tally.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ClientView {
    /// From when each job was due to when it was sent: seconds, ascending.
    pub(super) lags: Vec<f64>,
    /// From when each job that was served was due to when its answer had been read: seconds, ascending.
    pub(super) answers: Vec<f64>,
    /// Answers that are right, of those whose label is known; `None` if none is.
    pub(super) measured: Option<Accuracy>,
    /// Jobs that were refused, by the code of the reason.
    pub(super) refusals: BTreeMap<String, usize>,
    /// Jobs that there is no answer to; in a tally they have failed.
    pub(super) unanswered: usize,
    /// The first words about a job that failed, a job that there is no answer to, and a request that failed.
    pub(super) failure: Option<String>,
    pub(super) silence: Option<String>,
    pub(super) fault: Option<String>,
}

struct Entry {
    sent: Duration,
    read: Duration,
    result: JobResult,
}

impl LoadResults {
    /// Of these jobs, none of which has been heard of.
    pub(super) fn new(offers: Arc<OfferedJobs>, target: Arc<TargetModel>) -> LoadResults {
        let entries = std::iter::repeat_with(|| None).take(offers.len()).collect();
        LoadResults { offers, target, entries, heard: 0 }
    }

    /// The jobs.
    pub(super) fn offers(&self) -> &Arc<OfferedJobs> {
        &self.offers
    }

    /// What the job takes that takes longest, alone and on all modalities.
    pub(super) fn longest_job(&self) -> Duration {
        let alone = |requests: u32| {
            let table = self.target.matrix.table(requests)?;
            Some(table.strategy(table.most_accurate()).latency)
        };
        self.offers.iter().filter_map(|offer| alone(offer.job.requests)).max().unwrap_or_default()
    }

    /// How many have been heard of.
    pub(super) fn heard(&self) -> usize {
        self.heard
    }

    /// All have been heard of.
    pub(super) fn is_complete(&self) -> bool {
        self.heard == self.offers.len()
    }

    /// Enters what is heard of a job; each is heard of once.
    pub(super) fn enter(&mut self, heard: JobAnswer) {
        let JobAnswer { index, sent, read, answer } = heard;
        let labels: Vec<Option<usize>> = self.offers.labels(index).collect();
        let result = JobResult::of(&answer, self.target.profile(), &labels);
        if self.entries[index].replace(Entry { sent, read, result }).is_none() {
            self.heard += 1;
        }
    }

    /// The jobs that were due up to this time, counted as the simulator counts; those not heard of are left out.
    pub(super) fn so_far(&self, until: Duration) -> Tally {
        self.count(|offer| offer <= until, false)
    }

    /// All jobs, counted as the simulator counts: those that there is no answer to have failed.
    pub(super) fn tally(&self) -> Tally {
        self.count(|_| true, true)
    }

    fn count(&self, due: impl Fn(Duration) -> bool, silence_fails: bool) -> Tally {
        let mut tally = Tally::default();
        let ahead = self.server_ahead();
        for (offer, entry) in self.offers.iter().zip(&self.entries).filter(|(offer, _)| due(offer.at)) {
            let at = Time::START + offer.at;
            tally.arrived += 1;
            tally.requests_arrived += u64::from(offer.job.requests);
            tally.arrivals = Some((tally.arrivals.map_or(at, |(first, _)| first), at));
            match entry.as_ref().map(|entry| &entry.result) {
                Some(JobResult::Served(service)) => served(&mut tally, &offer.job, at, service, ahead),
                Some(JobResult::Refused(_)) => tally.refused += 1,
                Some(JobResult::Dropped) => tally.dropped += 1,
                Some(JobResult::Cancelled) => tally.cancelled += 1,
                Some(JobResult::Failed(_) | JobResult::Unanswered(_)) => tally.failed += 1,
                None => tally.failed += usize::from(silence_fails),
            }
        }
        tally.served.sort_by_key(|job| (job.finish, job.job));
        tally
    }

    /// How far the server's clock is ahead of the run's, in microseconds: so that the job that came there quickest came
    /// when it was sent. What others took longer is in their completion times, as it is for whoever sends them.
    fn server_ahead(&self) -> i64 {
        let ahead = |entry: &Entry| match &entry.result {
            JobResult::Served(service) => Some(micros(service.arrival) - micros(entry.sent)),
            _ => None,
        };
        self.entries.iter().flatten().filter_map(ahead).min().unwrap_or(0)
    }

    /// What the client saw.
    pub(super) fn seen(&self) -> ClientView {
        let mut seen = ClientView { unanswered: self.offers.len() - self.heard, ..ClientView::default() };
        for (offer, entry) in self.offers.iter().zip(&self.entries) {
            if let Some(entry) = entry {
                seen.enter(offer.at, entry);
            }
        }
        seen.lags.sort_by(f64::total_cmp);
        seen.answers.sort_by(f64::total_cmp);
        seen
    }
}

impl ClientView {
    fn enter(&mut self, due: Duration, entry: &Entry) {
        self.lags.push(entry.sent.saturating_sub(due).as_secs_f64());
        match &entry.result {
            JobResult::Served(service) => {
                self.answers.push(entry.read.saturating_sub(due).as_secs_f64());
                self.measured = sum(self.measured, service.measured);
                self.fault = self.fault.take().or_else(|| service.fault.clone());
            }
            JobResult::Refused(code) => *self.refusals.entry(code.clone()).or_insert(0) += 1,
            JobResult::Failed(words) => drop(self.failure.get_or_insert_with(|| words.clone())),
            JobResult::Unanswered(words) => {
                self.unanswered += 1;
                self.silence.get_or_insert_with(|| words.clone());
            }
            JobResult::Dropped | JobResult::Cancelled => {}
        }
    }
}

/// Counts a job that was served: late by the server's clock, complete after it was due.
fn served(tally: &mut Tally, job: &Job, due: Time, service: &ServedJob, ahead: i64) {
    for (&mode, &requests) in &service.mix {
        *tally.mix.entry(mode).or_insert(0) += u64::from(requests);
    }
    let floor_kept = at_least(service.accuracy, job.min_accuracy);
    tally.floors_broken += usize::from(!floor_kept);
    let run_time = |server: Duration| Time::from_micros(u64::try_from(micros(server) - ahead).unwrap_or(0));
    tally.served.push(Served {
        job: job.id,
        arrival: due,
        finish: run_time(service.finish),
        deadline: run_time(service.deadline),
        requests: job.requests,
        accuracy: service.accuracy,
        min_accuracy: job.min_accuracy,
        device_time: service.device_time,
        good: service.finish <= service.deadline && floor_kept,
    });
}

fn sum(one: Option<Accuracy>, other: Option<Accuracy>) -> Option<Accuracy> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(Accuracy { correct: one.correct + other.correct, samples: one.samples + other.samples })
}

/// Durations of a run and of a server's life are far below what this holds.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests;
