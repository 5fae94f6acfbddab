//! Measures a model: every selection of its modalities at every batch size, on labelled inputs it has never seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mosel_core::{Accuracy, ModalitySet, Mode, Precision};

use crate::data::Cut;
use crate::memory::{self, Meter};
use crate::profile_file::{BatchRecord, LatencyRecord, ProfileFile, SelectionRecord};
use crate::{Example, Model, Request};

/// How much to measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What to compute with; every selection is measured with each.
    pub precisions: Vec<Precision>,
    /// Requests in a batch; every selection is measured at each.
    pub batch_sizes: Vec<u32>,
    /// Runs before the clock counts.
    pub warm_up: u32,
    /// Runs of a point at least.
    pub min_runs: u32,
    /// Runs of a point at most.
    pub max_runs: u32,
    /// A point is done after this long, if it has its runs.
    pub time_per_point: Duration,
}

impl Default for Settings {
    /// About a minute for two modalities of a few milliseconds a request.
    fn default() -> Settings {
        Settings {
            precisions: vec![Precision::Fp32],
            batch_sizes: vec![1, 2, 4, 8, 16, 32],
            warm_up: 3,
            min_runs: 30,
            max_runs: 200,
            time_per_point: Duration::from_secs(2),
        }
    }
}

/// How far a measurement is, and what comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Points done of [`Progress::total`].
    pub done: usize,
    /// Points to measure.
    pub total: usize,
    /// `image+text, batches of 8`
    pub next: String,
}

/// How often a model is right on a selection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// What it answered on, and with which numbers.
    pub mode: Mode,
    /// Right answers among the examples.
    pub accuracy: Accuracy,
    /// Mean over the labels of the share of their examples that were right: large labels count no more than small.
    pub mean_recall: f64,
}

/// One point of a profile measured again.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// `image+text`
    pub selection: String,
    /// Requests in the batch.
    pub batch_size: u32,
    /// Median the profile says.
    pub profiled: Duration,
    /// Median of a few runs now.
    pub measured: Duration,
}

/// Whether a profile made elsewhere fits this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The points that were measured again.
    pub points: Vec<Recheck>,
}

const SCORED_AT_ONCE: usize = 16;

