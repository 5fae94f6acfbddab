//! A choice: how the requests of a job that wait are to be served.

use std::time::Duration;

use mosel_core::Mode;

/// How what is left of a job is to be served.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Requests that no batch was started for.
    pub requests: u32,
    /// Their mean profiled accuracy, in 0..=1.
    pub accuracy: f64,
    /// Their profiled time, without any correction.
    pub latency: Duration,
    /// Requests by selection, in execution order, every selection once.
    pub mix: Vec<(Mode, u32)>,
}

impl Choice {
    /// Counts requests of a selection in, whose accuracy is left to the caller.
    pub(super) fn add(&mut self, mode: Mode, requests: u32, latency: Duration) {
        self.requests = self.requests.saturating_add(requests);
        self.latency = self.latency.saturating_add(latency);
        match self.mix.iter_mut().find(|part| part.0 == mode) {
            Some(part) => part.1 = part.1.saturating_add(requests),
            None => self.mix.push((mode, requests)),
        }
    }
}
