//! Random streams: one a purpose, so that a change to one leaves what others draw as it is.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The stream of this seed and purpose: the same on every machine.
pub fn stream(seed: u64, purpose: &str) -> ChaCha8Rng {
    // FNV-1a: spreads the names; ChaCha does the rest.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let purpose = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ purpose)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn seeds_and_purposes_have_streams_of_their_own() {
        let first = |seed, purpose| stream(seed, purpose).random::<u64>();
        assert_eq!(first(1, "gaps"), first(1, "gaps"));
        assert_ne!(first(1, "gaps"), first(2, "gaps"));
        assert_ne!(first(1, "gaps"), first(1, "sizes"));
    }

    /// Journals that people keep are only repeatable if this never changes.
    #[test]
    fn a_stream_is_the_same_for_ever() {
        assert_eq!(stream(7, "device").random::<u64>(), 16_037_939_487_027_917_719);
    }
}
