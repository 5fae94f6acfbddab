//! What is told about samples: how many there are, their mean, their percentiles, how many lie where.

use crate::span::Span;

/// Samples in order.
#[derive(Debug)]
pub(super) struct Sample {
    /// Those that are finite, ascending.
    values: Vec<f64>,
    /// With those that are not.
    pub(super) given: usize,
}

impl Sample {
    pub(super) fn of(samples: &[f64]) -> Sample {
        let mut values: Vec<f64> = samples.iter().copied().filter(|sample| sample.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        Sample { values, given: samples.len() }
    }

    pub(super) fn values(&self) -> &[f64] {
        &self.values
    }

    /// Not a number if there are no samples.
    pub(super) fn mean(&self) -> f64 {
        // divided first: the sum of large values might be infinite
        let count = self.values.len() as f64;
        if self.values.is_empty() { f64::NAN } else { self.values.iter().map(|value| value / count).sum() }
    }

    /// The value below which this share of the samples lies, between two samples in proportion.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let Some(last) = self.values.len().checked_sub(1) else { return f64::NAN };
        let place = share.clamp(0.0, 1.0) * last as f64;
        let (below, above) = (self.values[place.floor() as usize], self.values[place.ceil() as usize]);
        below * (1.0 - place.fract()) + above * place.fract()
    }

    /// How many samples lie in each of so many equal parts of an axis; those that have no place on it are left out.
    pub(super) fn bins(&self, span: &Span, count: usize) -> Vec<usize> {
        let mut bins = vec![0; count];
        for share in self.values.iter().filter_map(|value| span.share(*value)) {
            bins[((share * count as f64) as usize).min(count - 1)] += 1;
        }
        bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Axis;

    #[test]
    fn what_is_not_finite_is_left_out_and_counted() {
        let sample = Sample::of(&[3.0, f64::NAN, 1.0, f64::INFINITY, 2.0]);
        assert_eq!((sample.values(), sample.given, sample.mean()), ([1.0, 2.0, 3.0].as_slice(), 5, 2.0));
    }

    #[test]
    fn percentiles_lie_between_samples_in_proportion() {
        let sample = Sample::of(&[10.0, 20.0, 40.0]);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|share| sample.percentile(share)), [10.0, 15.0, 20.0, 30.0, 40.0]);
        assert!(Sample::of(&[]).percentile(0.5).is_nan());
    }

    #[test]
    fn every_sample_is_in_one_bin() {
        let sample = Sample::of(&[0.0, 0.1, 0.49, 0.5, 1.0]);
        assert_eq!(sample.bins(&Span::of(&Axis::default(), [0.0, 1.0]), 2), [3, 2]);
    }
}
