//! How one policy in place does: what became of its answers, and what they cost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mosel_core::{Decision, DecisionError, DecisionId, LaneId, PolicyError, Quality};
use mosel_sandbox::{ConfigureError, LogLine, MeteredReply};

use crate::metrics::PolicyMeters;
use crate::policies::failures::{FailureRecord, RollbackRule, is_failure, is_illegal};

/// What became of the answers of one installation of a policy.
#[derive(Debug)]
pub(crate) struct PolicyStats {
    counts: Mutex<Counts>,
    meters: PolicyMeters,
}

/// The numbers of [`PolicyStats`].
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// Questions that were asked.
    pub(crate) calls: u64,
    /// Answers that were adopted, even if they changed nothing.
    pub(crate) adopted: u64,
    /// Jobs that adopted answers moved to other strategies.
    pub(crate) moved: u64,
    /// Times it trapped, answers that came too late included.
    pub(crate) traps: u64,
    /// Answers that were not used, by the reason's short name.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Times the built-in fallback had to step in.
    pub(crate) fallbacks: u64,
    /// What it said of its answers.
    pub(crate) qualities: BTreeMap<&'static str, u64>,
    /// The last reason for which an answer was not used.
    pub(crate) last_error: Option<String>,
    /// What it logged last, oldest first.
    pub(crate) log: VecDeque<LogLine>,
    /// Messages that were too many to keep.
    pub(crate) log_suppressed: u64,
    /// Sum and number of the gaps of answers that gave objective and bound.
    gaps: (f64, u64),
    costs: VecDeque<(Duration, Option<u64>)>,
    record: FailureRecord,
    alarmed: bool,
}

/// Decisions that percentiles are taken over.
const DECISIONS_KEPT: usize = 1024;
/// Lines of its log that are shown.
const LINES_KEPT: usize = 20;

impl PolicyStats {
    /// Nothing asked yet.
    pub(crate) fn new(rule: RollbackRule, meters: PolicyMeters) -> PolicyStats {
        PolicyStats { counts: Mutex::new(Counts::new(rule)), meters }
    }

    /// The numbers so far.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// It was asked, and this came of it.
    pub(crate) fn asked(&self, reply: &MeteredReply) {
        self.meters.asked(reply);
        let mut counts = self.lock();
        counts.calls += 1;
        counts.traps += u64::from(matches!(reply.answer, Err(PolicyError::Trapped(_))));
        // nobody was asked where there was no instance to ask
        if !matches!(reply.answer, Err(PolicyError::Unavailable(_))) {
            keep(&mut counts.costs, (reply.wall, reply.fuel_used), DECISIONS_KEPT);
        }
        if let Err(error) = &reply.answer {
            counts.last_error = Some(error.to_string());
        }
        counts.log_suppressed += reply.log_left_out;
        reply.log.iter().for_each(|line| keep(&mut counts.log, line.clone(), LINES_KEPT));
        counts.record.answered(reply.answer.as_ref().is_err_and(is_failure));
        let Ok(decision) = &reply.answer else { return };
        *counts.qualities.entry(quality(decision.quality)).or_default() += 1;
        if let Some(gap) = gap(decision) {
            counts.gaps = (counts.gaps.0 + gap, counts.gaps.1 + 1);
            drop(counts);
            self.meters.claimed(gap);
        }
    }

    /// An answer was adopted.
    pub(crate) fn adopted(&self, plan: DecisionId, moved: usize) {
        tracing::debug!(plan = plan.0, moved, "adopted a plan");
        self.meters.adopted();
        let mut counts = self.lock();
        counts.adopted += 1;
        counts.moved += moved as u64;
    }

    /// An answer was not used. If it was illegal it was the last one: only the planner's own answers are checked.
    pub(crate) fn refused(&self, plan: DecisionId, error: &DecisionError) {
        tracing::debug!(plan = plan.0, %error, "refused a plan");
        self.meters.refused(error.kind());
        let mut counts = self.lock();
        *counts.refused.entry(error.kind()).or_default() += 1;
        // what made it late was told before
        if *error != DecisionError::TooLate || counts.last_error.is_none() {
            counts.last_error = Some(error.to_string());
        }
        if is_illegal(error) {
            counts.record.last_was_a_failure();
        }
    }

