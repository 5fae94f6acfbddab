//! Profiles: what was measured about a model on a device. The only source of truth about either.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{ModalitySet, Mode, Precision, scale};

/// Everything measured about one model on one kind of device.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Short content hash; names the profile in certificates.
    pub id: String,
    /// The model it describes.
    pub model: String,
    /// Names of the modalities; position `i` is bit `i` of every [`ModalitySet`].
    pub modalities: Vec<String>,
    /// One entry per selection, precision and batch size, in any order.
    pub measurements: Vec<Measurement>,
}

/// One selection in one precision at one batch size.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What the requests were run on, and with which numbers.
    pub mode: Mode,
    /// Requests in the batch, at least 1.
    pub batch_size: u32,
    /// Time of one batch.
    pub latency: Latency,
    /// How often the answers were right; the same for every batch size of a mode.
    pub accuracy: Accuracy,
    /// Peak memory of one batch beyond the loaded model; 0 if unknown.
    pub memory_bytes: u64,
}

/// The distribution of a batch's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// What sums of many batches are estimated with.
    pub mean: Duration,
    /// Half of the runs were faster.
    pub median: Duration,
    /// 95 % of the runs were faster.
    pub p95: Duration,
    /// 99 % of the runs were faster.
    pub p99: Duration,
}

impl Latency {
    /// A latency without spread, for scenarios and models that are told how long to take.
    pub const fn exactly(duration: Duration) -> Latency {
        Latency { mean: duration, median: duration, p95: duration, p99: duration }
    }
}

/// Correct answers among labeled samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accuracy {
    /// Right answers, at most `samples`.
    pub correct: u32,
    /// Labelled samples tried, at least 1.
    pub samples: u32,
}

impl Accuracy {
    /// The share of right answers, in 0..=1.
    pub fn mean(self) -> f64 {
        f64::from(self.correct) / f64::from(self.samples.max(1))
    }

    /// The 95 % Wilson score interval (Wilson 1927), in 0..=1.
    pub fn interval(self) -> (f64, f64) {
        const Z: f64 = 1.959_963_984_540_054;
        let (n, p) = (f64::from(self.samples.max(1)), self.mean());
        let spread = Z * Z / n;
        let center = (p + spread / 2.0) / (1.0 + spread);
        let half = Z / (1.0 + spread) * (p * (1.0 - p) / n + spread / (4.0 * n)).sqrt();
        ((center - half).max(0.0), (center + half).min(1.0))
    }

    /// The lower end of [`Accuracy::interval`].
    pub fn lower_bound(self) -> f64 {
        self.interval().0
    }
}

/// Why a profile cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// No measurement at all, or none of some selection that others need.
    Empty,
    /// A selection is empty or names a modality the model does not have.
    UnknownModality(ModalitySet),
    /// A batch size of 0.
    ZeroBatch(Mode),
    /// Two measurements of the same selection and batch size.
    Twice(Mode, u32),
    /// A batch that takes no time cannot be planned with.
    ZeroLatency(Mode, u32),
    /// More right answers than samples, or no samples.
    BadAccuracy(Mode, Accuracy),
    /// Batch sizes of one selection disagree about its accuracy.
    TwoAccuracies(Mode),
}

impl std::fmt::Display for ProfileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(f, "the profile has no measurements, expected at least one"),
            Self::UnknownModality(set) => write!(f, "selection {set} names a modality the model does not have"),
            Self::ZeroBatch(set) => write!(f, "selection {set} was measured at batch size 0, expected at least 1"),
            Self::Twice(set, size) => write!(f, "selection {set} at batch size {size} is there twice"),
            Self::ZeroLatency(set, size) => write!(f, "selection {set} at batch size {size} takes no time at all"),
            Self::BadAccuracy(set, accuracy) => write!(
                f,
                "selection {set} has {} correct of {} samples, expected 1 or more samples and no more correct than that",
                accuracy.correct, accuracy.samples
            ),
            Self::TwoAccuracies(set) => write!(f, "selection {set} has another accuracy at another batch size"),
        }
    }
}

impl std::error::Error for ProfileError {}

impl Profile {
    /// Checks what every user of a profile relies on.
    pub fn check(&self) -> Result<(), ProfileError> {
        if self.measurements.is_empty() {
            return Err(ProfileError::Empty);
        }
        let all = ModalitySet::all(self.modalities.len());
        let mut seen = BTreeMap::new();
        for measurement in &self.measurements {
            let Measurement { mode, batch_size, latency, accuracy, .. } = *measurement;
            let modalities = mode.modalities;
            if modalities.is_empty() || !modalities.is_subset_of(all) {
                return Err(ProfileError::UnknownModality(modalities));
            }
            if batch_size == 0 {
                return Err(ProfileError::ZeroBatch(mode));
            }
            if latency.mean.as_micros() == 0 {
                return Err(ProfileError::ZeroLatency(mode, batch_size));
            }
            if accuracy.samples == 0 || accuracy.correct > accuracy.samples {
                return Err(ProfileError::BadAccuracy(mode, accuracy));
            }
            if *seen.entry((mode, 0)).or_insert(accuracy) != accuracy {
                return Err(ProfileError::TwoAccuracies(mode));
            }
            if seen.insert((mode, batch_size), accuracy).is_some() {
                return Err(ProfileError::Twice(mode, batch_size));
            }
        }
        Ok(())
    }

