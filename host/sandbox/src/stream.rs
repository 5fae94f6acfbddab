//! The numbers behind `host.random`: SplitMix64 (Steele, Lea, Flood 2014).
//!
//! The SDK has the same stream for native tests; a test over both keeps them equal.

use mosel_core::DecisionId;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of numbers that its seed determines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream for one snapshot: the same seed and snapshot, the same numbers.
    pub(crate) fn new(seed: u64, decision: DecisionId) -> Stream {
        Stream(mix(seed ^ mix(decision.0.wrapping_add(GOLDEN))))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
