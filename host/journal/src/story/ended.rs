//! The stories that have ended, up to a number of them.

use std::collections::{BTreeMap, VecDeque};

use mosel_core::JobId;

use super::Story;

/// The last stories that have ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    stories: BTreeMap<JobId, Story>,
    /// By when they ended, the oldest first.
    order: VecDeque<JobId>,
    most: usize,
}

impl Ended {
    pub(super) fn new(most: usize) -> Ended {
        Ended { stories: BTreeMap::new(), order: VecDeque::new(), most }
    }

    pub(super) fn story(&self, job: JobId) -> Option<&Story> {
        self.stories.get(&job)
    }

    pub(super) fn story_mut(&mut self, job: JobId) -> Option<&mut Story> {
        self.stories.get_mut(&job)
    }

    /// Keeps another one; the oldest goes if there are too many.
    pub(super) fn keep(&mut self, story: Story) {
        let job = story.job.id;
        if self.stories.insert(job, story).is_some() {
            self.order.retain(|&other| other != job);
        }
        self.order.push_back(job);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.stories.remove(&oldest);
        }
    }
}
