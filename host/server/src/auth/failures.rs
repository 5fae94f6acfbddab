//! Wrong tokens, counted by where they come from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::network::network_of;

/// How often somebody may be wrong within [`WINDOW`] is chosen; for whom it is remembered is bounded.
const MAX_PEERS: usize = 4096;
const WINDOW: Duration = Duration::from_secs(60);

/// Who showed wrong tokens lately, and how many.
#[derive(Debug)]
pub(super) struct Failures {
    most: u32,
    peers: Mutex<HashMap<IpAddr, Tally>>,
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    since: Instant,
    count: u32,
}

/// What to do about a wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Refuse it, and say so in the log.
    Log,
    /// Refuse it, say that it was the last one for so long.
    Last(Duration),
    /// There were too many: nothing is said for so long.
    Throttle(Duration),
}

impl Failures {
    /// So many a minute are answered.
    pub(super) fn new(most: u32) -> Failures {
        Failures { most, peers: Mutex::default() }
    }

    /// Somebody there showed a wrong token.
    pub(super) fn count(&self, peer: IpAddr, now: Instant) -> Verdict {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = network_of(peer);
        if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, tally| now.duration_since(tally.since) < WINDOW);
            if peers.len() >= MAX_PEERS {
                // as many as that at a time are an attack from everywhere: those who are remembered are let go
                peers.clear();
            }
        }
        let tally = peers.entry(peer).or_insert(Tally { since: now, count: 0 });
        if now.duration_since(tally.since) >= WINDOW {
            *tally = Tally { since: now, count: 0 };
        }
        tally.count = tally.count.saturating_add(1);
        let left = WINDOW.saturating_sub(now.duration_since(tally.since));
        match tally.count.cmp(&self.most) {
            std::cmp::Ordering::Less => Verdict::Log,
            std::cmp::Ordering::Equal => Verdict::Last(left),
            std::cmp::Ordering::Greater => Verdict::Throttle(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_minute_are_answered() {
        let (failures, begin) = (Failures::new(3), Instant::now());
        let count = |peer: &str, seconds| failures.count(peer.parse().unwrap(), begin + Duration::from_secs(seconds));
        assert_eq!(count("10.0.0.1", 0), Verdict::Log);
        assert_eq!(count("10.0.0.1", 10), Verdict::Log);
        assert_eq!(count("10.0.0.1", 20), Verdict::Last(Duration::from_secs(40)));
        assert_eq!(count("::ffff:10.0.0.1", 30), Verdict::Throttle(Duration::from_secs(30)));
        assert_eq!(count("10.0.0.2", 30), Verdict::Log);
        assert_eq!(count("10.0.0.1", 60), Verdict::Log);
    }

    #[test]
    fn addresses_of_one_network_are_one_and_few_are_remembered() {
        let (failures, now) = (Failures::new(1), Instant::now());
        failures.count("2001:db8::1".parse().unwrap(), now);
        assert!(matches!(failures.count("2001:db8::2".parse().unwrap(), now), Verdict::Throttle(_)));
        assert!(matches!(failures.count("2001:db8:1::1".parse().unwrap(), now), Verdict::Last(_)));
        for peer in 0..20_000_u32 {
            failures.count(IpAddr::V4(peer.into()), now);
        }
        assert!(failures.peers.lock().unwrap().len() <= MAX_PEERS);
    }
}
