//! Bytes of inputs that may be in memory at a time: bodies that are being received, what is made of them, what waits and
//! what runs.
//!
//! Two pools of [shares](crate::shares). Most of the bytes are everybody's; an eighth is kept for takings that are small in
//! all, so that however many large bodies are under way, a small job of the same client still gets in.

use std::sync::Arc;

use crate::shares::{Full, Share, ShareKey, Shares};

/// Room for so many bytes.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    all: Arc<Shares>,
    small: Arc<Shares>,
}

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    all: Share,
    small: Share,
}

/// Whoever takes no more than this in all may take from what is kept for small ones.
pub(crate) const SMALL_BYTES: u64 = 64 << 10;

/// The part of a budget that is kept for small ones: one of so many.
const KEPT_FOR_SMALL: u64 = 8;

/// One holder has two thirds at most.
const FACTOR: f64 = 2.0;

impl ByteBudget {
    /// Room for so many bytes, for takings of which the largest is so large.
    pub(crate) fn new(most: u64, largest: u64) -> Arc<ByteBudget> {
        let small = (most / KEPT_FOR_SMALL).min(most.saturating_sub(largest));
        Arc::new(ByteBudget { all: Shares::new(most - small, FACTOR), small: Shares::new(small, FACTOR) })
    }

    /// Nothing taken yet, by a holder of this weight.
    pub(crate) fn hold(&self, key: ShareKey, weight: f64) -> HeldBytes {
        HeldBytes { all: self.all.hold(key.clone(), weight), small: self.small.hold(key, weight) }
    }

    /// There is no room for anybody's inputs, small ones included.
    pub(crate) fn is_full(&self) -> bool {
        self.all.is_full() && self.small.is_full()
    }

    /// What is taken now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> u64 {
        self.all.taken() + self.small.taken()
    }
}

impl HeldBytes {
    /// Takes so many bytes more, or none at all.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), Full> {
        let refused = match self.all.take(bytes) {
            Ok(()) => return Ok(()),
            Err(full) => full,
        };
        if self.bytes().saturating_add(bytes) > SMALL_BYTES {
            return Err(refused);
        }
        self.small.take(bytes)
    }

    /// Gives so many bytes back: they are not in memory any more.
    pub(crate) fn give(&mut self, bytes: u64) {
        let small = bytes.min(self.small.amount());
        self.small.give(small);
        self.all.give(bytes - small);
    }

    /// How many are taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.all.amount() + self.small.amount()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn large_bodies_leave_room_for_small_ones_of_the_same_client() {
        let budget = ByteBudget::new(64 * MIB, 32 * MIB);
        let body = || {
            let mut held = budget.hold(ShareKey::Anybody, 1.0);
            held.take(MIB).ok().map(|()| held)
        };
        let bodies: Vec<HeldBytes> = std::iter::from_fn(body).collect();
        assert_eq!(bodies.len(), 37);
        let mut small: Vec<HeldBytes> = (0..40).map(|_| budget.hold(ShareKey::Anybody, 1.0)).collect();
        assert!(small.iter_mut().all(|held| held.take(SMALL_BYTES) == Ok(())));
        assert_eq!(small[39].take(SMALL_BYTES), Err(Full::Holder), "it is not small any more");
        let mut other = budget.hold(ShareKey::Tenant("b".into()), 1.0);
        assert_eq!(other.take(12 * MIB), Ok(()));
        drop((bodies, small, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_given_back_can_be_taken() {
        let budget = ByteBudget::new(64 * MIB, 32 * MIB);
        let mut held = budget.hold(ShareKey::Anybody, 1.0);
        assert_eq!((held.take(56 * MIB), held.take(MIB)), (Ok(()), Err(Full::Pool)));
        held.give(50 * MIB);
        assert_eq!((held.bytes(), budget.used()), (6 * MIB, 6 * MIB));
        assert_eq!(held.take(MIB), Ok(()));
        held.give(u64::MAX);
        assert_eq!((held.bytes(), budget.used()), (0, 0));
    }
}
