//! The sentence of batches that followed one another.

use std::time::Duration;

use mosel_core::{End, Mode};

use super::Explainer;
use super::words::span;
use crate::{HistoryEvent, Ran};

/// Batches on any selections.
#[derive(Default)]
struct Batches {
    batches: u32,
    /// Requests by selection, in the order of the first batches.
    mix: Vec<(Mode, u32)>,
    took: Duration,
}

impl Explainer<'_> {
    /// Chapters of batches, of which the last one's last batch may have failed; and how the history ends.
    pub(super) fn ran(&self, events: &[HistoryEvent], end: Option<&HistoryEvent>) -> String {
        let ran = |event: &HistoryEvent| if let HistoryEvent::Ran(ran) = event { Some(*ran) } else { None };
        let rans: Vec<Ran> = events.iter().filter_map(ran).collect();
        let (Some(first), Some(last)) = (rans.first(), rans.last()) else { return String::new() };
        let mut all = Batches::default();
        rans.iter().for_each(|ran| all.add(ran));
        let failure = last.failed.map(|requests| self.failure(last, requests, end));
        match failure {
            None => self.batches(first, last, &all) + ".",
            Some(failure) if all.batches == 0 => format!("{} it ran a batch of {failure}.", self.after(first.started)),
            Some(failure) => format!("{}; then it ran a batch of {failure}.", self.batches(first, last, &all)),
        }
    }

    fn batches(&self, first: &Ran, last: &Ran, all: &Batches) -> String {
        let requests = self.requests(&all.mix);
        let text = match all.batches {
            1 if last.running => return format!("{} it began to run {requests}", self.after(first.started)),
            1 => format!("{} it ran {requests}", self.after(first.started)),
            more => format!("{} it ran {requests}, in {more} batches", self.from(first.started)),
        };
        let so_far = if last.running { " so far" } else { "" };
        format!("{text}, which took {} on the device{so_far}", span(all.took))
    }

    fn failure(&self, ran: &Ran, requests: u32, end: Option<&HistoryEvent>) -> String {
        let batch = self.requests(&[(ran.mode, requests)]);
        match end {
            Some(HistoryEvent::Ended(outcome)) if outcome.end == End::Failed && self.is_last(ran) => {
                format!("{batch}, which failed")
            }
            _ => format!("{batch}, which failed and was put back, to be run first"),
        }
    }

    /// No event of batches comes after it.
    fn is_last(&self, ran: &Ran) -> bool {
        let last = self.history.events.iter().rev().find(|event| matches!(event, HistoryEvent::Ran(_)));
        last == Some(&HistoryEvent::Ran(*ran))
    }
}

impl Batches {
    fn add(&mut self, ran: &Ran) {
        self.batches = self.batches.saturating_add(ran.batches);
        self.took = self.took.saturating_add(ran.took);
        match self.mix.iter_mut().find(|part| part.0 == ran.mode) {
            _ if ran.requests == 0 => {}
            Some(part) => part.1 = part.1.saturating_add(ran.requests),
            None => self.mix.push((ran.mode, ran.requests)),
        }
    }
}
