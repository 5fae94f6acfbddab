//! Random streams: one a purpose, so that a change to one leaves what others draw as it is.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// The stream of this seed and purpose, a name of 1 to 24 bytes: the same on every machine.
pub fn stream(seed: u64, purpose: &'static str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..8 + purpose.len()].copy_from_slice(purpose.as_bytes());
    ChaCha8Rng::from_seed(key)
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
}
