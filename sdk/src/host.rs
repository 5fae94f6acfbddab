//! What a policy can reach of the server: its log, its clock, its stream of numbers.

use crate::{Level, Micros};

/// The server cuts longer messages.
const LONGEST_MESSAGE: usize = 1024;

/// Writes to the server's log. Cut to 1 KiB; the first 64 messages of a call are kept.
pub fn log(level: Level, message: &str) {
    let end = message.floor_char_boundary(LONGEST_MESSAGE);
    backend::log(level, &message[..end]);
}

/// The server's clock: [`Snapshot::now`](crate::Snapshot::now) and what has passed since the call began.
///
/// A policy that looks at the clock may answer the same snapshot differently; one that does not, never.
pub fn now() -> Micros {
    backend::now()
}

/// What is left of the time of this call, 0 when it is used up.
pub fn remaining() -> Micros {
    backend::remaining()
}

/// The next number of a stream that begins anew with every call and depends on the server's seed and
/// [`Snapshot::sequence`](crate::Snapshot::sequence) only.
pub fn random() -> u64 {
    backend::random()
}

/// A random number below `end`, which is not 0. Uniform for all that matters here: off by less than `end` in 2^64.
pub fn random_below(end: usize) -> usize {
    ((u128::from(random()) * end as u128) >> 64) as usize
}

#[cfg(target_arch = "wasm32")]
mod backend {
    pub(super) use crate::bindings::mosel::policy::host::{log, now, random, remaining};
}

#[cfg(not(target_arch = "wasm32"))]
mod backend {
    pub(super) use crate::test::host::{log, now, random, remaining};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::host;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        host::begin(0, 0, 0, 0);
        log(Level::Info, &"é".repeat(600));
        log(Level::Info, &format!("x{}", "é".repeat(600)));
        let lengths: Vec<usize> = host::logged().iter().map(|(_, message)| message.len()).collect();
        assert_eq!(lengths, [1024, 1023]);
    }

    #[test]
    fn random_below_stays_below_and_meets_everything() {
        host::begin(3, 1, 0, 0);
        let mut met = [false; 5];
        (0..200).for_each(|_| met[random_below(5)] = true);
        assert_eq!(met, [true; 5]);
    }
}
