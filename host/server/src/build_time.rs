//! Time that a device thread spends on building a model anew: its batch is not on the device, and not overdue by it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is being built, if anything, since when, and how much of that was told.
#[derive(Debug, Default)]
pub(crate) struct BuildTime(Mutex<Option<(Instant, Duration)>>);

/// Something is being built until this is dropped.
pub(crate) struct Building<'a>(&'a BuildTime);

/// A build that takes longer hangs, for all that is known.
const MOST: Duration = Duration::from_secs(120);

impl BuildTime {
    /// A build begins.
    pub(crate) fn begin(&self) -> Building<'_> {
        *self.lock() = Some((Instant::now(), Duration::ZERO));
        Building(self)
    }

    /// Time spent on a build since this was asked last.
    pub(crate) fn take(&self) -> Duration {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Duration {
        let mut building = self.lock();
        let Some((since, told)) = building.as_mut() else { return Duration::ZERO };
        let spent = now.saturating_duration_since(*since).min(MOST);
        let new = spent.saturating_sub(*told);
        *told = spent;
        new
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Duration)>> {
        // two numbers, which are whole whatever happened
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Building<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_build_is_told_once_and_only_so_much_of_it() {
        let time = BuildTime::default();
        assert_eq!(time.take(), Duration::ZERO);
        let building = time.begin();
        let begin = Instant::now();
        let first = time.take_at(begin + Duration::from_secs(2));
        assert!(first >= Duration::from_secs(2), "{first:?}");
        let second = time.take_at(begin + Duration::from_secs(5));
        assert_eq!(second, Duration::from_secs(3));
        assert_eq!(first + second + time.take_at(begin + 2 * MOST), MOST);
        drop(building);
        assert_eq!(time.take_at(begin + 3 * MOST), Duration::ZERO);
    }
}
