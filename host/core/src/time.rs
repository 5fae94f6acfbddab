//! Points in time. The core never reads a clock: every `Time` comes from a driver.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: microseconds since the driver started. Virtual in simulations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// When the driver started.
    pub const START: Time = Time(0);
    /// Later than any event; what `Time + Duration` saturates to.
    pub const NEVER: Time = Time(u64::MAX);

    /// The time `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Time {
        Time(micros)
    }

    /// The time `millis` milliseconds after the start; saturates at [`Time::NEVER`].
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis.saturating_mul(1000))
    }

    /// Microseconds since the start.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The time after `work` that takes `factor` times as long as profiled; rounded up to a microsecond.
    /// Saturates at [`Time::NEVER`]. `factor` is finite and positive.
    pub fn after(self, work: Duration, factor: f64) -> Time {
        let micros = work.as_secs() as f64 * 1e6 + f64::from(work.subsec_nanos()) / 1e3;
        // A float of about 1e-9 above a whole microsecond is rounding, not time.
        Time(self.0.saturating_add((micros * factor - 1e-6).ceil() as u64))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::NEVER`]; a fraction of a microsecond is rounded up.
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(micros_ceil(duration)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::START`]; a fraction of a microsecond is rounded up.
    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(micros_ceil(duration)))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Time {
    /// Milliseconds, as scenarios and logs write them: `12.5ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0 as f64 / 1000.0)
    }
}

/// `duration` times a factor, kept within what a `Duration` can hold.
///
/// A factor that is not finite or not positive leaves the duration as it is: factors are measured
/// ratios, and a nonsensical one must not move a deadline.
pub fn scale(duration: Duration, factor: f64) -> Duration {
    if !factor.is_finite() || factor <= 0.0 {
        return duration;
    }
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

fn micros_ceil(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Time::NEVER + Duration::from_secs(1), Time::NEVER);
        assert_eq!(Time::from_micros(5) - Duration::from_secs(1), Time::START);
        assert_eq!(Time::START.since(Time::from_micros(7)), Duration::ZERO);
    }

    #[test]
    fn fractions_of_a_microsecond_round_up() {
        assert_eq!(Time::START + Duration::from_nanos(1001), Time::from_micros(2));
    }

    #[test]
    fn work_is_scaled_and_saturates() {
        let (milli, start) = (Duration::from_millis(1), Time::from_micros(10));
        assert_eq!(start.after(milli, 1.0), Time::from_micros(1010));
        assert_eq!(start.after(milli * 3, 1.1), Time::from_micros(3310));
        assert_eq!(start.after(Duration::from_nanos(100), 1.0), Time::from_micros(11));
        assert_eq!(start.after(Duration::ZERO, 1.5), start);
        assert_eq!(start.after(Duration::MAX, 20.0), Time::NEVER);
    }

    #[test]
    fn a_nonsensical_factor_changes_nothing() {
        let second = Duration::from_secs(1);
        assert_eq!(scale(second, f64::NAN), second);
        assert_eq!(scale(second, -1.0), second);
        assert_eq!(scale(second, 1.5), Duration::from_millis(1500));
    }
}
