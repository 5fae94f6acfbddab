//! A history in sentences, for whoever asks what became of a job.
//!
//! Where to start reading: this file has the order of the sentences; the others have those of one kind of event each.

mod change;
mod end;
mod naming;
mod ran;
mod words;

pub use naming::Naming;

use mosel_core::{JobId, LaneId, Mode, OnLate, Time};

use crate::{Choice, HistoryEvent, JobHistory};
use words::{count, share, span};

/// The history in English, a few sentences each; times are counted from when the job came.
pub fn explain(history: &JobHistory, naming: &Naming) -> Vec<String> {
    let explainer = Explainer { history, naming };
    let (end, middle) = match history.events.split_last() {
        Some((end, middle)) if history.has_ended() => (Some(end), middle),
        _ => (None, &history.events[..]),
    };
    let mut sentences = vec![explainer.arrival()];
    for events in middle.chunk_by(HistoryEvent::shares_a_sentence_with) {
        sentences.push(explainer.events(events, end));
    }
    sentences.extend(explainer.left_out());
    sentences.push(end.map_or_else(|| explainer.present(), |end| explainer.events(std::slice::from_ref(end), None)));
    sentences
}

/// A history that is being told.
struct Explainer<'a> {
    history: &'a JobHistory,
    naming: &'a Naming,
}

impl HistoryEvent {
    /// Batches that follow one another are told of in one sentence, up to one that failed.
    fn shares_a_sentence_with(&self, next: &HistoryEvent) -> bool {
        matches!((self, next), (HistoryEvent::Ran(ran), HistoryEvent::Ran(_)) if ran.failed.is_none())
    }
}

