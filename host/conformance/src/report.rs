//! What came of the checks.

use std::fmt;
use std::time::Duration;

use mosel_sandbox::{Description, LoadError};

use crate::Check;

/// What the checks found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the policy says of itself; `None` if it does not load.
    pub policy: Option<Description>,
    /// SHA-256 of the component, in hex; `None` if it does not load.
    pub hash: Option<String>,
    /// Whether to use it.
    pub verdict: Verdict,
    /// One for every check that was made, in order.
    pub findings: Vec<Finding>,
    /// What was counted and measured.
    pub figures: Figures,
}

/// Whether to use a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing was found.
    Fit,
    /// It does its work, but something is not as one would wish.
    FitWithWarnings,
    /// It breaks the contract. A server survives it, but is better off without.
    Unfit,
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which one it was.
    pub check: Check,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen, for people.
    pub words: String,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Well.
    Pass,
    /// Not as one would wish.
    Warn,
    /// The contract is broken.
    Fail,
}

/// What was counted and measured while checking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Questions that were put to it.
    pub questions: usize,
    /// Jobs that would have been late and could be saved, over all random queues.
    pub savable: usize,
    /// Those of them that are late under its answers.
    pub left: usize,
    /// The value (sum of weight x requests x accuracy) of its answers, as a share of what the fallback keeps;
    /// over queues where it left nobody. 0 if there are none.
    pub value_to_fallback: f64,
    /// Time of a decision on a queue of at most 100 jobs, in microseconds, conversions included.
    pub decide_us: Spread,
    /// Fuel of such a decision.
    pub decide_fuel: Spread,
    /// Microseconds a decision on a queue of a thousand jobs takes.
    pub long_us: Spread,
    /// Fuel of such a decision.
    pub long_fuel: Spread,
    /// What a decision may take: processor time, and fuel.
    pub limits: (Duration, u64),
}

/// How values spread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Half of them are no larger.
    pub p50: f64,
    /// 99 in 100 are no larger.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl Report {
    pub(crate) fn of_one_that_does_not_load(error: &LoadError) -> Report {
        let finding = Finding { check: Check::Loads, outcome: Outcome::Fail, words: error.to_string() };
        let figures = Figures::default();
        Report { policy: None, hash: None, verdict: Verdict::Unfit, findings: vec![finding], figures }
    }

    /// The finding of this check, if it was made.
    pub fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

impl Verdict {
    pub(crate) fn of(findings: &[Finding]) -> Verdict {
        match findings.iter().map(|finding| finding.outcome).max() {
            Some(Outcome::Fail) => Verdict::Unfit,
            Some(Outcome::Warn) => Verdict::FitWithWarnings,
            Some(Outcome::Pass) | None => Verdict::Fit,
        }
    }
}

impl Spread {
    /// How these spread; all 0 if there are none.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (values.len() as f64 * share).ceil() as usize;
            values.get(index.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        Spread { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Fit => "fit",
            Verdict::FitWithWarnings => "fit, with warnings",
            Verdict::Unfit => "unfit",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Pass => "pass",
            Outcome::Warn => "warn",
            Outcome::Fail => "fail",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let spread = Spread::of((1..=200).map(f64::from).collect());
        assert_eq!(spread, Spread { p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::of(vec![7.0]), Spread { p50: 7.0, p99: 7.0, max: 7.0 });
        assert_eq!(Spread::of(vec![]), Spread::default());
    }

    #[test]
    fn the_worst_finding_is_the_verdict() {
        let verdict = |outcomes: &[Outcome]| {
            let finding = |&outcome| Finding { check: Check::Legal, outcome, words: String::new() };
            Verdict::of(&outcomes.iter().map(finding).collect::<Vec<_>>())
        };
        assert_eq!(verdict(&[Outcome::Pass, Outcome::Pass]), Verdict::Fit);
        assert_eq!(verdict(&[Outcome::Warn, Outcome::Pass]), Verdict::FitWithWarnings);
        assert_eq!(verdict(&[Outcome::Warn, Outcome::Fail]), Verdict::Unfit);
    }
}
