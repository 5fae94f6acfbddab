//! A question to a policy, kept until it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use mosel_core::{Catalog, Decision, DecisionId, JobId, Plan, Snapshot};

use super::queue::{Move, Queue};
use super::{Cause, Counterfactual, LateJob};

/// The most jobs that would have been late which a decision names.
const MOST_NAMED: usize = 3;

/// A question, and who was asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    snapshot: Snapshot,
    policy: Arc<str>,
}

/// What a decision made of the queue that was asked about.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) cause: Cause,
    /// For every job of the question that was moved.
    pub(super) counterfactuals: BTreeMap<JobId, Counterfactual>,
}

impl Question {
    pub(super) fn new(snapshot: Snapshot, policy: Arc<str>) -> Question {
        Question { snapshot, policy }
    }

    pub(super) fn plan(&self) -> DecisionId {
        self.snapshot.decision
    }

    pub(super) fn policy(&self) -> &Arc<str> {
        &self.policy
    }

    /// Another question takes its place, and its memory.
    pub(super) fn replace(&mut self, snapshot: &Snapshot, policy: &Arc<str>) {
        let mut jobs = std::mem::take(&mut self.snapshot.jobs);
        jobs.clone_from(&snapshot.jobs);
        self.snapshot = Snapshot { jobs, ..*snapshot };
        self.policy = policy.clone();
    }

    /// What it was answered, if that is an answer to it.
    pub(super) fn check(&self, catalog: &Catalog, decision: &Decision) -> Option<Plan> {
        Plan::check(&self.snapshot, catalog, decision).ok()
    }

    /// Compares the queue as it was with the queue under a decision: an order, empty if it is kept, and moves.
    ///
    /// `None` if a row is off its table.
    pub(super) fn compare(
        &self,
        catalog: &Catalog,
        order: &BTreeMap<JobId, usize>,
        moves: &BTreeMap<JobId, Move>,
    ) -> Option<Comparison> {
        let before = Queue::as_it_was(&self.snapshot, catalog)?;
        let after = before.decided(order, moves);
        let cause = Cause {
            at: self.snapshot.now,
            trigger: self.snapshot.trigger,
            late: before.late().take(MOST_NAMED).map(|(job, by)| LateJob { job, by }).collect(),
            late_before: before.late().count(),
            late_after: after.late().count(),
        };
        Some(Comparison { cause, counterfactuals: after.counterfactuals(moves) })
    }
}
