//! One step of the scheduler as the invariants see it: what was, what happened, what was said, what is.

use std::time::Duration;

use mosel_core::{
    Action, Batch, Checkpoint, DecisionId, Event, JobId, LaneCondition, LaneId, Scheduler, Snapshot, Suspicion, Time,
};

use super::invariant::{Breach, Invariant};
use super::queue::Queue;

/// One step.
pub(super) struct Transition<'a> {
    /// As it is after the step.
    pub(super) scheduler: &'a Scheduler,
    pub(super) now: Time,
    pub(super) event: &'a Event,
    pub(super) actions: &'a [Action],
    pub(super) before: &'a Checkpoint,
    pub(super) after: &'a Checkpoint,
}

/// One step, on one lane that it changed.
pub(super) struct LaneChange<'a> {
    pub(super) transition: &'a Transition<'a>,
    pub(super) lane: LaneId,
    pub(super) before: Queue<'a>,
    /// Where the policy answered: as it was when the answer was judged, without those that were given up before.
    pub(super) judged: Queue<'a>,
    /// As if no batch had been started in this step.
    pub(super) settled: Queue<'a>,
    /// When the settled queue begins.
    pub(super) start: Time,
    pub(super) after: Queue<'a>,
}

impl<'a> Transition<'a> {
    /// The lanes that the event is about.
    pub(super) fn touched(&self, lane: usize) -> bool {
        let state = &self.before.lanes[lane];
        // time alone may make it trusted again
        if state.condition == LaneCondition::Suspect(Suspicion::Slow) && state.running.is_none() {
            return true;
        }
        let accepted = |action: &Action| matches!(action, Action::Accept(accepted) if accepted.lane.index() == lane);
        match self.event {
            Event::Submit(_) => self.actions.iter().any(accepted),
            Event::Cancel(job) => state.entries.iter().any(|entry| entry.job.id == *job),
            Event::Decided(plan, _) => state.question.as_ref().is_some_and(|question| question.0.decision == *plan),
            Event::BatchDone(batch, _) | Event::BatchFailed(batch) => {
                state.running.is_some_and(|running| running.batch.id == *batch)
            }
            // no more is taken in, and no queue changes
            Event::ModelLost(..) | Event::ModelRestored(..) | Event::SharesChanged(_) => false,
            Event::Paused(_) => state.running.is_some(),
            Event::LaneRestored(restored) => restored.index() == lane,
            Event::PolicyChanged { .. } | Event::ModelsLoaded(_) | Event::ModelRetired(_) | Event::WakeUp => true,
        }
    }

    /// Jobs went from one lane to another.
    pub(super) fn has_moves(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Move(..) | Action::LoseLane(_)))
    }

    /// Requests of a job had no answer, and it was put on another strategy for that.
    pub(super) fn has_kept_floor(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::KeepFloor(..)))
    }

    /// Every lane that changed.
    pub(super) fn lane_changes(&'a self) -> impl Iterator<Item = LaneChange<'a>> {
        let changed = |lane: &usize| self.before.lanes[*lane] != self.after.lanes[*lane];
        (0..self.after.lanes.len()).filter(changed).map(|lane| LaneChange::new(self, lane))
    }

    /// A lane of which nothing happened is as it was.
    pub(super) fn check_apart(&self) -> Result<(), Breach> {
        for (lane, (before, after)) in self.before.lanes.iter().zip(&self.after.lanes).enumerate() {
            Invariant::Apart.demand(before == after || self.touched(lane), || {
                format!("lane {lane} changed, and the event was about another: {:?}", self.event)
            })?;
        }
        Ok(())
    }
}

