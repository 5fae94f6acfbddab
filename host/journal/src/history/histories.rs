//! The histories of all jobs, as they unfold.

use mosel_core::{
    Accepted, Action, Batch, BatchId, BatchReport, Catalog, Config, Event, Job, JobId, LaneId, Outcome, Refusal,
    Snapshot, StrategyMatrix, Time, variant,
};
use std::collections::BTreeMap;
use std::sync::Arc;

use super::ended::Ended;
use super::question::Question;
use super::remaining::{Planned, Remaining};
use super::{HistoryEvent, JobHistory};

/// The most lanes whose questions and batches are followed.
const MOST_LANES: usize = 1024;

/// The histories of jobs, as they unfold: of all that wait, and of the last that ended.
///
/// Pure, and cheap where nothing changed: a question costs a copy of it, a batch or a job the time to find its history.
/// It believes what it is told; steps that no scheduler takes make odd histories, but do no harm.
#[derive(Clone, Debug)]
pub struct JobHistories {
    pub(super) models: Vec<Arc<StrategyMatrix>>,
    /// By lane; see [`Config::kinds`].
    config: Config,
    pub(super) catalog: Catalog,
    /// The policy in place.
    pub(super) policy: Arc<str>,
    pub(super) waiting: BTreeMap<JobId, JobHistory>,
    pub(super) ended: Ended,
    pub(super) running: BTreeMap<BatchId, Running>,
    /// The last question of every lane. One that changed nothing stays, for the next to take its memory.
    pub(super) questions: BTreeMap<LaneId, Question>,
}

/// A batch on a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    job: JobId,
    batch: Option<Planned>,
    /// Where the job's history tells of it.
    event: Option<usize>,
}

