//! The time one call has used, of the processor and of the clock.

use std::time::{Duration, Instant};

/// So much longer than its budget of processor time may a call last by the clock.
const PATIENCE: u32 = 4;

/// Runs from the beginning of a call, on the thread that makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    budget: Duration,
    began: Instant,
    cpu_began: Duration,
}

impl Meter {
    pub(crate) fn start(budget: Duration) -> Meter {
        Meter { budget, began: Instant::now(), cpu_began: thread_cpu_time() }
    }

    pub(crate) fn budget(&self) -> Duration {
        self.budget
    }

    /// By the clock.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What is left of the budget.
    pub(crate) fn remaining(&self) -> Duration {
        let cpu = thread_cpu_time().saturating_sub(self.cpu_began);
        let wall = self.elapsed();
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

    #[test]
    fn work_uses_the_budget_up() {
        let meter = Meter::start(Duration::from_millis(5));
        assert!(meter.remaining() > Duration::ZERO);
        while meter.remaining() > Duration::ZERO {
            std::hint::spin_loop();
        }
        assert!(meter.elapsed() >= Duration::from_millis(5));
    }

    #[test]
    fn waiting_uses_it_up_four_times_slower() {
        let meter = Meter { budget: Duration::from_millis(10), ..Meter::start(Duration::ZERO) };
        let waited = Meter { began: meter.began - Duration::from_millis(30), ..meter };
        assert!(waited.remaining() > Duration::ZERO);
        let waited = Meter { began: meter.began - Duration::from_millis(40), ..meter };
        assert_eq!(waited.remaining(), Duration::ZERO);
    }
}
