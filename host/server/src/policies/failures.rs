//! When a policy fails too often: what a failure is, the rule, and the alarm.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mosel_core::{DecisionError, PolicyError};

/// So many failures among so many answers are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RollbackRule {
    /// The fewest that are too many; 0: never.
    pub(crate) failures: u32,
    /// Among the last so many answers.
    pub(crate) window: u32,
}

/// The last answers of one policy, as far as the rule looks back.
#[derive(Clone, Debug)]
pub(crate) struct FailureRecord {
    rule: RollbackRule,
    /// Which of them were failures, the latest last.
    failed: VecDeque<bool>,
}

impl FailureRecord {
    /// No answer yet.
    pub(crate) fn new(rule: RollbackRule) -> FailureRecord {
        FailureRecord { rule, failed: VecDeque::new() }
    }

    /// The policy answered.
    pub(crate) fn answered(&mut self, failed: bool) {
        self.failed.push_back(failed);
        if self.failed.len() > self.rule.window as usize {
            self.failed.pop_front();
        }
    }

    /// Its last answer turned out to be none.
    pub(crate) fn last_was_a_failure(&mut self) {
        if let Some(last) = self.failed.back_mut() {
            *last = true;
        }
    }

    /// Failures among the last answers, and how many answers these are.
    pub(crate) fn failures(&self) -> (usize, usize) {
        (self.failed.iter().filter(|failed| **failed).count(), self.failed.len())
    }

    /// The rule is broken.
    pub(crate) fn too_many(&self) -> bool {
        self.rule.failures > 0 && self.failures().0 >= self.rule.failures as usize
    }
}

/// A failure of the policy itself. Not a time-out: that may be the machine's fault. Not to decline: that is its right.
pub(crate) fn is_failure(error: &PolicyError) -> bool {
    match error {
        PolicyError::OutOfFuel(_)
        | PolicyError::OutOfMemory(_)
        | PolicyError::Trapped(_)
        | PolicyError::Malformed(_) => true,
        PolicyError::Declined(_) | PolicyError::TimedOut(_) | PolicyError::Unavailable(_) => false,
    }
}

/// An answer that no queue would have made legal.
pub(crate) fn is_illegal(error: &DecisionError) -> bool {
    !matches!(error, DecisionError::Policy(_) | DecisionError::TooLate | DecisionError::MakesLate { .. })
}

/// A policy in place that fails too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailureAlarm {
    /// Which.
    pub(crate) generation: u64,
    /// How often, and how last; for an operator.
    pub(crate) words: String,
}

/// Where alarms go. Nobody ever waits for them to be taken.
pub(crate) type Alarms = SyncSender<FailureAlarm>;

/// A place for alarms, and where they come out.
pub(crate) fn alarms() -> (Alarms, Receiver<FailureAlarm>) {
    sync_channel(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(failures: u32, window: u32, answers: &[bool]) -> FailureRecord {
        let mut record = FailureRecord::new(RollbackRule { failures, window });
        answers.iter().for_each(|failed| record.answered(*failed));
        record
    }

    #[test]
    fn failures_are_too_many_from_the_rule_on() {
        assert!(!record(3, 10, &[true, false, true]).too_many());
        assert!(record(3, 10, &[true, false, true, true]).too_many());
        assert!(!record(0, 10, &[true; 10]).too_many());
    }

    #[test]
    fn failures_before_the_window_do_not_count() {
        let mut record = record(3, 4, &[true, true, false, false]);
        record.answered(true);
        assert_eq!(record.failures(), (2, 4));
        assert!(!record.too_many());
        record.answered(true);
        record.answered(true);
        assert_eq!(record.failures(), (3, 4));
        assert!(record.too_many());
    }

    #[test]
    fn an_illegal_answer_counts_once() {
        let mut record = record(2, 4, &[false]);
        record.last_was_a_failure();
        record.last_was_a_failure();
        assert_eq!(record.failures(), (1, 1));
    }

    #[test]
    fn time_outs_and_refusals_are_no_failures() {
        let second = std::time::Duration::from_secs(1);
        let innocent = [PolicyError::TimedOut(second), PolicyError::Declined("no".into())];
        assert!(innocent.iter().all(|error| !is_failure(error)));
        assert!(is_failure(&PolicyError::OutOfFuel(1)));
        assert!(is_illegal(&DecisionError::NotFinite));
        assert!(innocent.into_iter().all(|error| !is_illegal(&DecisionError::Policy(error))));
        assert!(!is_illegal(&DecisionError::MakesLate { job: mosel_core::JobId(1), by: second }));
    }
}
