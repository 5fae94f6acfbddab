//! The time one call has used, of the processor and of the clock; or of neither, where time is counted in fuel.

use std::time::{Duration, Instant};

use crate::{Budget, Metering, fuel_time};

/// So much longer than its budget of processor time may a call last by the clock.
const PATIENCE: u32 = 4;

/// Runs from the beginning of a call, on the thread that makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    budget: Duration,
    /// The fuel at the beginning, where it is the only clock.
    fuel: Option<u64>,
    began: Instant,
    cpu_began: Duration,
}

impl Meter {
    pub(crate) fn start(budget: Budget, metering: Metering) -> Meter {
        let fuel = (metering == Metering::Fuel).then_some(budget.fuel);
        Meter { budget: budget.time, fuel, began: Instant::now(), cpu_began: thread_cpu_time() }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// By the clock, whatever time is counted in.
    pub(crate) fn wall(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the guest sees of time passing.
    pub(crate) fn elapsed(&self, fuel_left: Option<u64>) -> Duration {
        match (self.fuel, fuel_left) {
            (Some(fuel), Some(left)) => fuel_time(fuel.saturating_sub(left)),
            _ => self.wall(),
        }
    }

    /// What is left of the budget.
    pub(crate) fn remaining(&self, fuel_left: Option<u64>) -> Duration {
        if self.fuel.is_some() {
            return self.budget.saturating_sub(self.elapsed(fuel_left));
        }
        let cpu = thread_cpu_time().saturating_sub(self.cpu_began);
        let wall = self.wall();
        self.budget.saturating_sub(cpu).min(self.budget.saturating_mul(PATIENCE).saturating_sub(wall))
    }
}

/// Processor time that this thread has used so far.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer. The call cannot fail for this clock; if it did, `time` would stay
    // zero and the wall clock alone would bound the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(millis: u64, metering: Metering) -> Meter {
        Meter::start(Budget { fuel: 1_000_000, time: Duration::from_millis(millis) }, metering)
    }

    #[test]
    fn work_uses_the_budget_up() {
        let meter = meter(5, Metering::FuelAndTime);
        assert!(meter.remaining(None) > Duration::ZERO);
        while meter.remaining(None) > Duration::ZERO {
            std::hint::spin_loop();
        }
        assert!(meter.elapsed(None) >= Duration::from_millis(5));
    }

    #[test]
    fn where_fuel_is_the_only_clock_time_is_counted_in_it() {
        let meter = meter(5, Metering::Fuel);
        assert_eq!((meter.elapsed(Some(1_000_000)), meter.remaining(Some(1_000_000))), (Duration::ZERO, meter.budget));
        let used = fuel_time(300_000);
        assert_eq!((meter.elapsed(Some(700_000)), meter.remaining(Some(700_000))), (used, meter.budget - used));
    }

    #[test]
    fn waiting_uses_it_up_four_times_slower() {
        let meter = meter(10, Metering::Time);
        let waited = Meter { began: meter.began - Duration::from_millis(30), ..meter };
        assert!(waited.remaining(None) > Duration::ZERO);
        let waited = Meter { began: meter.began - Duration::from_millis(40), ..meter };
        assert_eq!(waited.remaining(None), Duration::ZERO);
    }
}
