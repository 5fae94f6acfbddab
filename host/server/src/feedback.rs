//! What became of jobs, on its way to policies that want to know. A mailbox: who puts something in waits for nobody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mosel_core::{End, Outcome};

/// Outcomes that wait to be told; older ones are forgotten.
pub(crate) const MOST_OUTCOMES: usize = 4096;

/// Outcomes of served jobs, between the driver and the planner.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    active_wants: AtomicBool,
    shadow_wants: AtomicBool,
    /// The planner was told that there is something, and has not looked yet.
    told: AtomicBool,
    outcomes: Mutex<VecDeque<Outcome>>,
    forgotten: AtomicU64,
}

impl Feedback {
    /// From here on the policy in place wants to know, or does not.
    pub(crate) fn active_wants(&self, wants: bool) {
        self.active_wants.store(wants, Ordering::Relaxed);
        self.forget_unwanted();
    }

    /// The same of the shadow.
    pub(crate) fn shadow_wants(&self, wants: bool) {
        self.shadow_wants.store(wants, Ordering::Relaxed);
        self.forget_unwanted();
    }

    /// Keeps what became of a job that was served, if somebody wants to know.
    pub(crate) fn put(&self, outcome: &Outcome) {
        if outcome.end != End::Served || !self.wanted() {
            return;
        }
        let mut outcomes = self.lock();
        if outcomes.len() == MOST_OUTCOMES {
            outcomes.pop_front();
            self.forgotten.fetch_add(1, Ordering::Relaxed);
        }
        outcomes.push_back(outcome.clone());
    }

    /// The planner has to be told that there is something; if it cannot be, say so by [`Feedback::not_told`].
    pub(crate) fn tell(&self) -> bool {
        self.wanted() && !self.lock().is_empty() && !self.told.swap(true, Ordering::Relaxed)
    }

    /// The planner could not be told.
    pub(crate) fn not_told(&self) {
        self.told.store(false, Ordering::Relaxed);
    }

    /// Takes up to this many, oldest first.
    pub(crate) fn take(&self, most: usize) -> Vec<Outcome> {
        self.told.store(false, Ordering::Relaxed);
        let mut outcomes = self.lock();
        let count = outcomes.len().min(most);
        outcomes.drain(..count).collect()
    }

    /// Outcomes that nobody was told since too many came.
    #[cfg(test)]
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    fn wanted(&self) -> bool {
        self.active_wants.load(Ordering::Relaxed) || self.shadow_wants.load(Ordering::Relaxed)
    }

    fn forget_unwanted(&self) {
        if !self.wanted() {
            self.lock().clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_core::{JobId, TableId, Time};
    use std::time::Duration;

    fn outcome(job: u64, end: End) -> Outcome {
        Outcome {
            job: JobId(job),
            end,
            finish: Time::START,
            deadline: Time::START,
            min_accuracy: 0.0,
            mix: vec![],
            accuracy: None,
            answered: 1,
            requests: 1,
            started: None,
            device_time: Duration::ZERO,
            expected_time: Duration::ZERO,
            last_choice: (TableId(0), 0),
            decisions: vec![],
        }
    }

    fn put(feedback: &Feedback, jobs: std::ops::Range<u64>) {
        jobs.for_each(|job| feedback.put(&outcome(job, End::Served)));
    }

    #[test]
    fn only_what_was_served_is_kept_and_only_if_it_is_wanted() {
        let feedback = Feedback::default();
        put(&feedback, 0..3);
        assert!(!feedback.tell() && feedback.take(9).is_empty());
        feedback.active_wants(true);
        feedback.put(&outcome(3, End::Cancelled));
        assert!(!feedback.tell());
        put(&feedback, 4..5);
        assert!(feedback.tell());
        assert_eq!(feedback.take(9)[0].job, JobId(4));
        put(&feedback, 5..6);
        feedback.active_wants(false);
        assert!(feedback.take(9).is_empty());
        feedback.shadow_wants(true);
        put(&feedback, 6..7);
        assert!(feedback.tell());
    }

    #[test]
    fn the_planner_is_told_once_until_it_looks() {
        let feedback = Feedback::default();
        feedback.active_wants(true);
        put(&feedback, 0..3);
        assert!(feedback.tell() && !feedback.tell());
        feedback.not_told();
        assert!(feedback.tell() && !feedback.tell());
        assert_eq!(feedback.take(2).len(), 2);
        assert!(feedback.tell());
    }

    #[test]
    fn the_oldest_beyond_the_most_are_forgotten() {
        let feedback = Feedback::default();
        feedback.active_wants(true);
        put(&feedback, 0..MOST_OUTCOMES as u64);
        assert_eq!(feedback.forgotten(), 0);
        put(&feedback, 5000..5001);
        assert_eq!(feedback.forgotten(), 1);
        let outcomes = feedback.take(MOST_OUTCOMES + 1);
        assert_eq!((outcomes.len(), outcomes[0].job), (MOST_OUTCOMES, JobId(1)));
    }
}
