//! How the policy in place does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use mosel_core::{PlanError, PlanId};

/// What became of the policy's answers, and how long they took. Of one policy; a new one starts from nothing.
#[derive(Debug, Default)]
pub struct PolicyStats {
    counts: Mutex<Counts>,
}

/// The numbers of [`PolicyStats`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Questions that were asked.
    pub calls: u64,
    /// Answers that were adopted, even if they changed nothing.
    pub adopted: u64,
    /// Jobs that adopted answers moved to other strategies.
    pub moved: u64,
    /// Answers that were not used, by the reason's short name.
    pub refused: BTreeMap<&'static str, u64>,
    /// Times the built-in squeeze had to step in.
    pub squeezes: u64,
    /// The last reason for which an answer was not used.
    pub last_error: Option<String>,
    times: VecDeque<Duration>,
}

/// Decision times that percentiles are taken over.
const TIMES_KEPT: usize = 1024;

impl PolicyStats {
    /// The numbers so far.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// An answer was adopted.
    pub fn adopted(&self, plan: PlanId, moved: usize) {
        tracing::debug!(plan = plan.0, moved, "adopted a plan");
        let mut counts = self.lock();
        counts.adopted += 1;
        counts.moved += moved as u64;
    }

    /// An answer was not used.
    pub fn refused(&self, plan: PlanId, error: &PlanError) {
        tracing::debug!(plan = plan.0, %error, "refused a plan");
        let mut counts = self.lock();
        *counts.refused.entry(error.kind()).or_default() += 1;
        counts.last_error = Some(error.to_string());
    }

    /// The built-in squeeze stepped in.
    pub fn squeezed(&self, lane: u32, moved: usize) {
        tracing::debug!(lane, moved, "squeezed");
        self.lock().squeezes += 1;
    }

    pub(crate) fn asked(&self, time: Duration) {
        let mut counts = self.lock();
        counts.calls += 1;
        if counts.times.len() == TIMES_KEPT {
            counts.times.pop_front();
        }
        counts.times.push_back(time);
    }

    pub(crate) fn start_anew(&self) {
        *self.lock() = Counts::default();
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("nobody panics while counting")
    }
}

impl Counts {
    /// The decision time that this share of the last decisions did not exceed; `None` without decisions.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let mut times: Vec<Duration> = self.times.iter().copied().collect();
        times.sort();
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.clamp(1, times.len().max(1)) - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_decisions() {
        let stats = PolicyStats::default();
        assert_eq!(stats.counts().percentile(0.5), None);
        for micros in 0..TIMES_KEPT as u64 + 100 {
            stats.asked(Duration::from_micros(micros));
        }
        let counts = stats.counts();
        assert_eq!(counts.calls, 1124);
        assert_eq!(counts.percentile(0.0), Some(Duration::from_micros(100)));
        assert_eq!(counts.percentile(0.5), Some(Duration::from_micros(611)));
        assert_eq!(counts.percentile(1.0), Some(Duration::from_micros(1123)));
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let stats = PolicyStats::default();
        stats.refused(PlanId(1), &PlanError::Late);
        stats.refused(PlanId(2), &PlanError::NotFinite);
        stats.refused(PlanId(3), &PlanError::Late);
        let counts = stats.counts();
        assert_eq!(counts.refused, BTreeMap::from([("late", 2), ("not_finite", 1)]));
        assert!(counts.last_error.unwrap().contains("nobody waited"));
    }
}
