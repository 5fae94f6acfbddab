//! JobHistories that begin in the middle: of a journal whose first step finds jobs waiting.

use mosel_core::{Checkpoint, LaneId, QueuedJobState, RunningState};

use super::question::Question;
use super::remaining::{Planned, Remaining};
use super::{HistoryEvent, JobHistories, JobHistory};
use crate::Header;

impl JobHistories {
    /// The histories of the journal that this header is of. Jobs that wait when it begins have one that says so.
    pub fn resume(header: &Header, most_ended: usize) -> JobHistories {
        let (models, policy) = (header.models.clone(), header.policy.name.clone());
        let mut histories = JobHistories::new(models, header.config.clone(), policy, most_ended);
        if let Some(checkpoint) = &header.checkpoint {
            histories.resume_from(checkpoint);
        }
        histories
    }

    /// Something was missed; this is how things are now. Jobs that ended meanwhile have no history, those that came have one
    /// that begins here.
    pub fn catch_up(&mut self, checkpoint: &Checkpoint) {
        self.running.clear();
        self.questions.clear();
        self.waiting.clear();
        self.resume_from(checkpoint);
    }

    fn resume_from(&mut self, checkpoint: &Checkpoint) {
        for (lane, state) in (0..).map(LaneId).zip(&checkpoint.lanes) {
            for entry in &state.entries {
                self.resume_job(lane, entry);
            }
            if let Some(running) = &state.running {
                self.resume_batch(running);
            }
            if let Some((snapshot, _)) = &state.question {
                self.questions.insert(lane, Question::new(snapshot.clone(), self.policy.clone()));
            }
        }
    }

    fn resume_job(&mut self, lane: LaneId, entry: &QueuedJobState) {
        let Some(matrix) = self.models.get(entry.job.model.0 as usize) else { return };
        let best = matrix.table(entry.job.requests).and_then(|table| table.strategies.last());
        let mut history = JobHistory::new(entry.job, entry.arrival);
        history.best = best.map(|best| Remaining::new(&best.steps, matrix.profile()).choice());
        history.remaining = Remaining::new(&entry.steps, matrix.profile());
        let (choice, changes, late) = (history.remaining.choice(), entry.decisions.len(), entry.given_up);
        history.add(HistoryEvent::Resumed { lane, choice, changes, late });
        self.waiting.insert(entry.job.id, history);
    }

    fn resume_batch(&mut self, running: &RunningState) {
        let RunningState { batch, started, profiled, .. } = running;
        let Some(history) = self.waiting.get_mut(&batch.job) else { return };
        let Some(matrix) = self.models.get(history.job.model.0 as usize) else { return };
        let planned = Planned::started(batch, *profiled, matrix.profile());
        let event = history.start(*started, batch);
        self.run(batch, Some(planned), event);
    }
}
