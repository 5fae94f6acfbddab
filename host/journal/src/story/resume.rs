//! Stories that begin in the middle: of a journal whose first step finds jobs waiting.

use mosel_core::{Checkpoint, EntryState, RunningState};

use super::question::Question;
use super::rest::{Planned, Rest};
use super::{Chapter, Stories, Story};
use crate::Header;

impl Stories {
    /// The stories of the journal that this header is of. Jobs that wait when it begins have one that says so.
    pub fn resume(header: &Header, most_ended: usize) -> Stories {
        let (models, policy) = (header.models.clone(), header.policy.name.clone());
        let mut stories = Stories::new(models, header.config.clone(), policy, most_ended);
        if let Some(checkpoint) = &header.checkpoint {
            stories.take_up(checkpoint);
        }
        stories
    }

    /// Something was missed; this is how things are now. Jobs that ended meanwhile have no story, those that came have one
    /// that begins here.
    pub fn catch_up(&mut self, checkpoint: &Checkpoint) {
        self.running.clear();
        self.questions.clear();
        self.waiting.clear();
        self.take_up(checkpoint);
    }

    fn take_up(&mut self, checkpoint: &Checkpoint) {
        for (lane, state) in (0..).zip(&checkpoint.lanes) {
            for entry in &state.entries {
                self.take_up_job(lane, entry);
            }
            if let Some(running) = &state.running {
                self.take_up_batch(running);
            }
            if let Some((snapshot, _)) = &state.question {
                self.questions.insert(lane, Question::new(snapshot.clone(), self.policy.clone()));
            }
        }
    }

    fn take_up_job(&mut self, lane: u32, entry: &EntryState) {
        let Some(matrix) = self.models.get(entry.job.model.0 as usize) else { return };
        let best = matrix.table(entry.job.requests).and_then(|table| table.strategies.last());
        let mut story = Story::new(entry.job, entry.arrival);
        story.best = best.map(|best| Rest::new(&best.steps, matrix.profile()).choice());
        story.rest = Rest::new(&entry.steps, matrix.profile());
        let (choice, changes, late) = (story.rest.choice(), entry.decisions.len(), entry.late);
        story.add(Chapter::TakenUp { lane, choice, changes, late });
        self.waiting.insert(entry.job.id, story);
    }

    fn take_up_batch(&mut self, running: &RunningState) {
        let RunningState { batch, started, profiled } = running;
        let Some(story) = self.waiting.get_mut(&batch.job) else { return };
        let Some(matrix) = self.models.get(story.job.model.0 as usize) else { return };
        let planned = Planned::started(batch, *profiled, matrix.profile());
        let chapter = story.start(*started, batch);
        self.run(batch, Some(planned), chapter);
    }
}
