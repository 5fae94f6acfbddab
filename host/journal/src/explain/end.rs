//! The sentences a history ends with: a refusal with its counter-offers, or what became of the job.

use mosel_core::{End, Outcome, Refusal, Time, scale};

use super::Explainer;
use super::words::{count, share, span};
use crate::HistoryEvent;

/// Accuracies that differ by less are the same: they are sums of floats.
const SAME: f64 = 1e-9;

impl Explainer<'_> {
    pub(super) fn refused(&self, refusal: &Refusal) -> String {
        let (reason, offer) = match refusal {
            Refusal::UnknownModel(_) => ("there is no such model".into(), String::new()),
            Refusal::FloorUnreachable { best, .. } => {
                (format!("the model reaches {} at best", share(*best)), String::new())
            }
            Refusal::DeadlineUnreachable { earliest, best_accuracy, never, .. } => {
                (impossible(*never).into(), self.offer(*earliest, *best_accuracy))
            }
            Refusal::QueueFull { most, retry_at } => {
                let offer = format!(" The first of them was expected to be done after {}.", self.span_to(*retry_at));
                (format!("{} waited, and no more may", count(*most, "job")), offer)
            }
            other => (other.to_string(), String::new()),
        };
        format!("It was refused: {reason}.{offer}")
    }

    fn offer(&self, earliest: Time, best_accuracy: Option<f64>) -> String {
        let later = format!(" It would have been accepted with {} to be done in", self.span_to(earliest));
        match best_accuracy {
            Some(accuracy) => format!("{later}, or at an accuracy of {} or less.", share(accuracy)),
            None => format!("{later}; by its own deadline no accuracy was possible."),
        }
    }

    pub(super) fn ended(&self, outcome: &Outcome) -> String {
        let after = format!("{} after it came", self.span_to(outcome.finish));
        match outcome.end {
            End::Served => {
                let text = format!("It was done {after}{}: {}", on_time(outcome), self.requests(&outcome.mix));
                text + &self.compared_with_best(outcome)
            }
            End::Dropped => format!("It was dropped {after}, as it had asked for, {}.", self.served(outcome)),
            End::Cancelled => format!("It was cancelled {after}, {}.", self.served(outcome)),
            End::Failed => {
                format!("It failed {after}, {}, {}.", self.why_failed(), self.served(outcome))
            }
            End::Partial => format!("It ended {after}{}, {}.", on_time(outcome), self.served(outcome)),
        }
    }

    /// A second batch had failed; or none had, and then its device was lost with it, or no request had an answer.
    fn why_failed(&self) -> &'static str {
        let last = self.history.events.iter().rev().find_map(|event| match event {
            HistoryEvent::Ran(ran) => Some(ran),
            _ => None,
        });
        match last {
            Some(ran) if ran.failed.is_some() => "since a second batch of it had failed",
            Some(ran) if ran.running => "since its batch did not end",
            Some(_) => "since no request of it had an answer",
            None => "since its device was lost, and no other could take it in time",
        }
    }

    fn served(&self, outcome: &Outcome) -> String {
        match outcome.mix.iter().fold(0, |served: u32, part| served.saturating_add(part.1)) {
            0 => "with nothing served".into(),
            served => {
                let all = count(self.history.job.requests, "request");
                format!("with {served} of its {all} served ({})", self.mix(&outcome.mix))
            }
        }
    }

    /// The accuracy reached, and what more would have cost.
    fn compared_with_best(&self, outcome: &Outcome) -> String {
        let (Some(reached), Some(best)) = (outcome.accuracy, &self.history.best) else { return ".".into() };
        if reached + SAME >= best.accuracy {
            return format!(", {}, the best there is.", share(reached));
        }
        let (reached, took) = (share(reached), span(outcome.device_time));
        let time = match self.pace() {
            Some(pace) => format!("about {} of the device instead of {took}", span(scale(best.latency, pace))),
            None => format!("{} of the device by the profile, where it took {took}", span(best.latency)),
        };
        let best = share(best.accuracy);
        format!(", {reached}. On its most accurate strategy it would have taken {time}, and reached {best}.")
    }

    /// Time over profiled time of all that was run, if all of it is told.
    fn pace(&self) -> Option<f64> {
        let events = &self.history.events;
        let all_told = self.history.left_out == 0 && !matches!(events.first(), Some(HistoryEvent::Resumed { .. }));
        let times = events.iter().filter_map(|event| match event {
            HistoryEvent::Ran(ran) => Some((ran.took.as_secs_f64(), ran.profiled.as_secs_f64())),
            _ => None,
        });
        let (took, profiled) = times.fold((0.0, 0.0), |sum, time| (sum.0 + time.0, sum.1 + time.1));
        (all_told && profiled > 0.0).then(|| took / profiled)
    }
}

fn impossible(never: bool) -> &'static str {
    if never {
        "even an idle server would have been late"
    } else {
        "it would have been late even with every waiting job on its fastest legal strategy"
    }
}

/// How the finish lies to the deadline.
fn on_time(outcome: &Outcome) -> String {
    let (finish, deadline) = (outcome.finish, outcome.deadline);
    match deadline {
        Time::NEVER => String::new(),
        _ if finish == deadline => ", at its deadline".into(),
        _ if finish < deadline => format!(", {} before its deadline", span(deadline.since(finish))),
        _ => format!(", {} after its deadline", span(finish.since(deadline))),
    }
}
