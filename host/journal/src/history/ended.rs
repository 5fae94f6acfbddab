//! The histories that have ended, up to a number of them.

use std::collections::{BTreeMap, VecDeque};

use mosel_core::JobId;

use super::JobHistory;

/// The last histories that have ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    histories: BTreeMap<JobId, JobHistory>,
    /// By when they ended, the oldest first.
    order: VecDeque<JobId>,
    most: usize,
}

impl Ended {
    pub(super) fn new(most: usize) -> Ended {
        Ended { histories: BTreeMap::new(), order: VecDeque::new(), most }
    }

    pub(super) fn history(&self, job: JobId) -> Option<&JobHistory> {
        self.histories.get(&job)
    }

    pub(super) fn history_mut(&mut self, job: JobId) -> Option<&mut JobHistory> {
        self.histories.get_mut(&job)
    }

    /// Keeps another one; the oldest goes if there are too many.
    pub(super) fn keep(&mut self, history: JobHistory) {
        let job = history.job.id;
        if self.histories.insert(job, history).is_some() {
            self.order.retain(|&other| other != job);
        }
        self.order.push_back(job);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.histories.remove(&oldest);
        }
    }
}
