//! How often something went wrong, with the first example.

use crate::{Check, Finding, Outcome};

/// How often something went wrong.
#[derive(Debug)]
pub(crate) struct Tally {
    check: Check,
    tried: usize,
    wrong: usize,
    worst: Outcome,
    example: String,
}

impl Tally {
    pub(crate) fn new(check: Check) -> Tally {
        Tally { check, tried: 0, wrong: 0, worst: Outcome::Pass, example: String::new() }
    }

    pub(crate) fn pass(&mut self) {
        self.tried += 1;
    }

    /// The worst is remembered with its words; of equals the first.
    pub(crate) fn count(&mut self, outcome: Outcome, words: impl FnOnce() -> String) {
        self.tried += 1;
        if outcome == Outcome::Pass {
            return;
        }
        self.wrong += 1;
        if outcome > self.worst {
            self.worst = outcome;
            self.example = words();
        }
    }

    pub(crate) fn wrong(&self) -> usize {
        self.wrong
    }

    /// `what` was tried, such as `questions`; `well` is said if all went well.
    pub(crate) fn finding(self, what: &str, well: &str) -> Finding {
        let Tally { check, tried, wrong, worst, example } = self;
        let words = match wrong {
            0 => format!("{tried} {what}, {well}"),
            _ => format!("{wrong} of {tried} {what}; first {example}"),
        };
        Finding { check, outcome: worst, words }
    }
}
