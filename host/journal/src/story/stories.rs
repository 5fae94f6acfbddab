//! The stories of all jobs, as they unfold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accepted, Action, Batch, BatchId, Catalog, Config, Event, Job, JobId, Outcome, Refusal, Snapshot, StrategyMatrix,
    Time, member,
};

use super::ended::Ended;
use super::question::Question;
use super::rest::{Planned, Rest};
use super::{Chapter, Story};

/// The most lanes whose questions and batches are followed.
const MOST_LANES: usize = 1024;

/// The stories of jobs, as they unfold: of all that wait, and of the last that ended.
///
/// Pure, and cheap where nothing changed: a question costs a copy of it, a batch or a job the time to find its story.
/// It believes what it is told; steps that no scheduler takes make odd stories, but do no harm.
#[derive(Clone, Debug)]
pub struct Stories {
    pub(super) models: Vec<Arc<StrategyMatrix>>,
    /// By lane; see [`Config::kinds`].
    config: Config,
    pub(super) catalog: Catalog,
    /// The policy in place.
    pub(super) policy: Arc<str>,
    pub(super) waiting: BTreeMap<JobId, Story>,
    pub(super) ended: Ended,
    pub(super) running: BTreeMap<BatchId, Running>,
    /// The last question of every lane. One that changed nothing stays, for the next to take its memory.
    pub(super) questions: BTreeMap<u32, Question>,
}

/// A batch on a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    job: JobId,
    batch: Option<Planned>,
    /// Where the job's story tells of it.
    chapter: Option<usize>,
}

impl Stories {
    /// No stories yet, of a scheduler with this configuration. `models[i]` is the matrix of `ModelId(i)`, `policy` is the
    /// name of the one in place. Of jobs that have ended the last `most_ended` are kept.
    pub fn new(models: Vec<Arc<StrategyMatrix>>, config: Config, policy: String, most_ended: usize) -> Stories {
        Stories {
            catalog: Catalog::of(&models),
            models,
            config,
            policy: policy.into(),
            waiting: BTreeMap::new(),
            ended: Ended::new(most_ended),
            running: BTreeMap::new(),
            questions: BTreeMap::new(),
        }
    }

    /// Another policy is in place: questions from here on are put to it.
    pub fn policy_changed(&mut self, name: &str) {
        self.policy = name.into();
    }

    /// The models that there are by now; `models[i]` is the matrix of `ModelId(i)`.
    pub fn models(&self) -> &[Arc<StrategyMatrix>] {
        &self.models
    }

    /// More models are there: those that are known already are passed over.
    pub fn models_loaded(&mut self, models: &[Arc<StrategyMatrix>]) {
        let known = self.models.len();
        let news: Vec<_> = models.iter().filter(|matrix| matrix.model().0 as usize >= known).cloned().collect();
        self.catalog.add(&news);
        self.models.extend(news);
    }

    /// Takes a step in: an event, and what the scheduler did about it.
    pub fn take(&mut self, now: Time, event: &Event, actions: &[Action]) {
        match event {
            Event::BatchDone(batch, took) => self.batch_done(*batch, *took),
            Event::BatchFailed(batch) => self.batch_failed(*batch),
            Event::PolicyChanged { .. } => self.questions.clear(),
            Event::ModelsLoaded(models) => self.models_loaded(models),
            Event::Submit(_)
            | Event::Cancel(_)
            | Event::Planned(..)
            | Event::ModelRetired(_)
            | Event::ModelLost(..)
            | Event::ModelRestored(..)
            | Event::WakeUp => {}
        }
        let mut refused = None;
        for action in actions {
            match (action, event) {
                (Action::Accept(accepted), Event::Submit(job)) => self.accepted(now, job, accepted),
                (Action::Refuse(_, refusal), Event::Submit(job)) => self.refused(now, job, refusal),
                (Action::Run(batch), _) => self.started(now, batch),
                (Action::Plan(snapshot), _) => self.asked(snapshot),
                (Action::Adopt(plan, jobs), Event::Planned(_, Ok(proposal))) => {
                    self.adopted(now, *plan, jobs, proposal);
                }
                (Action::RefusePlan(plan, error), _) => refused = Some((*plan, error)),
                (Action::Squeeze(_, moves), _) => self.squeezed(now, moves, refused.take()),
                (Action::GiveUp(job), _) => self.given_up(now, *job),
                (Action::Finish(outcome), _) => self.finished(outcome),
                (Action::Accept(_) | Action::Refuse(..) | Action::Adopt(..) | Action::WakeAt(_), _) => {}
            }
        }
    }

