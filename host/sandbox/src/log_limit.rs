//! How much a policy may log over time.

use std::collections::VecDeque;
use std::time::Duration;

use mosel_core::Time;

use crate::LogLine;
use crate::log::Level;

/// So many messages are kept in any span of so long.
const MESSAGES: usize = 1000;
const SPAN: Duration = Duration::from_secs(10);

/// Keeps the first messages; a policy that logs more is not heard for a while, and then it is told how many were left
/// out. The clock is that of the snapshots.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    /// When messages were kept, of the last span.
    kept: VecDeque<Time>,
    /// Nothing is kept before.
    muted_until: Time,
    /// Left out and not told yet.
    left_out: u64,
}

impl LogLimit {
    /// Which of these messages, logged at this time, are kept, and a line for those that are not. `left_out` more
    /// were dropped already.
    pub(crate) fn admit(&mut self, lines: Vec<LogLine>, left_out: u64, now: Time) -> Vec<LogLine> {
        if lines.is_empty() && left_out == 0 && self.left_out == 0 {
            return lines;
        }
        let mut kept = Vec::with_capacity(lines.len() + 2);
        kept.extend(self.tell_left_out(now));
        for line in lines {
            if self.keep(now) {
                kept.push(line);
            } else {
                self.left_out += 1;
            }
        }
        self.left_out += left_out;
        kept.extend(self.tell_left_out(now));
        kept
    }

    fn keep(&mut self, now: Time) -> bool {
        if now < self.muted_until {
            return false;
        }
        while self.kept.front().is_some_and(|kept| now.since(*kept) >= SPAN) {
            self.kept.pop_front();
        }
        if self.kept.len() == MESSAGES {
            self.muted_until = now + SPAN;
            return false;
        }
        self.kept.push_back(now);
        true
    }

    /// A message too.
    fn tell_left_out(&mut self, now: Time) -> Option<LogLine> {
        if self.left_out == 0 || !self.keep(now) {
            return None;
        }
        let count = std::mem::take(&mut self.left_out);
        let message = format!("{count} messages of the policy were left out: it logs too much");
        Some(LogLine { level: Level::Warn, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(count: usize) -> Vec<LogLine> {
        vec![LogLine { level: Level::Info, message: "x".into() }; count]
    }

    fn last(kept: &[LogLine]) -> &str {
        &kept.last().expect("something is kept").message
    }

    const fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn messages_over_time_kept() {
        let mut limit = LogLimit::default();
        for now in [0, 10, 20] {
            assert_eq!(limit.admit(lines(500), 0, at(now)).len(), 500);
            assert_eq!(limit.admit(lines(500), 0, at(now + 9)).len(), 500);
        }
    }

    #[test]
    fn messages_over_time_broken() {
        let mut limit = LogLimit::default();
        assert_eq!(limit.admit(lines(999), 0, at(0)).len(), 999);
        assert_eq!(limit.admit(lines(5), 0, at(3)).len(), 1);
        assert_eq!(limit.admit(lines(5), 2, at(12)), [], "it is still muted");
        let kept = limit.admit(lines(2), 0, at(13));
        assert_eq!(kept.len(), 3);
        assert_eq!(kept[0].message, "11 messages of the policy were left out: it logs too much");
        assert_eq!(kept[0].level, Level::Warn);
        assert_eq!(limit.admit(lines(2), 0, at(13)), lines(2), "it is told once");
    }

    #[test]
    fn what_is_left_out_is_told_to_a_silent_policy_too() {
        let mut limit = LogLimit::default();
        limit.admit(lines(1001), 0, at(0));
        assert_eq!(limit.admit(lines(0), 0, at(9)), []);
        assert_eq!(last(&limit.admit(lines(0), 0, at(10))), "1 messages of the policy were left out: it logs too much");
    }

    #[test]
    fn what_a_call_has_too_much_is_told_at_its_end() {
        let kept = LogLimit::default().admit(lines(64), 36, at(0));
        assert_eq!((kept.len(), last(&kept)), (65, "36 messages of the policy were left out: it logs too much"));
    }

    #[test]
    fn no_span_of_ten_seconds_has_more_than_a_thousand() {
        let mut limit = LogLimit::default();
        let kept: Vec<(u64, usize)> = (0..200).map(|now| (now, limit.admit(lines(64), 7, at(now)).len())).collect();
        for span in kept.windows(10) {
            let sum: usize = span.iter().map(|(_, count)| count).sum();
            assert!(sum <= MESSAGES, "{sum} from {} s on", span[0].0);
        }
        assert!(kept.iter().map(|(_, count)| count).sum::<usize>() > 8 * MESSAGES, "it is heard again and again");
    }
}
