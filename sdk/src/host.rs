//! What a policy can reach of the server: its log, its clock, its stream of numbers.

use crate::{Level, Micros};

/// The server cuts longer messages.
const LONGEST_MESSAGE: usize = 1024;

/// Writes to the server's log. Cut to 1 KiB; the first 64 messages of a call are kept.
///
/// [`trace!`](crate::trace!), [`debug!`](crate::debug!), [`info!`](crate::info!), [`warn!`](crate::warn!) and
/// [`error!`](crate::error!) format a message first.
pub fn log(level: Level, message: &str) {
    let end = message.floor_char_boundary(LONGEST_MESSAGE);
    backend::log(level, &message[..end]);
}

/// Makes of each name a macro that logs at this level.
macro_rules! logging {
    ($d:tt $($name:ident $level:ident $what:literal;)+) => {$(
        #[doc = concat!("Logs ", $what, ", with the arguments of [`format!`]; see [`log`](crate::log).")]
        ///
        /// ```
        #[doc = concat!("mosel_sdk::", stringify!($name), "!(\"{} of {} rows are late\", 2, 5);")]
        /// let logged = mosel_sdk::test::host::logged();
        #[doc = concat!(
            "assert_eq!(logged, [(mosel_sdk::Level::", stringify!($level), ", \"2 of 5 rows are late\".to_owned())]);"
        )]
        /// ```
        #[macro_export]
        macro_rules! $name {
            ($d($d message:tt)+) => {
                $crate::log($crate::Level::$level, &::std::format!($d($d message)+))
            };
        }
    )+};
}

logging! { $
    trace Trace "what only its author can read";
    debug Debug "what helps to find a mistake";
    info Info "what an operator may like to know";
    warn Warn "what an operator should look into";
    error Error "what went wrong";
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

/// A [`random`] number below `end`; 0 if there is none. Uniform for all that matters here: off by less than `end` in 2^64.
pub fn random_below(end: usize) -> usize {
    ((u128::from(random()) * end as u128) >> 64) as usize
}

/// One of these, at [`random`]; `None` if there are none.
pub fn choose<T>(among: &[T]) -> Option<&T> {
    among.get(random_below(among.len()))
}

/// Puts these into a [`random`] order (Fisher and Yates), every order as likely as any other.
pub fn shuffle<T>(items: &mut [T]) {
    for end in (2..=items.len()).rev() {
        items.swap(end - 1, random_below(end));
    }
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

    #[test]
    fn nothing_to_choose_from_is_no_choice() {
        assert_eq!(choose::<u8>(&[]), None);
        assert_eq!(choose(&[7]), Some(&7));
        assert_eq!(random_below(0), 0);
    }

    #[test]
    fn a_shuffle_meets_every_order_alike_and_its_seed_determines_it() {
        let shuffled = |sequence| {
            host::begin(5, sequence, 0, 0);
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items);
            items
        };
        let mut met = std::collections::BTreeMap::new();
        (0..24_000).for_each(|sequence| *met.entry(shuffled(sequence)).or_insert(0) += 1);
        assert_eq!(met.len(), 24);
        assert!(met.values().all(|times| (800..1200).contains(times)), "{met:?}");
        assert_eq!(shuffled(3), shuffled(3));
    }
}
