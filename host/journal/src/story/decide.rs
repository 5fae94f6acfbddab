//! Where strategies are changed: by a policy's answer that was adopted, or by the built-in squeeze.

use std::collections::BTreeMap;
use std::sync::Arc;

use mosel_core::{JobId, Plan, PlanError, PlanId, PolicyError, Proposal, Time};

use super::question::{Question, Weighed};
use super::queue::Move;
use super::rest::Rest;
use super::{By, Change, Chapter, Choice, Decision, Otherwise, Stories};

/// The most characters of a policy's own words that a story keeps.
const MOST_WORDS: usize = 200;

/// A job whose strategy was changed.
struct Changed {
    job: JobId,
    from: Choice,
    to: Choice,
}

impl Stories {
    /// A policy's answer was adopted for these jobs.
    pub(super) fn adopted(&mut self, now: Time, id: PlanId, jobs: &[JobId], proposal: &Proposal) {
        if jobs.is_empty() {
            return;
        }
        let question = self.take_question(id);
        let plan = question.as_ref().and_then(|question| question.check(&self.catalog, proposal));
        let question = question.filter(|_| plan.is_some());
        let plan = plan.unwrap_or_else(|| unchecked(proposal));
        let name = question.as_ref().map_or(&self.policy, Question::policy).clone();
        let moves = jobs.iter().filter_map(|job| Some((*job, *plan.choices.get(job)?)));
        self.decide(now, By::Policy { name, plan: id }, question.as_ref(), &plan.order, moves);
    }

    /// The built-in squeeze moved these jobs, since this answer was of no use, or none could be waited for.
    pub(super) fn squeezed(&mut self, now: Time, moves: &[(JobId, u32)], refused: Option<(PlanId, &PlanError)>) {
        let question = refused.and_then(|refused| self.take_question(refused.0));
        let why = refused.map(|refused| short(refused.1));
        let policy = question.as_ref().map_or(&self.policy, Question::policy).clone();
        let by = By::Squeeze { policy, why };
        self.decide(now, by, question.as_ref(), &BTreeMap::new(), moves.iter().copied());
    }

    fn decide(
        &mut self,
        at: Time,
        by: By,
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
        let weighed = question.filter(|_| all_known).and_then(|question| question.weigh(&self.catalog, order, &moves));
        let (asked, otherwise) = match weighed {
            Some(Weighed { asked, otherwise }) => (Some(asked), otherwise),
            None => (None, BTreeMap::new()),
        };
        self.tell(&Arc::new(Decision { at, by, asked }), changes, &otherwise);
    }

    /// Puts what is left of a job on another strategy; `None` if its story is not told, or it has no such strategy.
    fn change(&mut self, job: JobId, choice: u32) -> Option<(Changed, Move)> {
        let story = self.waiting.get_mut(&job)?;
        let matrix = self.models.get(story.job.model.0 as usize)?;
        let left = story.rest.left();
        let strategy = matrix.table(left)?.strategies.get(choice as usize)?;
        let from = story.rest.choice();
        story.rest = Rest::new(&strategy.steps, matrix.profile());
        let step = Move { left, from: from.latency, to: strategy.latency };
        Some((Changed { job, from, to: story.rest.choice() }, step))
    }

    fn tell(&mut self, decision: &Arc<Decision>, changes: Vec<Changed>, otherwise: &BTreeMap<JobId, Otherwise>) {
        for Changed { job, from, to } in changes {
            let otherwise = otherwise.get(&job).copied().unwrap_or(Otherwise::Unknown);
            let change = Change { from, to, decision: decision.clone(), otherwise };
            if let Some(story) = self.waiting.get_mut(&job) {
                story.add(Chapter::Changed(Box::new(change)));
            }
        }
    }

    /// The question of this name, which is answered.
    fn take_question(&mut self, plan: PlanId) -> Option<Question> {
        let lane = *self.questions.iter().find(|(_, question)| question.plan() == plan)?.0;
        self.questions.remove(&lane)
    }
}

/// An answer to a question that was never seen.
fn unchecked(proposal: &Proposal) -> Plan {
    Plan { choices: proposal.assignments.iter().copied().collect(), order: BTreeMap::new() }
}

/// The error, with a policy's own words cut to one short line.
fn short(error: &PlanError) -> PlanError {
    let cut = |words: &String| -> String {
        words.chars().take(MOST_WORDS).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    };
    let PlanError::Policy(error) = error else { return error.clone() };
    PlanError::Policy(match error {
        PolicyError::Declined(words) => PolicyError::Declined(cut(words)),
        PolicyError::Trapped(words) => PolicyError::Trapped(cut(words)),
        PolicyError::Malformed(words) => PolicyError::Malformed(cut(words)),
        PolicyError::Unavailable(words) => PolicyError::Unavailable(cut(words)),
        PolicyError::TimedOut(_) | PolicyError::OutOfFuel(_) | PolicyError::OutOfMemory(_) => error.clone(),
    })
}