    /// A fresh instance in place of one that failed did not start either.
    pub(crate) fn did_not_start(&self, error: &ConfigureError) {
        let mut counts = self.lock();
        counts.last_error = Some(format!("it did not start again: {error}"));
        if !matches!(error, ConfigureError::Failed(PolicyError::TimedOut(_))) {
            counts.record.answered(true);
        }
    }

    /// It failed while it was told outcomes.
    pub(crate) fn did_not_listen(&self, error: &PolicyError) {
        let mut counts = self.lock();
        counts.traps += u64::from(matches!(error, PolicyError::Trapped(_)));
        counts.last_error = Some(format!("when it was told outcomes: {error}"));
        if is_failure(error) {
            counts.record.answered(true);
        }
    }

    /// The built-in fallback stepped in.
    pub(crate) fn fell_back(&self, lane: LaneId, moved: usize) {
        tracing::debug!(lane = lane.0, moved, "fell back");
        self.meters.fell_back();
        self.lock().fallbacks += 1;
    }

    /// It has failed too often; said once.
    pub(crate) fn alarm(&self) -> Option<String> {
        let mut counts = self.lock();
        if counts.alarmed || !counts.record.too_many() {
            return None;
        }
        counts.alarmed = true;
        let (failures, answers) = counts.record.failures();
        let last = counts.last_error.as_deref().unwrap_or("no reason was told");
        Some(format!("failed {failures} times in its last {answers} answers, the last time because {last}"))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn new(rule: RollbackRule) -> Counts {
        Counts {
            calls: 0,
            adopted: 0,
            moved: 0,
            traps: 0,
            refused: BTreeMap::new(),
            fallbacks: 0,
            qualities: BTreeMap::new(),
            last_error: None,
            log: VecDeque::new(),
            log_suppressed: 0,
            gaps: (0.0, 0),
            costs: VecDeque::new(),
            record: FailureRecord::new(rule),
            alarmed: false,
        }
    }

    /// Questions it did not answer in time.
    pub(crate) fn timeouts(&self) -> u64 {
        self.refused.get("timed_out").copied().unwrap_or(0)
    }

    /// The decision time that this share of the last decisions did not exceed; `None` without decisions.
    pub(crate) fn time(&self, share: f64) -> Option<Duration> {
        percentile(self.costs.iter().map(|(time, _)| *time).collect(), share)
    }

    /// The same of fuel, over the decisions whose fuel was counted.
    pub(crate) fn fuel(&self, share: f64) -> Option<u64> {
        percentile(self.costs.iter().filter_map(|(_, fuel)| *fuel).collect(), share)
    }

    /// How far below the bounds it proved its answers may lie, as a share, on average.
    pub(crate) fn mean_gap(&self) -> Option<f64> {
        let (sum, count) = self.gaps;
        (count > 0).then(|| sum / count as f64)
    }
}

/// The value that this share of the values does not exceed; `None` of none.
pub(crate) fn percentile<T: Copy + Ord>(mut values: Vec<T>, share: f64) -> Option<T> {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.clamp(1, values.len().max(1)) - 1).copied()
}

/// Puts the latest behind the others and forgets the oldest beyond the most.
pub(crate) fn keep<T>(kept: &mut VecDeque<T>, latest: T, most: usize) {
    if kept.len() == most {
        kept.pop_front();
    }
    kept.push_back(latest);
}

/// (bound - objective) / |bound|, where both are given and make sense.
fn gap(decision: &Decision) -> Option<f64> {
    let (objective, bound) = (decision.objective?, decision.bound?);
    let gap = if bound == objective { 0.0 } else { (bound - objective) / bound.abs() };
    (gap.is_finite() && gap >= 0.0).then_some(gap)
}