    /// The accuracy of a mode, if it was measured.
    pub fn accuracy(&self, mode: Mode) -> Option<Accuracy> {
        self.measurements.iter().find(|measurement| measurement.mode == mode).map(|m| m.accuracy)
    }

    /// The times that a batch of so many requests in this mode may take, least and most: one where that size was measured.
    /// Else it is not below the line between the sizes around it, and not above the larger one; of fewer requests than were
    /// ever measured only the most is known.
    pub(crate) fn times_of(&self, mode: Mode, requests: u32) -> Option<(Duration, Duration)> {
        let of_mode = || self.measurements.iter().filter(|m| m.mode == mode);
        let below = of_mode().filter(|m| m.batch_size <= requests).max_by_key(|m| m.batch_size);
        let above = of_mode().filter(|m| m.batch_size >= requests).min_by_key(|m| m.batch_size);
        let Some(above) = above else { return below.map(|below| (below.latency.mean, below.latency.mean)) };
        let most = above.latency.mean;
        let Some(below) = below else { return Some((Duration::ZERO, most)) };
        let from = below.latency.mean.min(most);
        let steps = f64::from((above.batch_size - below.batch_size).max(1));
        let share = f64::from(requests - below.batch_size) / steps;
        let least = if above.batch_size == requests { most } else { from + scale(most - from, share) };
        Some((least.min(most), most))
    }

    /// 99 % of the batches of this size in this mode took less, if it was measured.
    pub(crate) fn p99(&self, mode: Mode, batch_size: u32) -> Option<Duration> {
        let measured = self.measurements.iter().find(|m| m.mode == mode && m.batch_size == batch_size)?;
        // what is hardly measured may say less than its mean
        Some(measured.latency.p99.max(measured.latency.mean))
    }

    /// The measured modes, each once: in the order of the selections' bits, the most precise first.
    pub fn modes(&self) -> Vec<Mode> {
        let mut modes: Vec<Mode> = self.measurements.iter().map(|m| m.mode).collect();
        modes.sort();
        modes.dedup();
        modes
    }

    /// The same profile without what was measured in other precisions than these.
    pub fn only(&self, precisions: &[Precision]) -> Profile {
        let mut profile = self.clone();
        profile.measurements.retain(|measurement| precisions.contains(&measurement.mode.precision));
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(modalities: u32, batch_size: u32) -> Measurement {
        Measurement {
            mode: Mode::full(ModalitySet::from_bits(modalities)),
            batch_size,
            latency: Latency::exactly(Duration::from_millis(5)),
            accuracy: Accuracy { correct: 8, samples: 10 },
            memory_bytes: 0,
        }
    }

    fn profile(measurements: Vec<Measurement>) -> Profile {
        let modalities = vec!["video".into(), "audio".into()];
        Profile { id: "test".into(), model: "toy".into(), modalities, measurements }
    }

    #[test]
    fn a_sound_profile_passes() {
        assert_eq!(profile(vec![measurement(1, 1), measurement(1, 8), measurement(3, 1)]).check(), Ok(()));
    }

    #[test]
    fn every_kind_of_unsound_profile_is_named() {
        let both = Mode::full(ModalitySet::from_bits(3));
        let broken = |change: fn(&mut Measurement)| {
            let mut wrong = measurement(3, 8);
            change(&mut wrong);
            profile(vec![measurement(3, 1), wrong]).check().unwrap_err()
        };
        assert_eq!(profile(vec![]).check(), Err(ProfileError::Empty));
        assert_eq!(broken(|m| m.batch_size = 0), ProfileError::ZeroBatch(both));
        assert_eq!(broken(|m| m.batch_size = 1), ProfileError::Twice(both, 1));
        assert_eq!(broken(|m| m.latency = Latency::exactly(Duration::ZERO)), ProfileError::ZeroLatency(both, 8));
        assert_eq!(
            broken(|m| m.mode.modalities = ModalitySet::EMPTY),
            ProfileError::UnknownModality(ModalitySet::EMPTY)
        );
        assert_eq!(broken(|m| m.accuracy.correct = 9), ProfileError::TwoAccuracies(both));
        let impossible = Accuracy { correct: 11, samples: 10 };
        assert_eq!(broken(|m| m.accuracy.correct = 11), ProfileError::BadAccuracy(both, impossible));
        let stranger = ModalitySet::from_bits(4);
        assert_eq!(broken(|m| m.mode.modalities = ModalitySet::from_bits(4)), ProfileError::UnknownModality(stranger));
    }

    #[test]
    fn a_selection_has_an_accuracy_for_every_precision() {
        let mut reduced = measurement(3, 8);
        reduced.mode.precision = Precision::Bf16;
        reduced.accuracy.correct = 7;
        let profile = profile(vec![measurement(3, 8), reduced]);
        assert_eq!(profile.check(), Ok(()));
        let modes = profile.modes();
        assert_eq!(modes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["{0,1}", "{0,1}@bf16"]);
        assert_eq!([modes[0], modes[1]].map(|mode| profile.accuracy(mode).unwrap().correct), [8, 7]);
        assert_eq!(profile.only(&[Precision::Bf16]).modes(), [modes[1]]);
    }

    #[test]
    fn the_wilson_interval_matches_a_worked_value() {
        // 8 of 10: 0.4902..0.9433 (Newcombe 1998's method 3, computed by hand).
        let (low, high) = Accuracy { correct: 8, samples: 10 }.interval();
        assert!((low - 0.4902).abs() < 1e-3 && (high - 0.9433).abs() < 1e-3, "{low}..{high}");
    }
}
