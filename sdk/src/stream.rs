//! The stream of numbers behind [`random`](crate::random): SplitMix64 (Steele, Lea, Flood 2014).
//!
//! In a server the host owns it; here it serves native tests, which thereby see the numbers a server would give.
#![cfg(not(target_arch = "wasm32"))]

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of numbers that its seed determines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stream(u64);

impl Stream {
    /// The stream that a server of this seed gives to the snapshot of this sequence number.
    pub(crate) fn new(seed: u64, sequence: u64) -> Stream {
        Stream(mix(seed ^ mix(sequence.wrapping_add(GOLDEN))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_gives_the_published_numbers() {
        // The reference implementation's first outputs for seed 1234567.
        let mut stream = Stream(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| stream.next()).collect();
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn streams_of_neighbouring_snapshots_are_no_shifted_copies() {
        let take = |mut stream: Stream| (0..64).map(|_| stream.next()).collect::<Vec<u64>>();
        let (one, two) = (take(Stream::new(7, 1)), take(Stream::new(7, 2)));
        assert!(one.iter().all(|number| !two.contains(number)));
    }
}
