//! The words of the case language that stand for numbers and times.

use std::ops::RangeInclusive;
use std::time::Duration;

use mosel_core::Time;

/// Reads a number; the error says what was there.
pub(super) fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("expected a number, got {word:?}"))
}

/// Reads a number of this range.
pub(super) fn within<N: std::str::FromStr + PartialOrd + std::fmt::Display>(
    word: &str,
    range: RangeInclusive<N>,
) -> Result<N, String> {
    let found = number(word)?;
    let expected = || format!("expected a number from {} to {}, got {word}", range.start(), range.end());
    if range.contains(&found) { Ok(found) } else { Err(expected()) }
}

/// Reads a time: `12ms`, `1.5ms` or `300us`.
pub(super) fn span(word: &str) -> Result<Duration, String> {
    let (digits, micros) = match (word.strip_suffix("ms"), word.strip_suffix("us")) {
        (Some(digits), _) => (digits, 1000.0),
        (_, Some(digits)) => (digits, 1.0),
        _ => return Err(format!("expected a time such as 12ms or 300us, got {word:?}")),
    };
    let count: f64 = number(digits)?;
    Duration::try_from_secs_f64(count * micros / 1e6).map_err(|_| format!("expected a time, got {word:?}"))
}

/// Writes a time, so that [`span`] reads it.
pub(super) fn time_of(duration: Duration) -> String {
    (Time::START + duration).to_string()
}
