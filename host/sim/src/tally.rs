//! What became of the jobs of a run, under the definitions that every figure is reported with.

use std::collections::BTreeMap;
use std::time::Duration;

use mosel_core::{Action, Event, JobId, Mode, Outcome, Scheduler, Time};

use crate::Observer;
use mosel_core::End;

/// Counts, and one row a job that was served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Jobs that came.
    pub arrived: usize,
    /// Requests of the jobs that came.
    pub requests_arrived: u64,
    /// Refused at admission.
    pub refused: usize,
    /// Given up since their deadline could not be met, as they wished.
    pub dropped: usize,
    /// Given up by whoever submitted them; neither good nor a violation.
    pub cancelled: usize,
    /// Failed on the device.
    pub failed: usize,
    /// Jobs whose mix was below their floor: never, if the scheduler is right.
    pub floors_broken: usize,
    /// Every job that was served.
    pub served: Vec<Served>,
    /// Requests served, by selection.
    pub mix: BTreeMap<Mode, u64>,
    /// Questions put to the policy.
    pub asked: u64,
    /// Its answers that were adopted.
    pub adopted: u64,
    /// Answers that were not used, by their kind.
    pub plans_refused: BTreeMap<&'static str, u64>,
    /// Times the fallback moved jobs.
    pub fallbacks: u64,
    /// When the first and the last job came.
    pub arrivals: Option<(Time, Time)>,
    open: BTreeMap<JobId, (Time, u32)>,
}

/// A job that was served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    /// It.
    pub job: JobId,
    /// When it came.
    pub arrival: Time,
    /// When it was finished.
    pub finish: Time,
    /// When it had to be.
    pub deadline: Time,
    /// Its requests.
    pub requests: u32,
    /// Request-weighted mean of the profiled accuracies of what it ran on.
    pub accuracy: f64,
    /// Its floor.
    pub min_accuracy: f64,
    /// Time on the device.
    pub device_time: Duration,
    /// By its deadline, at or above its floor.
    pub good: bool,
}

impl Served {
    /// Completion time: from arrival to finish, waiting included.
    pub fn completion(&self) -> Duration {
        self.finish.since(self.arrival)
    }
}

impl Tally {
    /// Counts a step.
    pub fn count(&mut self, now: Time, event: &Event, actions: &[Action]) {
        if let Event::Submit(job) = event {
            self.arrived += 1;
            self.requests_arrived += u64::from(job.requests);
            // a second job of the same name is refused, and is not the first
            if !actions.iter().any(|action| matches!(action, Action::Refuse(..))) {
                self.open.insert(job.id, (now, job.requests));
            }
            self.arrivals = Some((self.arrivals.map_or(now, |(first, _)| first), now));
        }
        for action in actions {
            match action {
                Action::Refuse(..) => self.refused += 1,
                Action::Finish(outcome) => self.end(outcome),
                Action::Decide(_) => self.asked += 1,
                Action::Adopt(..) => self.adopted += 1,
                Action::RefuseDecision(_, error) => *self.plans_refused.entry(error.kind()).or_insert(0) += 1,
                Action::Fallback(..) => self.fallbacks += 1,
                Action::Accept(_) | Action::Run(_) | Action::GiveUp(_) | Action::WakeAt(_) => {}
                Action::KeepFloor(..)
                | Action::Suspect(..)
                | Action::Trust(_)
                | Action::LoseLane(_)
                | Action::Move(..) => {}
            }
        }
    }

    fn end(&mut self, outcome: &Outcome) {
        // a job that was there when a journal begins has not come within it
        let Some((arrival, requests)) = self.open.remove(&outcome.job) else { return };
        self.floors_broken += usize::from(outcome.end == End::Served && !outcome.floor_kept());
        match outcome.end {
            End::Dropped => self.dropped += 1,
            End::Cancelled => self.cancelled += 1,
            // not every request was answered
            End::Failed | End::Partial => self.failed += 1,
            End::Served => {
                for &(mode, requests) in &outcome.mix {
                    *self.mix.entry(mode).or_insert(0) += u64::from(requests);
                }
                self.served.push(Served {
                    job: outcome.job,
                    arrival,
                    finish: outcome.finish,
                    deadline: outcome.deadline,
                    requests,
                    accuracy: outcome.accuracy.unwrap_or(0.0),
                    min_accuracy: outcome.min_accuracy,
                    device_time: outcome.device_time,
                    good: outcome.good(),
                });
            }
        }
    }

    /// Jobs served after their deadline.
    pub fn late(&self) -> usize {
        self.served.iter().filter(|job| job.finish > job.deadline).count()
    }

    /// Jobs that did not get what they asked for: late, dropped, refused or failed.
    pub fn violations(&self) -> usize {
        self.late() + self.dropped + self.refused + self.failed
    }

    /// Violations over jobs that came, without those that were cancelled; 0 if none came.
    pub fn violation_ratio(&self) -> f64 {
        ratio(self.violations() as f64, (self.arrived - self.cancelled) as f64)
    }

    /// Request-weighted mean accuracy of what was served; `None` if nothing was.
    pub fn accuracy(&self) -> Option<f64> {
        let requests: f64 = self.served.iter().map(|job| f64::from(job.requests)).sum();
        let correct: f64 = self.served.iter().map(|job| f64::from(job.requests) * job.accuracy).sum();
        (requests > 0.0).then_some(correct / requests)
    }

    /// Requests of jobs that finished while jobs arrived (for this long from this time on), a second.
    pub fn throughput(&self, from: Time, window: Duration) -> f64 {
        self.requests_per_second(from, window, |_| true)
    }

    /// The same, of jobs that kept deadline and floor only.
    pub fn goodput(&self, from: Time, window: Duration) -> f64 {
        self.requests_per_second(from, window, |job| job.good)
    }

    /// Requests of jobs that kept deadline and floor over all requests that came.
    pub fn good_share(&self) -> f64 {
        let good: u64 = self.served.iter().filter(|job| job.good).map(|job| u64::from(job.requests)).sum();
        ratio(good as f64, self.requests_arrived as f64)
    }

    /// Completion times in seconds, ascending.
    pub fn completions(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.served.iter().map(|job| job.completion().as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    /// Mean completion time in seconds; 0 if nothing was served.
    pub fn mean_completion(&self) -> f64 {
        ratio(self.served.iter().map(|job| job.completion().as_secs_f64()).sum(), self.served.len() as f64)
    }

    fn requests_per_second(&self, from: Time, window: Duration, counts: impl Fn(&Served) -> bool) -> f64 {
        let end = from + window;
        let within = self.served.iter().filter(|job| job.finish <= end && counts(job));
        ratio(within.map(|job| f64::from(job.requests)).sum(), window.as_secs_f64())
    }
}

impl Observer for Tally {
    fn after(&mut self, _: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.count(now, event, actions);
        Ok(())
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