impl<'a> LaneChange<'a> {
    fn new(transition: &'a Transition<'a>, lane: usize) -> LaneChange<'a> {
        let (models, config, now) = (transition.scheduler.models(), transition.scheduler.config(), transition.now);
        let before = Queue::read(&transition.before.lanes[lane], models, config, now);
        let after = Queue::read(&transition.after.lanes[lane], models, config, now);
        let settled = Queue::read(&transition.after.lanes[lane], models, config, now);
        let judged = Queue::read(&transition.before.lanes[lane], models, config, now);
        let start = after.free_at(transition.now);
        let mut change = LaneChange { transition, lane: LaneId::at(lane), before, judged, settled, start, after };
        change.undo_start();
        let given_up = change.given_up_before_answer();
        given_up.into_iter().for_each(|job| change.judged.give_up(job));
        change
    }

    /// The started batch goes back to its job.
    fn undo_start(&mut self) {
        let Some((batch, profiled)) = self.started() else { return };
        let job = batch.job;
        self.start = self.transition.now;
        if let Some(waiting) = self.settled.jobs.iter_mut().find(|waiting| waiting.id() == job) {
            waiting.latency += profiled;
            waiting.fastest += profiled;
        }
    }

    /// The batch that was started in this step, and its profiled time.
    pub(super) fn started(&self) -> Option<(&'a Batch, Duration)> {
        let on_this = |action: &'a Action| match action {
            Action::Run(batch) if batch.lane == self.lane => Some(batch),
            _ => None,
        };
        let batch = self.transition.actions.iter().find_map(on_this)?;
        Some((batch, self.after.state.running.map_or(Duration::ZERO, |running| running.profiled)))
    }

    /// What the policy had been asked before, and until when the answer was waited for.
    pub(super) fn question(&self) -> Option<&'a (Snapshot, Time)> {
        self.before.state.question.as_ref()
    }

    /// The jobs whose new strategies were adopted, if an answer was.
    pub(super) fn adopted(&self) -> Option<&'a [JobId]> {
        let asked = self.question()?.0.decision;
        self.transition.actions.iter().find_map(|action| match action {
            Action::Adopt(plan, jobs) if *plan == asked => Some(jobs.as_slice()),
            _ => None,
        })
    }

    /// What the fallback moved, and where to.
    pub(super) fn fallback(&self) -> &'a [(JobId, u32)] {
        let on_this = |action: &'a Action| match action {
            Action::Fallback(lane, moves) if *lane == self.lane => Some(moves.as_slice()),
            _ => None,
        };
        self.transition.actions.iter().find_map(on_this).unwrap_or_default()
    }

    /// Somebody said that this job's strategy changed.
    pub(super) fn is_named(&self, job: JobId) -> bool {
        let adopted = self.adopted().is_some_and(|jobs| jobs.contains(&job));
        let kept = |action: &Action| matches!(action, Action::KeepFloor(kept, _) if *kept == job);
        adopted || self.transition.actions.iter().any(kept) || self.fallback().iter().any(|(moved, _)| *moved == job)
    }

    /// The jobs of this lane that were given up in this step, in that order.
    pub(super) fn given_up(&self) -> impl Iterator<Item = JobId> {
        self.transition.actions.iter().filter_map(|action| match action {
            Action::GiveUp(job) if self.before.find(*job).is_some() || self.after.find(*job).is_some() => Some(*job),
            _ => None,
        })
    }

    /// Those of them that were given up before the policy's answer was judged; none if it did not answer.
    pub(super) fn given_up_before_answer(&self) -> Vec<JobId> {
        let asked = self.question().map(|(snapshot, _)| snapshot.decision);
        let answer = |action: &Action| match action {
            Action::Adopt(plan, _) | Action::RefuseDecision(plan, _) => Some(*plan) == asked,
            _ => false,
        };
        let at = self.transition.actions.iter().position(answer);
        let answered = matches!(self.transition.event, Event::Decided(plan, _) if Some(*plan) == asked);
        let Some(at) = at.filter(|_| answered) else { return Vec::new() };
        let before = self.transition.actions[..at].iter();
        before.filter_map(|action| if let Action::GiveUp(job) = action { Some(*job) } else { None }).collect()
    }

    /// A batch of the job failed in this step, or some of it had no answer: what is left has to do more than before.
    pub(super) fn is_put_back(&self, job: JobId) -> bool {
        let running = self.before.state.running.filter(|running| running.batch.job == job);
        running.is_some_and(|running| match *self.transition.event {
            Event::BatchFailed(id) => id == running.batch.id,
            Event::BatchDone(id, report) => id == running.batch.id && report.answered < running.batch.requests,
            _ => false,
        })
    }

    /// Where the newcomer of this step belongs in the queue, if one was accepted on this lane.
    pub(super) fn newcomer_place(&self) -> Option<usize> {
        let Event::Submit(job) = self.transition.event else { return None };
        self.after.find(job.id).filter(|_| self.before.find(job.id).is_none())?;
        let table = self.transition.scheduler.models().get(job.model.0 as usize)?.table(job.requests)?;
        let latency = table.strategy(table.fastest_legal(job.min_accuracy)?).latency;
        self.before.place(self.transition.now, latency, job.deadline)
    }

    /// The policy was asked in this step.
    pub(super) fn asked(&self) -> impl Iterator<Item = &'a Snapshot> {
        let lane = self.lane;
        self.transition.actions.iter().filter_map(move |action| match action {
            Action::Decide(snapshot) if snapshot.lane == lane => Some(snapshot),
            _ => None,
        })
    }

    /// An answer to this question was refused in this step.
    pub(super) fn refused(&self, asked: DecisionId) -> bool {
        self.transition.actions.iter().any(|action| matches!(action, Action::RefuseDecision(plan, _) if *plan == asked))
    }
}
