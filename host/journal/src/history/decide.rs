//! Where strategies are changed: by a policy's answer that was adopted, or by the fallback.

use std::collections::BTreeMap;
use std::sync::Arc;

use mosel_core::{Decision, DecisionError, DecisionId, JobId, Plan, PolicyError, Time};

use super::question::{Comparison, Question};
use super::queue::Move;
use super::remaining::Remaining;
use super::{Change, Choice, Counterfactual, DecidedBy, DecisionRecord, HistoryEvent, JobHistories};

/// The most characters of a policy's own words that a history keeps.
const MOST_WORDS: usize = 200;

/// A job whose strategy was changed.
struct Changed {
    job: JobId,
    from: Choice,
    to: Choice,
}

impl JobHistories {
    /// A policy's answer was adopted for these jobs.
    pub(super) fn adopted(&mut self, now: Time, id: DecisionId, jobs: &[JobId], decision: &Decision) {
        if jobs.is_empty() {
            return;
        }
        let question = self.take_question(id);
        let plan = question.as_ref().and_then(|question| question.check(&self.catalog, decision));
        let question = question.filter(|_| plan.is_some());
        let plan = plan.unwrap_or_else(|| unchecked(decision));
        let name = question.as_ref().map_or(&self.policy, Question::policy).clone();
        let moves = jobs.iter().filter_map(|job| Some((*job, *plan.choices.get(job)?)));
        self.decide(now, DecidedBy::Policy { name, decision: id }, question.as_ref(), &plan.order, moves);
    }

    /// The fallback moved these jobs, since this answer was of no use, or none could be waited for.
    pub(super) fn fell_back(
        &mut self,
        now: Time,
        moves: &[(JobId, u32)],
        refused: Option<(DecisionId, &DecisionError)>,
    ) {
        let question = refused.and_then(|refused| self.take_question(refused.0));
        let why = refused.map(|refused| short(refused.1));
        let policy = question.as_ref().map_or(&self.policy, Question::policy).clone();
        let by = DecidedBy::Fallback { policy, why };
        self.decide(now, by, question.as_ref(), &BTreeMap::new(), moves.iter().copied());
    }

    /// What is left of this job was put on this strategy, since requests before it have no answer.
    pub(super) fn kept_floor(&mut self, now: Time, job: JobId, choice: u32) {
        self.decide(now, DecidedBy::Floor, None, &BTreeMap::new(), std::iter::once((job, choice)));
    }

    fn decide(
        &mut self,
        at: Time,
        by: DecidedBy,
        question: Option<&Question>,
        order: &BTreeMap<JobId, usize>,
        choices: impl Iterator<Item = (JobId, u32)>,
    ) {
        let (mut changes, mut moves, mut all_known) = (Vec::new(), BTreeMap::new(), true);
        for (job, choice) in choices {
            match self.change(job, choice) {
                Some((change, step)) => {
                    changes.push(change);
                    moves.insert(job, step);
                }
                None => all_known = false,
            }
        }
        let comparison =
            question.filter(|_| all_known).and_then(|question| question.compare(&self.catalog, order, &moves));
        let (cause, counterfactuals) = match comparison {
            Some(Comparison { cause, counterfactuals }) => (Some(cause), counterfactuals),
            None => (None, BTreeMap::new()),
        };
        self.record(&Arc::new(DecisionRecord { at, by, cause }), changes, &counterfactuals);
    }

    /// Puts what is left of a job on another strategy; `None` if its history is not told, or it has no such strategy.
    fn change(&mut self, job: JobId, choice: u32) -> Option<(Changed, Move)> {
        let history = self.waiting.get_mut(&job)?;
        let matrix = self.models.get(history.job.model.0 as usize)?;
        let left = history.remaining.left();
        let strategy = matrix.table(left)?.strategies.get(choice as usize)?;
        let from = history.remaining.choice();
        history.remaining = Remaining::new(&strategy.steps, matrix.profile());
        let step = Move { left, from: from.latency, to: strategy.latency };
        Some((Changed { job, from, to: history.remaining.choice() }, step))
    }

    fn record(
        &mut self,
        decision: &Arc<DecisionRecord>,
        changes: Vec<Changed>,
        counterfactuals: &BTreeMap<JobId, Counterfactual>,
    ) {
        for Changed { job, from, to } in changes {
            let counterfactual = counterfactuals.get(&job).copied().unwrap_or(Counterfactual::Unknown);
            let change = Change { from, to, decision: decision.clone(), counterfactual };
            if let Some(history) = self.waiting.get_mut(&job) {
                history.add(HistoryEvent::Changed(Box::new(change)));
            }
        }
    }

    /// The question of this name, which is answered.
    fn take_question(&mut self, decision: DecisionId) -> Option<Question> {
        let lane = *self.questions.iter().find(|(_, question)| question.plan() == decision)?.0;
        self.questions.remove(&lane)
    }
}

/// An answer to a question that was never seen.
fn unchecked(decision: &Decision) -> Plan {
    Plan { choices: decision.assignments.iter().copied().collect(), order: BTreeMap::new() }
}

/// The error, with a policy's own words cut to one short line.
fn short(error: &DecisionError) -> DecisionError {
    let cut = |words: &String| -> String {
        words.chars().take(MOST_WORDS).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    };
    let DecisionError::Policy(error) = error else { return error.clone() };
    DecisionError::Policy(match error {
        PolicyError::Declined(words) => PolicyError::Declined(cut(words)),
        PolicyError::Trapped(words) => PolicyError::Trapped(cut(words)),
        PolicyError::Malformed(words) => PolicyError::Malformed(cut(words)),
        PolicyError::Unavailable(words) => PolicyError::Unavailable(cut(words)),
        PolicyError::TimedOut(_) | PolicyError::OutOfFuel(_) | PolicyError::OutOfMemory(_) => error.clone(),
    })
}
