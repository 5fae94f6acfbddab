//! A model that takes the time a profile says, and computes nothing.

use std::time::{Duration, Instant};

use mosel_core::{Accuracy, Measurement, ModalitySet, Mode, Precision, Profile, scale};
use sha2::{Digest, Sha256};

use crate::{BatchAnswers, DeviceFacts, Model, ModelError, Output, OutputFault, Request, Spec, Unanswered};

/// Takes as long as its profile says, times a factor: how wrong the profile is.
///
/// The last 200 microseconds of a batch are spun, because a sleep wakes up to that much late.
/// A batch size that was not measured takes as long as the next larger one, and beyond the largest in proportion.
#[derive(Clone, Debug)]
pub struct Timed {
    spec: Spec,
    device: DeviceFacts,
    profile: Profile,
    precisions: Vec<Precision>,
    factor: f64,
}

const SPIN: Duration = Duration::from_micros(200);

impl Timed {
    /// A model that takes what `spec` says and as long as `profile` says, times `factor`.
    ///
    /// Fails, with the reason, when the profile is unsound or of other modalities than the spec.
    pub fn new(spec: Spec, profile: Profile, factor: f64) -> anyhow::Result<Timed> {
        profile.check()?;
        let names = spec.modality_names();
        anyhow::ensure!(
            profile.modalities == names,
            "expected a profile of the modalities {}, it has {}",
            names.join(", "),
            profile.modalities.join(", ")
        );
        anyhow::ensure!(!spec.labels.is_empty(), "expected a model with at least one label");
        anyhow::ensure!(factor.is_finite() && factor > 0.0, "expected a factor above 0, got {factor}");
        let has = |precision: &Precision| profile.measurements.iter().any(|point| point.mode.precision == *precision);
        let precisions = Precision::ALL.into_iter().filter(has).collect();
        Ok(Timed { spec, device: DeviceFacts::fake("timed"), profile, precisions, factor })
    }

    /// How long a batch of this size takes; `None` for what the profile lacks.
    pub fn duration(&self, mode: Mode, size: usize) -> Option<Duration> {
        let measured = || self.profile.measurements.iter().filter(|measurement| measurement.mode == mode);
        let enough = |measurement: &&Measurement| measurement.batch_size as usize >= size;
        let exact = measured().filter(enough).min_by_key(|measurement| measurement.batch_size);
        let nearest = exact.or_else(|| measured().max_by_key(|measurement| measurement.batch_size))?;
        let beyond = (size as f64 / f64::from(nearest.batch_size)).max(1.0);
        Some(scale(nearest.latency.mean, self.factor * beyond))
    }

    /// The answer to a request: a hash of its selected inputs picks the label, so it is the same every time.
    fn answer(&self, request: &Request, mode: Mode) -> Result<Output, OutputFault> {
        let mut hash = Sha256::new();
        for index in mode.modalities.iter() {
            request.inputs()[index].for_each_part(|part| hash.update(part));
        }
        let label = hash.finalize()[0] as usize % self.spec.labels.len();
        let accuracy = self.profile.accuracy(mode).map_or(0.0, Accuracy::mean);
        self.spec.output(label, accuracy as f32)
    }
}

impl Model for Timed {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.device
    }

    fn precisions(&self) -> &[Precision] {
        &self.precisions
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<BatchAnswers, ModelError> {
        let start = Instant::now();
        self.spec.check_batch(requests, modalities)?;
        if requests.is_empty() {
            return Ok(BatchAnswers::default());
        }
        let mode = Mode { modalities, precision };
        let unmeasured = || ModelError::Backend(format!("the profile has no measurement of selection {mode}"));
        let duration = self.duration(mode, requests.len()).ok_or_else(unmeasured)?;
        let answer = |request: &&Request| self.answer(request, mode).map_err(Unanswered::from);
        let answers = requests.iter().map(answer).collect();
        sleep_until(start + duration);
        Ok(BatchAnswers { answers, prepare: Duration::ZERO })
    }
}

fn sleep_until(end: Instant) {
    std::thread::sleep(end.saturating_duration_since(Instant::now()).saturating_sub(SPIN));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, InputKind, Modality};
    use mosel_core::Latency;

    fn spec() -> Spec {
        let modalities = vec![Modality::new("text", InputKind::Text { max_bytes: 9 })];
        let labels: Vec<String> = ["a", "b", "c"].map(String::from).into();
        Spec { name: "toy".into(), modalities, labels: labels.into(), weights_sha256: String::new() }
    }

    fn profile() -> Profile {
        let measurement = |batch_size: u32| Measurement {
            mode: Mode::full(ModalitySet::all(1)),
            batch_size,
            latency: Latency::exactly(Duration::from_micros(u64::from(batch_size) * 500)),
            accuracy: Accuracy { correct: 3, samples: 4 },
            memory_bytes: 0,
        };
        let measurements = vec![measurement(8), measurement(2)];
        Profile { id: "p".into(), model: "toy".into(), modalities: vec!["text".into()], measurements }
    }

    #[test]
    fn sizes_between_and_beyond_the_measured_ones_have_a_time() {
        let timed = Timed::new(spec(), profile(), 2.0).unwrap();
        let micros = |size| timed.duration(Mode::full(ModalitySet::all(1)), size).unwrap().as_micros();
        assert_eq!([1, 2, 3, 8, 16].map(micros), [2000, 2000, 8000, 8000, 16_000]);
        assert_eq!(timed.duration(Mode::full(ModalitySet::from_bits(2)), 1), None);
    }

    #[test]
    fn a_batch_takes_its_time_and_answers_the_same_twice() {
        let mut timed = Timed::new(spec(), profile(), 1.0).unwrap();
        let request = Request::new(vec![Input::Text("x".into())]);
        let start = Instant::now();
        let first = timed.forward(&[&request], ModalitySet::all(1), Precision::Fp32).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(1), "{:?}", start.elapsed());
        assert_eq!(first, timed.forward(&[&request], ModalitySet::all(1), Precision::Fp32).unwrap());
        assert_eq!(first.answers[0].as_ref().unwrap().probability, 0.75);
    }

    #[test]
    fn a_profile_of_other_modalities_is_refused() {
        let mut other = profile();
        other.modalities = vec!["audio".into()];
        let refusal = Timed::new(spec(), other, 1.0).unwrap_err().to_string();
        assert_eq!(refusal, "expected a profile of the modalities text, it has audio");
        assert!(Timed::new(spec(), profile(), 0.0).is_err());
    }
}