    /// The story of a job, unless nothing is known of it, or it ended too long ago.
    pub fn story(&self, job: JobId) -> Option<&Story> {
        self.waiting.get(&job).or_else(|| self.ended.story(job))
    }

    fn story_mut(&mut self, job: JobId) -> Option<&mut Story> {
        self.waiting.get_mut(&job).or_else(|| self.ended.story_mut(job))
    }

    fn accepted(&mut self, at: Time, job: &Job, accepted: &Accepted) {
        let kind = self.config.kind(accepted.lane);
        let Some(matrix) = member(&self.models, job.model, kind) else { return };
        let best = matrix.table(job.requests).and_then(|table| table.strategies.last());
        let mut story = Story::new(Job { model: matrix.model(), ..*job }, at);
        story.rest = Rest::new(best.map_or(&[], |best| &best.steps), matrix.profile());
        let choice = story.rest.choice();
        story.best = Some(choice.clone());
        let Accepted { lane, predicted_finish, .. } = *accepted;
        story.add(Chapter::Accepted { at, lane, predicted_finish, choice });
        self.waiting.insert(job.id, story);
    }

    fn refused(&mut self, at: Time, job: &Job, refusal: &Refusal) {
        // the story under this name is another job's
        if matches!(refusal, Refusal::Duplicate(_)) {
            return;
        }
        let mut story = Story::new(*job, at);
        story.end(Chapter::Refused { at, refusal: refusal.clone() });
        self.ended.keep(story);
    }

    fn started(&mut self, at: Time, batch: &Batch) {
        let Some(story) = self.waiting.get_mut(&batch.job) else { return };
        let planned = story.rest.take(batch);
        let chapter = story.start(at, batch);
        self.run(batch, planned, chapter);
    }

    pub(super) fn run(&mut self, batch: &Batch, planned: Option<Planned>, chapter: Option<usize>) {
        self.running.insert(batch.id, Running { job: batch.job, batch: planned, chapter });
        if self.running.len() > MOST_LANES {
            self.running.pop_first();
        }
    }

    fn batch_done(&mut self, id: BatchId, took: Duration) {
        let Some(Running { job, batch, chapter }) = self.running.remove(&id) else { return };
        let story = self.story_mut(job);
        if let Some(ran) = story.and_then(|story| story.ran(chapter?)) {
            ran.done(took, batch.map_or(took, |batch| batch.profiled()));
        }
    }

    fn batch_failed(&mut self, id: BatchId) {
        let Some(Running { job, batch: Some(batch), chapter }) = self.running.remove(&id) else { return };
        let Some(story) = self.story_mut(job) else { return };
        story.rest.put_back(batch);
        if let Some(ran) = chapter.and_then(|chapter| story.ran(chapter)) {
            ran.fail(batch.requests());
        }
    }

    fn asked(&mut self, snapshot: &Snapshot) {
        if let Some(question) = self.questions.get_mut(&snapshot.lane) {
            question.replace(snapshot, &self.policy);
        } else if self.questions.len() < MOST_LANES {
            self.questions.insert(snapshot.lane, Question::new(snapshot.clone(), self.policy.clone()));
        }
    }

    fn given_up(&mut self, at: Time, job: JobId) {
        if let Some(story) = self.waiting.get_mut(&job) {
            story.add(Chapter::GivenUp { at });
        }
    }

    fn finished(&mut self, outcome: &Outcome) {
        let Some(mut story) = self.waiting.remove(&outcome.job) else { return };
        story.end(Chapter::Ended(Box::new(outcome.clone())));
        self.ended.keep(story);
    }
}
