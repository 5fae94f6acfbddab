//! The server's side of [`log`](crate::log) and its companions, for native tests: one for each thread.

use std::cell::RefCell;

use crate::stream::Stream;
use crate::{Level, Micros};

#[derive(Default)]
struct Host {
    stream: Stream,
    now: Micros,
    remaining: Micros,
    log: Vec<(Level, String)>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// Begins a call: the stream of this seed and sequence number, a clock that stands still, an empty log.
pub fn begin(seed: u64, sequence: u64, now: Micros, remaining: Micros) {
    HOST.set(Host { stream: Stream::new(seed, sequence), now, remaining, log: Vec::new() });
}

/// Moves the clock on, and counts the call's time down.
pub fn pass(time: Micros) {
    HOST.with_borrow_mut(|host| {
        host.now = host.now.saturating_add(time);
        host.remaining = host.remaining.saturating_sub(time);
    });
}

/// What was logged since the call began.
pub fn logged() -> Vec<(Level, String)> {
    HOST.with_borrow(|host| host.log.clone())
}

pub(crate) fn log(level: Level, message: &str) {
    HOST.with_borrow_mut(|host| host.log.push((level, message.into())));
}

pub(crate) fn now() -> Micros {
    HOST.with_borrow(|host| host.now)
}

pub(crate) fn remaining() -> Micros {
    HOST.with_borrow(|host| host.remaining)
}

pub(crate) fn random() -> u64 {
    HOST.with_borrow_mut(|host| host.stream.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_only_when_told() {
        begin(0, 0, 100, 30);
        assert_eq!((now(), remaining()), (100, 30));
        pass(40);
        assert_eq!((now(), remaining()), (140, 0));
    }
}
