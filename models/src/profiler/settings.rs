//! How much a profile measures.

use std::time::Duration;

use mosel_core::Precision;

/// How much to measure.
///
/// A point is a mode at a batch size. It is measured for [`Settings::time_per_point`] and [`Settings::min_runs`],
/// whichever takes longer. A point so slow that its runs would take more than twice the time is done with fewer: then
/// its 95th and 99th percentile are the slowest run, see
/// [`LatencyRecord`](crate::profile_file::LatencyRecord).
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What to compute with; every selection is measured with each. Where a reduced one is slower
    /// than full precision it is left out if that is asked for too, see [`profile`](super::profile).
    pub precisions: Vec<Precision>,
    /// Requests in a batch; every selection is measured at each that the device's memory holds.
    pub batch_sizes: Vec<u32>,
    /// Runs before the clock counts; fewer where they take longer than half the time of a point.
    pub warm_up: u32,
    /// Runs of a point at least, unless it is slow.
    pub min_runs: u32,
    /// Runs of a slow point at least.
    pub min_slow_runs: u32,
    /// Runs of a point at most.
    pub max_runs: u32,
    /// A point is done after this long, if it has its runs.
    pub time_per_point: Duration,
}

impl Default for Settings {
    /// About a minute for two modalities of a few milliseconds a request, about two if a request takes 60.
    fn default() -> Settings {
        Settings {
            precisions: vec![Precision::Fp32],
            batch_sizes: vec![1, 2, 4, 8, 16, 32],
            warm_up: 3,
            min_runs: 30,
            min_slow_runs: 5,
            max_runs: 200,
            time_per_point: Duration::from_secs(2),
        }
    }
}

impl Settings {
    /// Enough for a median: what a comparison needs.
    pub(super) fn quick() -> Settings {
        Settings {
            warm_up: 1,
            min_runs: 5,
            min_slow_runs: 3,
            max_runs: 20,
            time_per_point: Duration::from_millis(200),
            ..Settings::default()
        }
    }

    /// A point of this many runs in this time is done.
    pub(super) fn is_enough(&self, runs: u32, elapsed: Duration) -> bool {
        let fast = runs >= self.min_runs && elapsed >= self.time_per_point;
        let slow = runs >= self.min_slow_runs && elapsed >= self.time_per_point * 2;
        runs >= self.max_runs || fast || slow
    }

    /// A point that was warmed up by this many runs in this time is warm.
    pub(super) fn is_warm(&self, runs: u32, elapsed: Duration) -> bool {
        runs >= self.warm_up || runs > 0 && elapsed >= self.time_per_point / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs that a batch of this time gets: to warm up, and to measure.
    fn runs(millis: u64) -> (u32, u32) {
        let (settings, batch) = (Settings::default(), Duration::from_millis(millis));
        let until = |done: &dyn Fn(u32) -> bool| (0..).find(|&runs| done(runs)).unwrap();
        (until(&|runs| settings.is_warm(runs, batch * runs)), until(&|runs| settings.is_enough(runs, batch * runs)))
    }

    #[test]
    fn a_slow_point_gets_fewer_runs_and_never_less_than_a_few() {
        assert_eq!(runs(1), (3, 200));
        assert_eq!(runs(20), (3, 100));
        // 30 runs of 100 ms are 3 s: less than twice the 2 s that a point takes
        assert_eq!(runs(100), (3, 30));
        assert_eq!(runs(500), (2, 8));
        assert_eq!(runs(2_000), (1, 5));
    }
}
