//! Shares: values of which each comes up as often as its share says.

use std::fmt::Display;

use super::WorkloadError;
use super::error::{demand, within};

/// The most values that a file may list.
const MOST_VALUES: usize = 1000;

/// Values to pick from, each as often as its share of the sum.
pub(super) struct Shares<T> {
    values: Vec<T>,
    /// Which part of the sum is reached with each value; the last is 1.
    reached: Vec<f64>,
}

impl<T> Shares<T> {
    /// Shares are not negative and their sum is positive, see [`check`].
    pub(super) fn new(values: impl IntoIterator<Item = (T, f64)>) -> Shares<T> {
        let mut sum = 0.0;
        let mut running = |(value, share)| {
            sum += share;
            (value, sum)
        };
        let (values, mut reached): (Vec<T>, Vec<f64>) = values.into_iter().map(&mut running).unzip();
        reached.iter_mut().for_each(|part| *part /= sum);
        Shares { values, reached }
    }

    /// The value at `unit`, which is uniform from 0 to 1 without 1.
    pub(super) fn pick(&self, unit: f64) -> &T {
        let index = self.reached.partition_point(|&part| part <= unit);
        &self.values[index.min(self.values.len() - 1)]
    }
}

/// Whether values with these shares can be picked from.
pub(super) fn check<T: Display>(field: &str, values: &[(T, f64)]) -> Result<(), WorkloadError> {
    let count = values.len();
    demand((1..=MOST_VALUES).contains(&count), field, || {
        (format!("{count} pairs long"), format!("1 to {MOST_VALUES} pairs of a value and its share"))
    })?;
    for (value, share) in values {
        within(&format!("{field}, the share of {value},"), *share, 0.0..=1e9)?;
    }
    demand(values.iter().any(|(_, share)| *share > 0.0), field, || {
        ("without any share above 0".into(), "at least one".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_picked_as_often_as_its_share_says() {
        let shares = Shares::new([('a', 1.0), ('b', 0.0), ('c', 3.0), ('d', 0.0)]);
        let picked: String = (0..8).map(|eighth| *shares.pick(f64::from(eighth) / 8.0)).collect();
        assert_eq!(picked, "aacccccc");
        assert_eq!(*shares.pick(1.0 - f64::EPSILON / 2.0), 'c');
    }
}
