//! Distributions: what a number of a job is drawn from.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::WorkloadError;
use super::error::{demand, within};
use super::pairs;
use super::shares::{self, Shares};
use super::stream::Stream;

/// What numbers are drawn from: `f64` for most, `u32` for the sizes of jobs.
///
/// ```toml
/// slack = { fixed = 8.0 }
/// slack = { uniform = [4.0, 12.0] }
/// slack = { choices = [[4.0, 0.9], [40.0, 0.1]] }
/// slack = { log_normal = { median = 8.0, sigma = 0.6, least = 2.0, most = 60.0 } }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution<N> {
    /// Always this.
    Fixed(N),
    /// From the first to the second; of sizes every one, both ends included, as often as any other.
    #[serde(deserialize_with = "pairs::one")]
    Uniform([N; 2]),
    /// One of these; each comes with its share, relative to the sum of all shares.
    #[serde(deserialize_with = "pairs::many")]
    Choices(Vec<(N, f64)>),
    /// The logarithm is normal. What falls outside the bounds counts as the bound; sizes are rounded to whole numbers.
    LogNormal {
        /// Half of the numbers are smaller.
        median: f64,
        /// Deviation of the natural logarithm.
        sigma: f64,
        /// The smallest number.
        least: N,
        /// The largest number.
        most: N,
    },
}

impl<N: Copy + Into<f64> + Display> Distribution<N> {
    /// All numbers lie in `range`, and what describes the distribution makes sense.
    pub(super) fn check(&self, field: &str, range: RangeInclusive<f64>) -> Result<(), WorkloadError> {
        let inside = |name: &str, value: N| within(&format!("{field}.{name}"), value.into(), range.clone());
        match *self {
            Self::Fixed(value) => inside("fixed", value),
            Self::Uniform(ends) => {
                ends.into_iter().try_for_each(|end| inside("uniform", end))?;
                ascending(&format!("{field}.uniform"), ends)
            }
            Self::Choices(ref choices) => {
                shares::check(&format!("{field}.choices"), choices)?;
                choices.iter().try_for_each(|&(value, _)| inside("choices", value))
            }
            Self::LogNormal { median, sigma, least, most } => {
                inside("log_normal.least", least)?;
                inside("log_normal.most", most)?;
                ascending(&format!("{field}.log_normal from least to most"), [least, most])?;
                // a bound may be 0, which no logarithm reaches
                let above_zero = least.into().max(1e-9);
                within(&format!("{field}.log_normal.median"), median, above_zero..=most.into())?;
                within(&format!("{field}.log_normal.sigma"), sigma, 0.01..=5.0)
            }
        }
    }
}

fn ascending<N: Copy + Into<f64> + Display>(field: &str, [least, most]: [N; 2]) -> Result<(), WorkloadError> {
    demand(least.into() <= most.into(), field, || (format!("{least} to {most}"), "the smaller number first".into()))
}

impl Distribution<f64> {
    /// A function that gives one number after the other.
    pub(super) fn draws(&self, mut stream: Stream) -> Box<dyn FnMut() -> f64> {
        match *self {
            Self::Fixed(value) => Box::new(move || value),
            Self::Uniform([least, most]) => Box::new(move || least + (most - least) * stream.unit()),
            Self::Choices(ref choices) => {
                let shares = Shares::new(choices.iter().copied());
                Box::new(move || *shares.pick(stream.unit()))
            }
            Self::LogNormal { median, sigma, least, most } => {
                Box::new(move || (median * libm::exp(sigma * stream.normal())).clamp(least, most))
            }
        }
    }
}

impl<N: Display> Display for Distribution<N> {
    /// For people: `4 to 16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => write!(f, "{value}"),
            Self::Uniform([least, most]) => write!(f, "{least} to {most}"),
            Self::Choices(choices) if choices.len() > 4 => write!(f, "one of {} numbers", choices.len()),
            Self::Choices(choices) => {
                let sum: f64 = choices.iter().map(|(_, share)| share).sum();
                let word = |(value, share): &(N, f64)| format!("{value} ({:.0} %)", share / sum * 100.0);
                write!(f, "{}", choices.iter().map(word).collect::<Vec<_>>().join(" or "))
            }
            Self::LogNormal { median, sigma, least, most } => {
                write!(f, "about {median} (log-normal, sigma {sigma}, within {least} to {most})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;

    fn draw(distribution: &Distribution<f64>) -> Vec<f64> {
        let mut draw = distribution.draws(Stream::new(3, "test"));
        (0..DRAWS).map(|_| draw()).collect()
    }

    fn share(values: &[f64], holds: impl Fn(f64) -> bool) -> f64 {
        values.iter().filter(|&&value| holds(value)).count() as f64 / values.len() as f64
    }

    #[test]
    fn a_fixed_number_is_always_the_same() {
        assert!(draw(&Distribution::Fixed(2.5)).iter().all(|&value| value == 2.5));
    }

    #[test]
    fn uniform_numbers_fill_their_range_evenly() {
        let values = draw(&Distribution::Uniform([4.0, 12.0]));
        assert!(values.iter().all(|value| (4.0..12.0).contains(value)));
        for quarter in 0..4 {
            let low = 4.0 + 2.0 * f64::from(quarter);
            let found = share(&values, |value| (low..low + 2.0).contains(&value));
            assert!((found - 0.25).abs() < 0.01, "{found} in {low}..{}", low + 2.0);
        }
    }

    #[test]
    fn choices_come_up_by_their_shares() {
        let values = draw(&Distribution::Choices(vec![(4.0, 9.0), (40.0, 1.0)]));
        let found = share(&values, |value| value == 40.0);
        assert!((found - 0.1).abs() < 0.005, "{found}");
        assert!(values.iter().all(|&value| value == 4.0 || value == 40.0));
    }

    #[test]
    fn log_normal_numbers_have_their_median_and_keep_their_bounds() {
        let values = draw(&Distribution::LogNormal { median: 8.0, sigma: 0.6, least: 4.0, most: 60.0 });
        assert!(values.iter().all(|value| (4.0..=60.0).contains(value)));
        let below_median = share(&values, |value| value < 8.0);
        assert!((below_median - 0.5).abs() < 0.01, "{below_median}");
        // a deviation up: 84.1 % lie below; at the lower bound lies all that is ln 2 / 0.6 deviations down
        let below_sigma = share(&values, |value| value < 8.0 * 0.6f64.exp());
        assert!((below_sigma - 0.841).abs() < 0.01, "{below_sigma}");
        let at_bound = share(&values, |value| value == 4.0);
        assert!((at_bound - 0.124).abs() < 0.01, "{at_bound}");
    }
}
