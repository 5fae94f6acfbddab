//! The host's side of a guest: what it can reach, and what it has taken.

use mosel_core::{DecisionId, Time};
use wasmtime::component::Linker;
use wasmtime::{ResourceLimiter, StoreContextMut};

use crate::CONTRACT_VERSION;
use crate::bindings::{host, types};
use crate::log::{Level, LogLine, MESSAGES_A_CALL};
use crate::meter::Meter;
use crate::stream::Stream;

/// Messages kept until somebody takes them, however many calls they come from.
const PENDING_MESSAGES: usize = 4 * MESSAGES_A_CALL;
/// Core instances, tables and memories in one component: a Rust guest needs one of each, componentised interpreters
/// about a hundred instances.
const MOST_INSTANCES: usize = 128;
const MOST_TABLES: usize = 32;
const MOST_MEMORIES: usize = 4;
/// Entries of all tables.
const MOST_TABLE_ENTRIES: usize = 1 << 20;

/// The state of a store.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) meter: Meter,
    pub(crate) memory: Memory,
    /// The time at the beginning of the call.
    now: Time,
    stream: Stream,
    log: Vec<LogLine>,
    logged_in_call: usize,
    /// Messages that are not in `log`.
    left_out: u64,
    /// The last error that was logged in this call: what a panic says before it traps.
    last_words: Option<String>,
}

impl Host {
    pub(crate) fn new(meter: Meter, memory_bytes: usize) -> Host {
        Host {
            meter,
            memory: Memory { most: memory_bytes, used: 0, table_entries: 0, refused: false },
            now: Time::START,
            stream: Stream::new(0, DecisionId(0)),
            log: Vec::new(),
            logged_in_call: 0,
            left_out: 0,
            last_words: None,
        }
    }

    /// Begins a call.
    pub(crate) fn begin(&mut self, meter: Meter, now: Time, stream: Stream) {
        self.meter = meter;
        self.now = now;
        self.stream = stream;
        self.logged_in_call = 0;
        self.last_words = None;
        self.memory.refused = false;
    }

    /// What was logged since the last time it was taken, and how many messages more there were.
    pub(crate) fn take_log(&mut self) -> (Vec<LogLine>, u64) {
        (std::mem::take(&mut self.log), std::mem::take(&mut self.left_out))
    }

    /// What a panic said before it trapped, if this call logged an error.
    pub(crate) fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }
}

impl types::Host for Host {}

impl host::Host for Host {
    fn log(&mut self, level: host::Level, message: String) {
        let line = LogLine::new(level, &message);
        if line.level == Level::Error {
            self.last_words = Some(line.message.clone());
        }
        self.logged_in_call += 1;
        if self.logged_in_call <= MESSAGES_A_CALL && self.log.len() < PENDING_MESSAGES {
            self.log.push(line);
        } else {
            self.left_out += 1;
        }
    }

    fn now(&mut self) -> u64 {
        self.now_at(None)
    }

    fn remaining(&mut self) -> u64 {
        self.remaining_at(None)
    }

    fn random(&mut self) -> u64 {
        self.stream.next()
    }
}

impl Host {
    fn now_at(&self, fuel_left: Option<u64>) -> u64 {
        (self.now + self.meter.elapsed(fuel_left)).micros()
    }

    fn remaining_at(&self, fuel_left: Option<u64>) -> u64 {
        u64::try_from(self.meter.remaining(fuel_left).as_micros()).unwrap_or(u64::MAX)
    }
}

/// Lets guests see time pass by the fuel they use: what the contract's own functions cannot see.
pub(crate) fn count_time_in_fuel(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut host = linker.instance(&format!("mosel:policy/host@{CONTRACT_VERSION}"))?;
    host.func_wrap("now", |store: StoreContextMut<'_, Host>, (): ()| {
        Ok((store.data().now_at(store.get_fuel().ok()),))
    })?;
    host.func_wrap("remaining", |store: StoreContextMut<'_, Host>, (): ()| {
        Ok((store.data().remaining_at(store.get_fuel().ok()),))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The memory of a guest. Growing beyond the cap fails inside the guest, which most answer with a trap.
#[derive(Debug)]
pub(crate) struct Memory {
    most: usize,
    /// Of all linear memories together.
    used: usize,
    table_entries: usize,
    /// The cap was hit in this call.
    refused: bool,
}

impl Memory {
    /// The cap, if it was hit in this call.
    pub(crate) fn refused(&self) -> Option<u64> {
        self.refused.then_some(self.most as u64)
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.most {
            self.refused = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let entries = self.table_entries.saturating_add(desired.saturating_sub(current));
        if entries > MOST_TABLE_ENTRIES {
            return Ok(false);
        }
        self.table_entries = entries;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::host::Host as _;
    use super::*;
    use crate::{Budget, Metering};

    fn host() -> Host {
        Host::new(Meter::start(Budget { fuel: 1000, time: Duration::from_secs(1) }, Metering::Time), 1000)
    }

    #[test]
    fn memories_share_one_cap() {
        let mut memory = host().memory;
        assert!(memory.memory_growing(0, 600, None).unwrap());
        assert!(memory.memory_growing(0, 400, None).unwrap());
        assert_eq!(memory.refused(), None);
        assert!(!memory.memory_growing(600, 601, None).unwrap());
        assert_eq!(memory.refused(), Some(1000));
    }

    #[test]
    fn table_entries_are_capped() {
        let mut memory = host().memory;
        assert!(memory.table_growing(0, MOST_TABLE_ENTRIES, None).unwrap());
        assert!(!memory.table_growing(0, 1, None).unwrap());
    }

    #[test]
    fn the_first_messages_of_a_call_are_kept() {
        let mut host = host();
        (0..MESSAGES_A_CALL + 1).for_each(|number| host.log(host::Level::Info, number.to_string()));
        assert_eq!(host.log.len(), MESSAGES_A_CALL);
        host.begin(host.meter, Time::START, Stream::new(0, DecisionId(1)));
        host.log(host::Level::Info, "another call".into());
        let (log, left_out) = host.take_log();
        assert_eq!((log.len(), left_out), (MESSAGES_A_CALL + 1, 1));
        assert_eq!(host.take_log(), (vec![], 0));
    }

    #[test]
    fn messages_nobody_takes_do_not_pile_up() {
        let mut host = host();
        for _ in 0..10 {
            host.begin(host.meter, Time::START, Stream::new(0, DecisionId(1)));
            (0..MESSAGES_A_CALL).for_each(|number| host.log(host::Level::Info, number.to_string()));
        }
        assert_eq!((host.log.len(), host.left_out), (PENDING_MESSAGES, 6 * MESSAGES_A_CALL as u64));
    }

    #[test]
    fn last_words_are_heard_over_a_flood_but_not_from_another_call() {
        let mut host = host();
        (0..MESSAGES_A_CALL).for_each(|number| host.log(host::Level::Info, number.to_string()));
        assert_eq!(host.last_words(), None);
        host.log(host::Level::Error, "boom".into());
        assert_eq!(host.last_words(), Some("boom"));
        host.begin(host.meter, Time::START, Stream::new(0, DecisionId(1)));
        assert_eq!(host.last_words(), None);
    }
}
