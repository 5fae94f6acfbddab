//! What many take from, shared fairly: bytes of inputs, in the server.
//!
//! A holder may have at most `factor x weight x what is free` (a dynamic threshold, after Choudhury and Hahne 1998). Whoever is
//! alone gets most of a pool, `n` greedy holders get equal shares of it, and some of it is always left for somebody new,
//! without a quota that would stand unused. With a factor of 2 one holder gets at most two thirds, two get 40 % each,
//! and with ten there is a twentieth left.
//!
//! One exception: what is taken while nobody has anything may fill the whole pool, so that no single body is too large
//! for a pool that is larger.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::network::network_of;

/// Who takes: those of one key share, those of different keys compete.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ShareKey {
    /// Whoever cannot be told apart.
    #[default]
    Anybody,
    /// A tenant, wherever it calls from.
    Tenant(Arc<str>),
    /// An address, where there is no tenant; see [`ShareKey::of_peer`].
    Peer(IpAddr),
}

/// A pool, in whatever unit its holders take.
#[derive(Debug)]
pub(crate) struct Shares {
    capacity: u64,
    factor: f64,
    taken: Mutex<Taken>,
}

/// What one holder has of a pool at one place; given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    shares: Arc<Shares>,
    key: ShareKey,
    weight: f64,
    amount: u64,
}

/// Why nothing more can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// There is room, but not for this holder, who has enough.
    Holder,
    /// There is no room for anybody.
    Pool,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by: HashMap<ShareKey, u64>,
}

impl ShareKey {
    /// Whoever calls from this address, or from its network.
    pub(crate) fn of_peer(address: IpAddr) -> ShareKey {
        ShareKey::Peer(network_of(address))
    }
}

impl Shares {
    /// A pool of this size.
    pub(crate) fn new(capacity: u64, factor: f64) -> Arc<Shares> {
        Arc::new(Shares { capacity, factor, taken: Mutex::default() })
    }

    /// A share that has nothing yet, of a holder of this weight; 1 is everybody's.
    pub(crate) fn hold(self: &Arc<Self>, key: ShareKey, weight: f64) -> Share {
        Share { shares: self.clone(), key, weight, amount: 0 }
    }

    /// What all have together.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> u64 {
        self.lock().all
    }

    /// There is room for nobody.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().all >= self.capacity
    }

    /// Counts only: whatever happened while they were changed, they are sound.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, taken: &Taken, share: &Share, amount: u64) -> Result<(), Full> {
        let all = taken.all.checked_add(amount).filter(|all| *all <= self.capacity).ok_or(Full::Pool)?;
        let alone = taken.all == share.amount;
        let had = taken.by.get(&share.key).copied().unwrap_or(0);
        let threshold = self.factor * share.weight * (self.capacity - all) as f64;
        if alone || (had + amount) as f64 <= threshold { Ok(()) } else { Err(Full::Holder) }
    }
}

impl Share {
    /// Takes so much more, or nothing at all.
    pub(crate) fn take(&mut self, amount: u64) -> Result<(), Full> {
        if amount == 0 {
            return Ok(());
        }
        let mut taken = self.shares.lock();
        self.shares.check(&taken, self, amount)?;
        taken.all += amount;
        match taken.by.get_mut(&self.key) {
            Some(had) => *had += amount,
            None => drop(taken.by.insert(self.key.clone(), amount)),
        }
        drop(taken);
        self.amount += amount;
        Ok(())
    }

    /// Gives so much back, or all there is.
    pub(crate) fn give(&mut self, amount: u64) {
        let amount = amount.min(self.amount);
        if amount == 0 {
            return;
        }
        let mut taken = self.shares.lock();
        taken.all -= amount;
        if let Some(had) = taken.by.get_mut(&self.key) {
            *had -= amount;
            if *had == 0 {
                taken.by.remove(&self.key);
            }
        }
        drop(taken);
        self.amount -= amount;
    }

    /// What is taken here.
    pub(crate) fn amount(&self) -> u64 {
        self.amount
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> ShareKey {
        ShareKey::Tenant(name.into())
    }

    /// Takes by one from as many places as needed, until nothing more can be had.
    fn greedy(shares: &Arc<Shares>, key: &ShareKey, weight: f64) -> Vec<Share> {
        let one = || {
            let mut share = shares.hold(key.clone(), weight);
            share.take(1).ok().map(|()| share)
        };
        std::iter::from_fn(one).collect()
    }

    #[test]
    fn the_greediest_leaves_room_for_somebody_new() {
        let shares = Shares::new(300, 2.0);
        let first = greedy(&shares, &tenant("a"), 1.0);
        assert_eq!(first.len(), 200);
        let mut second = shares.hold(tenant("b"), 1.0);
        assert_eq!(second.take(66), Ok(()));
        assert_eq!(second.take(1), Err(Full::Holder));
        let mut third = shares.hold(tenant("c"), 1.0);
        assert_eq!((third.take(20), third.take(20)), (Ok(()), Err(Full::Pool)));
        drop(first);
        assert_eq!(second.take(50), Ok(()));
        drop((second, third));
        assert_eq!(shares.taken(), 0);
        assert!(shares.lock().by.is_empty(), "nobody is remembered who has nothing");
    }

    #[test]
    fn weights_widen_a_share() {
        let of = |weight| greedy(&Shares::new(300, 1.0), &tenant("a"), weight).len();
        assert_eq!((of(1.0), of(2.0)), (150, 200));
    }

    #[test]
    fn one_taking_may_fill_an_empty_pool_and_not_two() {
        let shares = Shares::new(100, 2.0);
        let mut only = shares.hold(tenant("a"), 1.0);
        assert_eq!((only.take(50), only.take(50), only.take(1)), (Ok(()), Ok(()), Err(Full::Pool)));
        only.give(60);
        let mut other = shares.hold(tenant("a"), 1.0);
        assert_eq!(other.take(27), Err(Full::Holder));
        assert_eq!(other.take(26), Ok(()));
    }

    #[test]
    fn sums_do_not_overflow() {
        let shares = Shares::new(100, 2.0);
        let mut share = shares.hold(ShareKey::Anybody, 1.0);
        assert_eq!((share.take(10), share.take(u64::MAX)), (Ok(()), Err(Full::Pool)));
        share.give(u64::MAX);
        assert_eq!((share.amount(), shares.taken()), (0, 0));
    }

    #[test]
    fn peers_of_one_network_of_64_bits_are_one() {
        let key = |address: &str| ShareKey::of_peer(address.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
        assert_ne!(key("10.0.0.1"), key("10.0.0.2"));
    }
}
