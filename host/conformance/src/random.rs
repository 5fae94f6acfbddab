//! Numbers that a seed determines.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A stream of numbers; the same seed gives the same ones everywhere.
#[derive(Debug)]
pub(crate) struct SeededRandom(ChaCha8Rng);

impl SeededRandom {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> SeededRandom {
        SeededRandom(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end.max(1))
    }

    /// A number in 0..1, a multiple of a millionth.
    pub(crate) fn share(&mut self) -> f64 {
        self.below(1_000_000) as f64 / 1e6
    }

    /// A number between these.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// True once in `times` on average.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these, which are not none.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_says_it_all() {
        let draw = |seed| {
            let mut random = SeededRandom::new(seed);
            [(); 8].map(|()| random.below(1000))
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut random = SeededRandom::new(1);
        for _ in 0..1000 {
            assert!(random.below(3) < 3);
            assert!((0.0..1.0).contains(&random.share()));
            assert!((2.0..4.0).contains(&random.between(2.0, 4.0)));
        }
        assert_eq!(random.below(0), 0);
    }
}
