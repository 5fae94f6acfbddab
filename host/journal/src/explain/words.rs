//! Numbers as words: spans of time, accuracies, counts.

use std::time::Duration;

/// A span of time: milliseconds with three digits that count, from 10 s on seconds to the millisecond.
pub(super) fn span(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    if millis >= 10_000.0 {
        return format!("{} s", trimmed(millis / 1e3, 3));
    }
    let digits = match millis {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{} ms", trimmed(millis, digits))
}

/// An accuracy, to four digits.
pub(super) fn share(accuracy: f64) -> String {
    trimmed(accuracy, 4)
}

/// `1 job`, `2 jobs`.
pub(super) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        number => format!("{number} {}", plural(noun)),
    }
}

fn plural(noun: &str) -> String {
    if noun.ends_with("ch") { format!("{noun}es") } else { format!("{noun}s") }
}

/// The number with at most so many digits behind the point, and no zeros at its end.
fn trimmed(number: f64, digits: usize) -> String {
    let text = format!("{number:.digits$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_digits_that_count() {
        let micros = [0, 1, 999, 1234, 12_345, 100_499, 963_000, 9_999_400, 10_000_000, 12_345_678];
        let texts: Vec<String> = micros.into_iter().map(|micros| span(Duration::from_micros(micros))).collect();
        assert_eq!(
            texts,
            ["0 ms", "0.001 ms", "0.999 ms", "1.23 ms", "12.3 ms", "100 ms", "963 ms", "9999 ms", "10 s", "12.346 s"]
        );
    }

    #[test]
    fn zeros_at_the_end_go_and_others_stay() {
        assert_eq!([share(0.851), share(0.82549), share(1.0), share(0.0)], ["0.851", "0.8255", "1", "0"]);
        assert_eq!(span(Duration::from_millis(100)), "100 ms");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([count(1u32, "job"), count(0u32, "job"), count(2u32, "batch")], ["1 job", "0 jobs", "2 batches"]);
    }
}