impl Explainer<'_> {
    /// Chapters that are told together, which all are of batches unless it is one; and how the history ends.
    fn events(&self, events: &[HistoryEvent], end: Option<&HistoryEvent>) -> String {
        match &events[0] {
            HistoryEvent::Refused { refusal, .. } => self.refused(refusal),
            HistoryEvent::Accepted { lane, predicted_finish, choice, .. } => {
                self.accepted(*lane, *predicted_finish, choice)
            }
            HistoryEvent::Resumed { lane, choice, changes, late } => self.resumed(*lane, choice, *changes, *late),
            HistoryEvent::Changed(change) => self.changed(change),
            HistoryEvent::Ran(_) => self.ran(events, end),
            HistoryEvent::Moved { at, lane } => self.moved(*at, *lane),
            HistoryEvent::GivenUp { at } => self.given_up(*at),
            HistoryEvent::Ended(outcome) => self.ended(outcome),
        }
    }

    fn arrival(&self) -> String {
        let job = &self.history.job;
        let mut text = format!(
            "Job {} came {}: {} for {}, {}, {}",
            self.naming.job(job.id),
            after_start(self.history.arrival),
            count(job.requests, "request"),
            self.naming.model(job.model),
            self.deadline(),
            if job.min_accuracy > 0.0 {
                format!("at an accuracy of at least {}", share(job.min_accuracy))
            } else {
                "at any accuracy".into()
            },
        );
        if job.weight != 1.0 {
            text += &format!(", with a priority of {}", share(job.weight));
        }
        if job.on_late == OnLate::Drop {
            text += ", to be dropped once it cannot be on time";
        }
        text + "."
    }

    fn deadline(&self) -> String {
        match self.history.job.deadline {
            Time::NEVER => "to be done at any time".into(),
            past if past <= self.history.arrival => "to be done before it came".into(),
            deadline => format!("to be done within {}", self.span_to(deadline)),
        }
    }

    fn accepted(&self, lane: LaneId, predicted: Time, choice: &Choice) -> String {
        let late = match predicted.since(self.history.job.deadline) {
            by if by.is_zero() => String::new(),
            by => format!(", {} late if nothing changed", span(by)),
        };
        format!(
            "It was accepted at once on lane {lane}, on its most accurate strategy ({}: {} in {}), to be done {} after it \
             came{late}.",
            self.requests(&choice.mix),
            share(choice.accuracy),
            span(choice.latency),
            self.span_to(predicted),
        )
    }

    fn resumed(&self, lane: LaneId, choice: &Choice, changes: usize, late: bool) -> String {
        let mut text = match choice.requests {
            0 => format!("The record begins later, when its last batch was on the device of lane {lane}"),
            _ => {
                format!("The record begins later, when {} on lane {lane}, on {}", self.waited(choice), self.on(choice))
            }
        };
        if changes > 0 {
            text += &format!("; its strategy had been changed {} before", count(changes, "time"));
        }
        if late {
            text += "; its deadline could not be met any more";
        }
        text + "."
    }

    fn waited(&self, choice: &Choice) -> String {
        match self.history.job.requests {
            all if choice.requests >= all => "it waited".into(),
            all => format!("{} of its {all} requests waited", choice.requests),
        }
    }

    fn moved(&self, at: Time, lane: LaneId) -> String {
        format!(
            "{} it was moved to lane {lane}, since the device of its own lane could not be trusted.",
            self.after(at)
        )
    }

    fn given_up(&self, at: Time) -> String {
        let text = format!("{} its deadline could not be met any more", self.after(at));
        match self.history.job.on_late {
            OnLate::Run => text + "; it went behind all jobs that could be on time.",
            OnLate::Drop => text + ".",
        }
    }

    fn left_out(&self) -> Option<String> {
        let more = self.history.left_out;
        (more > 0).then(|| format!("Then {} followed that this history leaves out.", count(more, "event")))
    }

    /// Where a job that has not ended is now.
    fn present(&self) -> String {
        let all = self.history.job.requests;
        match self.history.current() {
            None => "Nothing of it waits any more: its last batch is on the device.".into(),
            Some(choice) if choice.requests < all => {
                let wait = if choice.requests == 1 { "waits" } else { "wait" };
                format!("{} of its {all} requests {wait} now, on {}.", choice.requests, self.on(&choice))
            }
            Some(choice) => format!("It waits now, on {}.", self.on(&choice)),
        }
    }

    /// `After 15 ms`, counted from when the job came.
    fn after(&self, at: Time) -> String {
        if at <= self.history.arrival { "At once".into() } else { format!("After {}", self.span_to(at)) }
    }

    /// `From 15 ms on`.
    fn from(&self, at: Time) -> String {
        if at <= self.history.arrival { "From its arrival on".into() } else { format!("From {} on", self.span_to(at)) }
    }

    fn span_to(&self, at: Time) -> String {
        span(at.since(self.history.arrival))
    }

    /// `0.834 in 31 ms (6 on text, 2 on image+text)`.
    fn on(&self, choice: &Choice) -> String {
        format!("{} in {} ({})", share(choice.accuracy), span(choice.latency), self.mix(&choice.mix))
    }

    /// `6 on text, 2 on image+text`.
    fn mix(&self, mix: &[(Mode, u32)]) -> String {
        let part = |&(mode, requests): &(Mode, u32)| format!("{requests} on {}", self.selection(mode));
        mix.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// `6 requests on text, 2 on image+text`.
    fn requests(&self, mix: &[(Mode, u32)]) -> String {
        let Some((&(mode, requests), others)) = mix.split_first() else { return "no request".into() };
        let first = format!("{} on {}", count(requests, "request"), self.selection(mode));
        if others.is_empty() { first } else { format!("{first}, {}", self.mix(others)) }
    }

    fn selection(&self, mode: Mode) -> String {
        self.naming.selection(self.history.job.model, mode)
    }

    fn is_self(&self, job: JobId) -> bool {
        job == self.history.job.id
    }
}

fn after_start(at: Time) -> String {
    match at {
        Time::START => "at the server's start".into(),
        later => format!("{} after the server's start", span(later.since(Time::START))),
    }
}
