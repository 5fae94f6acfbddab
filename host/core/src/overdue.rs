//! When a batch is overdue.

use std::time::Duration;

use crate::lane::Running;
use crate::{Time, scale};

/// When a batch is overdue: so many times its p99, corrected where the device is known to be slow, and so much more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverdueLimits {
    /// Times p99 after which its lane is suspect.
    pub suspect_factor: f64,
    /// And so much more.
    pub suspect_grace: Duration,
    /// Times p99 after which its lane is lost.
    pub lost_factor: f64,
    /// And so much more.
    pub lost_grace: Duration,
}

impl Default for OverdueLimits {
    /// All jobs are told within three times p99 and a second, with a tenth of one to spare for clocks and threads.
    fn default() -> OverdueLimits {
        let (suspect_grace, lost_grace) = (Duration::from_millis(250), Duration::from_millis(900));
        OverdueLimits { suspect_factor: 2.0, suspect_grace, lost_factor: 3.0, lost_grace }
    }
}

impl OverdueLimits {
    /// When the lane of this batch is suspect.
    pub(crate) fn suspect_at(&self, running: &Running, correction: f64) -> Time {
        running.expected_by(scale(running.p99, self.suspect_factor * correction.max(1.0)) + self.suspect_grace)
    }

    /// When the lane of this batch is lost, which is never before it is suspect.
    pub(crate) fn lost_at(&self, running: &Running, correction: f64) -> Time {
        let lost = running.expected_by(scale(running.p99, self.lost_factor * correction.max(1.0)) + self.lost_grace);
        lost.max(self.suspect_at(running, correction))
    }
}