/// Measures everything. Inputs are decoded within the measured time, as they are when served.
pub fn profile(
    model: &mut dyn Model,
    examples: &[Example],
    cut: &Cut,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<ProfileFile> {
    ensure!(!examples.is_empty(), "expected labelled examples to measure on, none came");
    ensure!(!settings.batch_sizes.contains(&0), "expected batch sizes of 1 or more, 0 came");
    let spec = model.spec().clone();
    let modes = modes(model, &settings.precisions)?;
    let total = modes.len() * settings.batch_sizes.len();
    // a first run loads what is loaded lazily; what is resident then is the loaded model
    let all = Mode::full(ModalitySet::all(spec.modalities.len()));
    measure(model, examples, all, 1, &Settings { min_runs: 1, ..quick() })?;
    let meter = Meter::start(&model.device().name);
    let loaded_bytes = memory::resident_bytes();
    let mut records = Vec::new();
    for (row, &mode) in modes.iter().enumerate() {
        let label = mode.label(&spec.modality_names());
        let mut batches = Vec::new();
        for (column, &size) in settings.batch_sizes.iter().enumerate() {
            let done = row * settings.batch_sizes.len() + column;
            progress(Progress { done, total, next: format!("{label}, batches of {size}") });
            batches.push(measure(model, examples, mode, size, settings)?);
        }
        let accuracy = score(model, examples, mode)?.accuracy;
        records.push(SelectionRecord::new(&spec, mode, accuracy, batches));
    }
    progress(Progress { done: total, total, next: "done".into() });
    Ok(ProfileFile::new(&spec, model.device(), cut, examples.len(), (meter.method(), loaded_bytes), records))
}

/// Asks the model for every example's label.
pub fn score(model: &mut dyn Model, examples: &[Example], mode: Mode) -> Result<Score> {
    ensure!(!examples.is_empty(), "expected labelled examples to score on, none came");
    let mut by_label = vec![(0u32, 0u32); model.spec().labels.len()];
    for chunk in examples.chunks(SCORED_AT_ONCE) {
        let requests: Vec<&Request> = chunk.iter().map(|example| &example.request).collect();
        for (example, answer) in chunk.iter().zip(model.forward(&requests, mode.modalities, mode.precision)?) {
            let output = answer.with_context(|| format!("example {}", example.name))?;
            let (correct, samples) = &mut by_label[example.label];
            *samples += 1;
            *correct += u32::from(output.label == example.label);
        }
    }
    let seen: Vec<(u32, u32)> = by_label.into_iter().filter(|&(_, samples)| samples > 0).collect();
    let recall: f64 = seen.iter().map(|&(correct, samples)| f64::from(correct) / f64::from(samples)).sum();
    let accuracy = Accuracy {
        correct: seen.iter().map(|&(correct, _)| correct).sum(),
        samples: seen.iter().map(|&(_, samples)| samples).sum(),
    };
    Ok(Score { mode, accuracy, mean_recall: recall / seen.len() as f64 })
}

/// Measures a few points of a profile again: a few seconds.
pub fn fits_here(model: &mut dyn Model, profile: &ProfileFile, examples: &[Example]) -> Result<Fit> {
    ensure!(!examples.is_empty(), "expected examples to measure on, none came");
    profile.check_model(model.spec())?;
    let names: Vec<String> = profile.modalities.clone();
    let mut points = Vec::new();
    for record in &profile.selections {
        let mode = record.mode(&names)?;
        let sizes: Vec<u32> =
            record.batches.iter().map(|batch| batch.size).filter(|size| [1, 8].contains(size)).collect();
        let sizes = if sizes.is_empty() { vec![record.batches[0].size] } else { sizes };
        for batch in record.batches.iter().filter(|batch| sizes.contains(&batch.size)) {
            let now = measure(model, examples, mode, batch.size, &quick())?;
            points.push(Recheck {
                selection: mode.label(&names),
                batch_size: batch.size,
                profiled: Duration::from_micros(batch.latency_us.median),
                measured: Duration::from_micros(now.latency_us.median),
            });
        }
    }
    if points.is_empty() {
        bail!("expected a profile with points to measure again, it has none")
    }
    Ok(Fit { points })
}

impl Recheck {
    /// Measured over profiled: above 1, this machine is slower.
    pub fn ratio(&self) -> f64 {
        self.measured.as_secs_f64() / self.profiled.as_secs_f64().max(1e-6)
    }
}

impl Fit {
    /// How a batch here compares with the profile: the median of the points. Above 1, this machine is slower.
    pub fn ratio(&self) -> f64 {
        let mut ratios: Vec<f64> = self.points.iter().map(Recheck::ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    /// No point is off by more than this factor in either direction.
    pub fn is_within(&self, factor: f64) -> bool {
        self.points.iter().all(|point| (1.0 / factor..=factor).contains(&point.ratio()))
    }

    /// The points keep their proportions, whatever the ratio: scaling the profile by it will do.
    pub fn is_proportional(&self, factor: f64) -> bool {
        let ratio = self.ratio();
        self.points.iter().all(|point| (ratio / factor..=ratio * factor).contains(&point.ratio()))
    }
}

/// Every selection with every precision: all of the first, then all of the next.
fn modes(model: &dyn Model, precisions: &[Precision]) -> Result<Vec<Mode>> {
    let known = model.precisions();
    if let Some(unknown) = precisions.iter().find(|precision| !known.contains(precision)) {
        let names: Vec<&str> = known.iter().map(|precision| precision.name()).collect();
        bail!("{} computes with {}, {unknown} was asked for", model.spec().name, names.join(", "));
    }
    let count = model.spec().modalities.len();
    let of =
        |&precision: &Precision| ModalitySet::selections(count).map(move |modalities| Mode { modalities, precision });
    Ok(precisions.iter().flat_map(of).collect())
}

/// What a recheck runs: enough for a median.
fn quick() -> Settings {
    Settings {
        warm_up: 1,
        min_runs: 5,
        max_runs: 20,
        time_per_point: Duration::from_millis(200),
        ..Settings::default()
    }
}

/// Runs batches of one size on one selection, each on the next examples, round and round.
fn measure(
    model: &mut dyn Model,
    examples: &[Example],
    mode: Mode,
    size: u32,
    settings: &Settings,
) -> Result<BatchRecord> {
    let mut next = examples.iter().map(|example| &example.request).cycle();
    let mut run = |model: &mut dyn Model| -> Result<Duration> {
        let requests: Vec<&Request> = next.by_ref().take(size as usize).collect();
        let start = Instant::now();
        let answers = model.forward(&requests, mode.modalities, mode.precision)?;
        let took = start.elapsed();
        answers.into_iter().collect::<Result<Vec<_>, _>>().context("a held-out example is not a sound input")?;
        Ok(took)
    };
    let meter = Meter::start(&model.device().name);
    for _ in 0..settings.warm_up {
        run(model)?;
    }
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < settings.max_runs as usize
        && (times.len() < settings.min_runs as usize || start.elapsed() < settings.time_per_point)
    {
        times.push(run(model)?);
    }
    Ok(BatchRecord { size, latency_us: LatencyRecord::of(times), memory_bytes: meter.peak_bytes() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::watch;
    use crate::device::DeviceFacts;
    use crate::zoo::Task;
    use crate::{Input, InputError, ModelError, Null, Output, Spec};

    fn spec() -> Spec {
        Task::Watch.spec_with("abc")
    }

    fn examples() -> Vec<Example> {
        let input = || Input::Samples(vec![0.0; watch::WINDOW * watch::AXES].into());
        let example =
            |label| Example { request: Request::new(vec![input(), input()]), label, name: format!("e{label}") };
        vec![example(0), example(0), example(0), example(1)]
    }

    fn settings() -> Settings {
        Settings { batch_sizes: vec![1, 4], min_runs: 3, max_runs: 3, ..Settings::default() }
    }

    #[test]
    fn every_selection_is_measured_at_every_batch_size() {
        let mut model = Slow(Null::new(spec()));
        let mut steps = Vec::new();
        let profile =
            profile(&mut model, &examples(), &watch::cut(), &settings(), &mut |step| steps.push(step.next)).unwrap();
        assert_eq!(steps.len(), 7);
        assert_eq!(steps[1], "accelerometer, batches of 4");
        let core = profile.to_core().unwrap();
        assert_eq!(core.measurements.len(), 6);
        assert!(core.measurements.iter().all(|point| point.latency.median >= Duration::from_millis(1)));
        // the model answers label 0: three of four are right
        assert_eq!(core.accuracy(Mode::full(ModalitySet::all(2))), Some(Accuracy { correct: 3, samples: 4 }));
    }

    #[test]
    fn every_precision_that_is_asked_for_is_measured_and_no_other() {
        let both = Settings { precisions: vec![Precision::Fp32, Precision::Bf16], ..settings() };
        let profile = |model: &mut dyn Model| profile(model, &examples(), &watch::cut(), &both, &mut |_| ());
        let refused = profile(&mut Slow(Null::new(spec()))).unwrap_err().to_string();
        assert_eq!(refused, "watch computes with fp32, bf16 was asked for");
        let profile = profile(&mut Null::new(spec())).unwrap();
        let modes = profile.to_core().unwrap().modes();
        assert_eq!((modes.len(), modes[5].label(&profile.modalities)), (6, "accelerometer+gyroscope@bf16".into()));
    }

    #[test]
    fn recall_counts_every_label_alike() {
        let score = score(&mut Null::new(spec()), &examples(), Mode::full(ModalitySet::all(2))).unwrap();
        assert_eq!(score.mean_recall, 0.5);
    }

    #[test]
    fn a_slower_machine_shows_in_the_ratio() {
        let mut model = Slow(Null::new(spec()));
        let mut fast = profile(&mut model, &examples(), &watch::cut(), &settings(), &mut |_| ()).unwrap();
        for batch in fast.selections.iter_mut().flat_map(|selection| &mut selection.batches) {
            batch.latency_us.median = 250;
        }
        let fit = fits_here(&mut model, &fast, &examples()).unwrap();
        assert!(fit.ratio() >= 4.0, "{fit:?}");
        assert!(!fit.is_within(2.0));
        fast.weights_sha256 = "other".into();
        assert!(fits_here(&mut model, &fast, &examples()).unwrap_err().to_string().contains("weights"));
    }

    /// A millisecond a batch, whatever the machine: spun, so that the test does not depend on timers.
    struct Slow(Null);

    impl Model for Slow {
        fn spec(&self) -> &Spec {
            self.0.spec()
        }

        fn device(&self) -> &DeviceFacts {
            self.0.device()
        }

        fn forward(
            &mut self,
            requests: &[&Request],
            modalities: ModalitySet,
            precision: Precision,
        ) -> Result<Vec<Result<Output, InputError>>, ModelError> {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            self.0.forward(requests, modalities, precision)
        }
    }
}