fn quality(quality: Quality) -> &'static str {
    match quality {
        Quality::Optimal => "optimal",
        Quality::Bounded => "bounded",
        Quality::Heuristic => "heuristic",
        Quality::BestEffort => "best_effort",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn stats() -> PolicyStats {
        PolicyStats::new(RollbackRule { failures: 2, window: 10 }, Metrics::default().of_policy("mine"))
    }

    fn decided(micros: u64, answer: Result<Decision, PolicyError>) -> MeteredReply {
        let (fuel_used, wall) = (Some(micros * 10), Duration::from_micros(micros));
        MeteredReply { answer, fuel_used, wall, log: Vec::new(), log_left_out: 0 }
    }

    fn claiming(objective: f64, bound: f64) -> MeteredReply {
        let (objective, bound) = (Some(objective), Some(bound));
        decided(1, Ok(Decision { objective, bound, quality: Quality::Bounded, ..Decision::default() }))
    }

    #[test]
    fn percentiles_are_of_the_last_decisions() {
        let stats = stats();
        assert_eq!(stats.counts().time(0.5), None);
        for micros in 0..DECISIONS_KEPT as u64 + 100 {
            stats.asked(&decided(micros, Ok(Decision::default())));
        }
        let counts = stats.counts();
        assert_eq!(counts.calls, 1124);
        assert_eq!(counts.time(0.0), Some(Duration::from_micros(100)));
        assert_eq!(counts.time(0.5), Some(Duration::from_micros(611)));
        assert_eq!(counts.time(1.0), Some(Duration::from_micros(1123)));
        assert_eq!(counts.fuel(0.5), Some(6110));
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let stats = stats();
        stats.refused(DecisionId(1), &DecisionError::TooLate);
        stats.refused(DecisionId(2), &DecisionError::NotFinite);
        stats.refused(DecisionId(3), &DecisionError::TooLate);
        let counts = stats.counts();
        assert_eq!(counts.refused, BTreeMap::from([("late", 2), ("not_finite", 1)]));
        assert!(counts.last_error.unwrap().contains("finite"), "that one was late hides no other reason");
    }

    #[test]
    fn gaps_are_shares_of_the_bound_whatever_its_sign() {
        let stats = stats();
        assert_eq!(stats.counts().mean_gap(), None);
        stats.asked(&decided(1, Ok(Decision::default())));
        stats.asked(&claiming(9.0, 10.0));
        stats.asked(&claiming(-12.0, -10.0));
        stats.asked(&claiming(0.0, 0.0));
        assert!((stats.counts().mean_gap().unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(stats.counts().qualities, BTreeMap::from([("bounded", 3), ("heuristic", 1)]));
    }

    #[test]
    fn an_alarm_is_given_once_and_says_why() {
        let stats = stats();
        stats.asked(&decided(1, Err(PolicyError::TimedOut(Duration::from_millis(1)))));
        stats.asked(&decided(1, Err(PolicyError::Trapped("ouch".into()))));
        assert_eq!(stats.alarm(), None);
        stats.asked(&decided(1, Ok(Decision::default())));
        stats.refused(DecisionId(3), &DecisionError::NotFinite);
        let words = stats.alarm().expect("a trap and an illegal answer are two failures");
        assert!(words.starts_with("failed 2 times in its last 3 answers, the last time because objective"), "{words}");
        assert_eq!(stats.alarm(), None);
    }

    #[test]
    fn an_instance_that_does_not_come_back_is_a_failure_unless_it_was_slow() {
        let stats = stats();
        let slow = ConfigureError::Failed(PolicyError::TimedOut(Duration::from_secs(1)));
        (0..5).for_each(|_| stats.did_not_start(&slow));
        assert_eq!(stats.alarm(), None);
        (0..2).for_each(|_| stats.did_not_start(&ConfigureError::BadSettings("not again".into())));
        assert!(stats.alarm().is_some());
    }
}
