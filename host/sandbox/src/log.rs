//! What a policy wrote to the log.

use std::fmt;

use crate::bindings::host;

/// Longer messages are cut.
pub(crate) const LONGEST_MESSAGE: usize = 1024;
/// Of one call the first so many are kept.
pub(crate) const MESSAGES_A_CALL: usize = 64;

/// A guest's words as they leave the sandbox: bounded, and with nothing in them that would forge lines or steer a terminal.
/// What is cut off is not kept in memory.
pub(crate) fn words(text: &str) -> String {
    let kept = &text[..text.floor_char_boundary(LONGEST_MESSAGE)];
    let mut plain = String::with_capacity(kept.len());
    for char in kept.chars() {
        if char.is_control() { plain.extend(char.escape_default()) } else { plain.push(char) }
    }
    if kept.len() < text.len() {
        plain.push_str("...");
    }
    plain
}

/// One message of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters, says the policy.
    pub level: Level,
    /// At most 1 KiB.
    pub message: String,
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For the policy's author.
    Debug,
    /// For an operator who looks.
    Info,
    /// Something is odd.
    Warn,
    /// Something is wrong.
    Error,
}

impl LogLine {
    /// Copies what is kept: what the guest handed over may be a thousand times as long, and would stay in memory.
    pub(crate) fn new(level: host::Level, message: &str) -> LogLine {
        let kept = &message[..message.floor_char_boundary(LONGEST_MESSAGE)];
        LogLine { level: level.into(), message: kept.into() }
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.level, self.message)
    }
}

impl From<host::Level> for Level {
    fn from(level: host::Level) -> Level {
        match level {
            host::Level::Trace => Level::Trace,
            host::Level::Debug => Level::Debug,
            host::Level::Info => Level::Info,
            host::Level::Warn => Level::Warn,
            host::Level::Error => Level::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_bounded_and_plain() {
        assert_eq!(words("no room"), "no room");
        assert_eq!(words(&"x".repeat(LONGEST_MESSAGE)).len(), LONGEST_MESSAGE);
        let long = words(&"x".repeat(1 << 20));
        assert_eq!((long.len(), long.ends_with("x...")), (LONGEST_MESSAGE + 3, true));
        assert!(words(&"\u{1b}".repeat(1 << 20)).len() <= 8 * LONGEST_MESSAGE);
        assert_eq!(words("a\n\u{1b}[31mred\u{9b}"), "a\\n\\u{1b}[31mred\\u{9b}");
    }

    #[test]
    fn what_is_cut_off_a_message_is_not_kept_in_memory() {
        let line = LogLine::new(host::Level::Info, &"é".repeat(1 << 20));
        assert_eq!(line.message.len(), LONGEST_MESSAGE);
        assert!(line.message.capacity() <= LONGEST_MESSAGE);
    }
}
