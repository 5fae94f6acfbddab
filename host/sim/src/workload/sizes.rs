//! Sizes of jobs: a distribution of whole numbers, of which every probability is known exactly.

use std::f64::consts::SQRT_2;

use super::distribution::Distribution;

impl Distribution<u32> {
    /// Every size that can come up, ascending, with its probability; these sum to 1.
    pub(super) fn probabilities(&self) -> Vec<(u32, f64)> {
        let mut weighted: Vec<(u32, f64)> = match *self {
            Self::Fixed(size) => vec![(size, 1.0)],
            Self::Uniform([least, most]) => (least..=most).map(|size| (size, 1.0)).collect(),
            Self::Choices(ref choices) => choices.clone(),
            Self::LogNormal { median, sigma, least, most } => log_normal(median, sigma, least, most),
        };
        weighted.retain(|&(_, weight)| weight > 0.0);
        weighted.sort_by_key(|&(size, _)| size);
        let sum: f64 = weighted.iter().map(|&(_, weight)| weight).sum();
        weighted.into_iter().map(|(size, weight)| (size, weight / sum)).collect()
    }
}

/// What is rounded to each size; the tails belong to the ends.
fn log_normal(median: f64, sigma: f64, least: u32, most: u32) -> Vec<(u32, f64)> {
    let below = |size: f64| 0.5 * libm::erfc((libm::log(median) - libm::log(size)) / (sigma * SQRT_2));
    let share = |size: u32| {
        let from = if size == least { 0.0 } else { below(f64::from(size) - 0.5) };
        let to = if size == most { 1.0 } else { below(f64::from(size) + 0.5) };
        (size, to - from)
    };
    (least..=most).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::stream::Stream;

    #[test]
    fn every_size_of_a_range_is_as_likely_as_the_others() {
        let found = Distribution::Uniform([4, 7]).probabilities();
        assert_eq!(found, [(4, 0.25), (5, 0.25), (6, 0.25), (7, 0.25)]);
    }

    #[test]
    fn choices_are_normalised_and_those_without_a_share_left_out() {
        let found = Distribution::Choices(vec![(16, 3.0), (8, 1.0), (64, 0.0)]).probabilities();
        assert_eq!(found, [(8, 0.25), (16, 0.75)]);
    }

    #[test]
    fn log_normal_sizes_have_the_probabilities_of_rounded_draws() {
        const DRAWS: u32 = 100_000;
        let found = Distribution::LogNormal { median: 8.0, sigma: 0.6, least: 3, most: 20 }.probabilities();
        assert!((found.iter().map(|(_, probability)| probability).sum::<f64>() - 1.0).abs() < 1e-12);
        let as_numbers = Distribution::LogNormal { median: 8.0, sigma: 0.6, least: 3.0, most: 20.0 };
        let mut draw = as_numbers.draws(Stream::new(4, "test"));
        let drawn: Vec<u32> = (0..DRAWS).map(|_| draw().round() as u32).collect();
        for (size, probability) in found {
            let counted = drawn.iter().filter(|&&other| other == size).count() as f64 / f64::from(DRAWS);
            assert!((counted - probability).abs() < 0.006, "size {size}: {probability}, counted {counted}");
        }
    }
}
