//! A job's name for its clients: random, so that nobody guesses another's, and none is there twice, over restarts too.

use std::fmt;
use std::str::FromStr;

/// A job's name for its clients: `j-` and 20 of [`DIGITS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WireId(u128);

/// Base 32 in small letters, as RFC 4648 has it.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const BITS_OF_A_DIGIT: usize = 5;
const LENGTH: usize = 20;
const BITS: usize = LENGTH * BITS_OF_A_DIGIT;

/// Not the name of a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAnId;

impl WireId {
    /// A new one. Fails if the system has no random numbers.
    pub(crate) fn random() -> Result<WireId, getrandom::Error> {
        let mut bytes = [0; size_of::<u128>()];
        getrandom::fill(&mut bytes)?;
        Ok(WireId(u128::from_le_bytes(bytes) & ((1 << BITS) - 1)))
    }
}

impl fmt::Display for WireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = DIGITS[(self.0 >> (place * BITS_OF_A_DIGIT)) as usize % DIGITS.len()];
        }
        write!(f, "j-{}", std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Debug for WireId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WireId {
    type Err = NotAnId;

    /// Takes what [`WireId`] writes and nothing else: one job has one name.
    fn from_str(text: &str) -> Result<WireId, NotAnId> {
        let digits = text.strip_prefix("j-").filter(|digits| digits.len() == LENGTH).ok_or(NotAnId)?;
        let mut bits = 0;
        for byte in digits.bytes() {
            let digit = DIGITS.iter().position(|digit| *digit == byte).ok_or(NotAnId)?;
            bits = bits << BITS_OF_A_DIGIT | digit as u128;
        }
        Ok(WireId(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for id in [WireId(0), WireId(1), WireId((1 << BITS) - 1), WireId::random().unwrap()] {
            let text = id.to_string();
            assert_eq!((text.len(), text.parse()), (22, Ok(id)));
        }
        let ones = format!("j-{}b", "a".repeat(19));
        assert_eq!(ones.parse(), Ok(WireId(1)));
        let long = format!("{ones}a");
        let broken = ["", "j-", "j-1", "j-0001", "j-+1", "j- 1", &ones.to_uppercase(), &ones[2..], &ones[..21], &long];
        for text in broken {
            assert_eq!(text.parse::<WireId>(), Err(NotAnId), "{text:?}");
        }
        for place in 0..LENGTH {
            for wrong in ["A", "0", "1", "8", "-", "+", "=", " ", "\0"] {
                let mut text = ones.clone();
                text.replace_range(2 + place..3 + place, wrong);
                assert_eq!(text.parse::<WireId>(), Err(NotAnId), "{text:?}");
            }
        }
        assert_eq!("j-aaaaaaaaaaaaaaaaaaä".parse::<WireId>(), Err(NotAnId));
    }

    #[test]
    fn no_two_are_the_same() {
        let ids: std::collections::BTreeSet<WireId> = (0..10_000).map(|_| WireId::random().unwrap()).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