impl JobHistories {
    /// No histories yet, of a scheduler with this configuration. `models[i]` is the matrix of `ModelId(i)`, `policy` is the
    /// name of the one in place. Of jobs that have ended the last `most_ended` are kept.
    pub fn new(models: Vec<Arc<StrategyMatrix>>, config: Config, policy: String, most_ended: usize) -> JobHistories {
        JobHistories {
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
        let news: Vec<_> = models.iter().filter(|matrix| matrix.variant().0 as usize >= known).cloned().collect();
        self.catalog.add(&news);
        self.models.extend(news);
    }

    /// Handles a step: an event, and what the scheduler did about it.
    pub fn handle(&mut self, now: Time, event: &Event, actions: &[Action]) {
        match event {
            Event::BatchDone(batch, report) => self.batch_done(*batch, report),
            Event::BatchFailed(batch) => self.batch_failed(*batch),
            Event::PolicyChanged { .. } => self.questions.clear(),
            Event::ModelsLoaded(models) => self.models_loaded(models),
            Event::Submit(_)
            | Event::Cancel(_)
            | Event::Decided(..)
            | Event::ModelRetired(_)
            | Event::ModelLost(..)
            | Event::ModelRestored(..)
            | Event::Paused(_)
            | Event::LaneRestored(_)
            | Event::SharesChanged(_)
            | Event::WakeUp => {}
        }
        let mut refused = None;
        for action in actions {
            match (action, event) {
                (Action::Accept(accepted), Event::Submit(job)) => self.accepted(now, job, accepted),
                (Action::Refuse(_, refusal), Event::Submit(job)) => self.refused(now, job, refusal),
                (Action::Run(batch), _) => self.started(now, batch),
                (Action::Decide(snapshot), _) => self.asked(snapshot),
                (Action::Adopt(plan, jobs), Event::Decided(_, Ok(decision))) => {
                    self.adopted(now, *plan, jobs, decision);
                }
                (Action::RefuseDecision(plan, error), _) => refused = Some((*plan, error)),
                (Action::Fallback(_, moves), _) => self.fell_back(now, moves, refused.take()),
                (Action::GiveUp(job), _) => self.given_up(now, *job),
                (&Action::KeepFloor(job, choice), _) => self.kept_floor(now, job, choice),
                (&Action::Move(job, lane), _) => self.moved(now, job, lane),
                (Action::Finish(outcome), _) => self.finished(outcome),
                (Action::Accept(_) | Action::Refuse(..) | Action::Adopt(..) | Action::WakeAt(_), _)
                | (Action::Suspect(..) | Action::Trust(_) | Action::LoseLane(_), _) => {}
            }
        }
    }

    /// The history of a job, unless nothing is known of it, or it ended too long ago.
    pub fn history(&self, job: JobId) -> Option<&JobHistory> {
        self.waiting.get(&job).or_else(|| self.ended.history(job))
    }

    fn history_mut(&mut self, job: JobId) -> Option<&mut JobHistory> {
        self.waiting.get_mut(&job).or_else(|| self.ended.history_mut(job))
    }

    fn accepted(&mut self, at: Time, job: &Job, accepted: &Accepted) {
        let kind = self.config.kind(accepted.lane);
        let Some(matrix) = variant(&self.models, job.model, kind) else { return };
        let best = matrix.table(job.requests).and_then(|table| table.strategies.last());
        let mut history = JobHistory::new(Job { model: matrix.variant(), ..*job }, at);
        history.remaining = Remaining::new(best.map_or(&[], |best| &best.steps), matrix.profile());
        let choice = history.remaining.choice();
        history.best = Some(choice.clone());
        let Accepted { lane, predicted_finish, .. } = *accepted;
        history.add(HistoryEvent::Accepted { at, lane, predicted_finish, choice });
        self.waiting.insert(job.id, history);
    }

    fn refused(&mut self, at: Time, job: &Job, refusal: &Refusal) {
        // the history under this name is another job's
        if matches!(refusal, Refusal::Duplicate(_)) {
            return;
        }
        let mut history = JobHistory::new(*job, at);
        history.end(HistoryEvent::Refused { at, refusal: refusal.clone() });
        self.ended.keep(history);
    }

    fn started(&mut self, at: Time, batch: &Batch) {
        let Some(history) = self.waiting.get_mut(&batch.job) else { return };
        let planned = history.remaining.take(batch);
        let event = history.start(at, batch);
        self.run(batch, planned, event);
    }

    pub(super) fn run(&mut self, batch: &Batch, planned: Option<Planned>, event: Option<usize>) {
        self.running.insert(batch.id, Running { job: batch.job, batch: planned, event });
        if self.running.len() > MOST_LANES {
            self.running.pop_first();
        }
    }

    fn batch_done(&mut self, id: BatchId, report: &BatchReport) {
        let took = report.compute;
        let Some(Running { job, batch, event }) = self.running.remove(&id) else { return };
        let history = self.history_mut(job);
        if let Some(ran) = history.and_then(|history| history.ran(event?)) {
            ran.done(took, batch.map_or(took, |batch| batch.profiled()));
        }
    }

    fn batch_failed(&mut self, id: BatchId) {
        let Some(Running { job, batch: Some(batch), event }) = self.running.remove(&id) else { return };
        let Some(history) = self.history_mut(job) else { return };
        history.remaining.put_back(batch);
        if let Some(ran) = event.and_then(|event| history.ran(event)) {
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

    fn moved(&mut self, at: Time, job: JobId, lane: LaneId) {
        let kind = self.config.kind(lane);
        let Some(history) = self.waiting.get_mut(&job) else { return };
        history.add(HistoryEvent::Moved { at, lane });
        let Some(now_on) = self.models.get(history.job.model.0 as usize) else { return };
        let Some(matrix) = variant(&self.models, now_on.model(), kind).filter(|it| it.variant() != history.job.model)
        else {
            return;
        };
        // a device of another kind has strategies of its own: it begins anew on the most accurate one
        history.job.model = matrix.variant();
        let best = matrix.table(history.job.requests).and_then(|table| table.strategies.last());
        history.remaining = Remaining::new(best.map_or(&[], |best| &best.steps), matrix.profile());
        history.best = Some(history.remaining.choice());
    }

    fn given_up(&mut self, at: Time, job: JobId) {
        if let Some(history) = self.waiting.get_mut(&job) {
            history.add(HistoryEvent::GivenUp { at });
        }
    }

    fn finished(&mut self, outcome: &Outcome) {
        let Some(mut history) = self.waiting.remove(&outcome.job) else { return };
        history.end(HistoryEvent::Ended(Box::new(outcome.clone())));
        self.ended.keep(history);
    }
}
