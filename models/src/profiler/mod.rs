//! Measures a model: every selection of its modalities in every precision at every batch size, on labeled inputs it has
//! never seen.

mod answers;
mod fit;
mod score;
mod settings;
mod worth;

use anyhow::{Result, bail, ensure};
use mosel_core::{ModalitySet, Mode, Precision};

use crate::data::Cut;
use crate::memory::Meter;
use crate::profile_file::{ProfileFile, SelectionRecord};
use crate::{Example, Model, warm_up};
use answers::Answers;

pub use fit::{Fit, Recheck, fits_here};
pub use score::Score;
pub use settings::Settings;

/// How far a measurement is, and what comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Points done of [`Progress::total`].
    pub done: usize,
    /// Points to measure; fewer once some turn out not to be worth it, or not to fit.
    pub total: usize,
    /// `image+text, batches of 8`
    pub next: String,
}

/// Measures everything. Inputs are decoded within the measured time, as they are when served.
///
/// What is left out is said in [`ProfileFile::notes`]: batches that the device has no memory for, and a selection in a
/// reduced precision that is slower than in full precision, at the smallest batch size and at the largest up to 8 (on a
/// GPU at the largest of all, too). Where full precision is not asked for, every precision is measured.
pub fn profile(
    model: &mut dyn Model,
    examples: &[Example],
    cut: &Cut,
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
) -> Result<ProfileFile> {
    ensure!(!examples.is_empty(), "expected labeled examples to measure on, got none");
    ensure!(!settings.batch_sizes.contains(&0), "expected batch sizes of 1 or more, got 0");
    ensure_known(model, &settings.precisions)?;
    let all = Mode::full(ModalitySet::all(model.spec().modalities.len()));
    // a first run loads what is loaded lazily; what is there then is the loaded model
    warm_up(model, &examples[0].request, &[all])?;
    let loaded = Meter::start(model.device());
    let mut run = ProfileRun::new(model, examples, settings, progress);
    for &precision in &settings.precisions {
        run.measure_precision(precision)?;
    }
    run.tell("done".into());
    let ProfileRun { records, notes, .. } = run;
    ensure!(!records.is_empty(), "no batch could be measured: {}", notes.join("; "));
    let memory = (loaded.method(), loaded.start_bytes());
    let file = ProfileFile::new(model.spec(), model.device(), cut, examples.len(), memory, records);
    Ok(ProfileFile { notes, ..file })
}

/// Asks the model for every example's label.
pub fn score(model: &mut dyn Model, examples: &[Example], mode: Mode) -> Result<Score> {
    ensure!(!examples.is_empty(), "expected labeled examples to score on, got none");
    Answers::new(examples, mode).score(model)
}

/// A profile in the making.
struct ProfileRun<'a> {
    model: &'a mut dyn Model,
    examples: &'a [Example],
    settings: &'a Settings,
    progress: &'a mut dyn FnMut(Progress),
    done: usize,
    total: usize,
    records: Vec<SelectionRecord>,
    notes: Vec<String>,
}

impl<'a> ProfileRun<'a> {
    fn new(
        model: &'a mut dyn Model,
        examples: &'a [Example],
        settings: &'a Settings,
        progress: &'a mut dyn FnMut(Progress),
    ) -> ProfileRun<'a> {
        let selections = ModalitySet::selections(model.spec().modalities.len()).count();
        let total = settings.precisions.len() * selections * settings.batch_sizes.len();
        ProfileRun { model, examples, settings, progress, done: 0, total, records: Vec::new(), notes: Vec::new() }
    }

    /// Measures every selection that is worth it in this precision.
    fn measure_precision(&mut self, precision: Precision) -> Result<()> {
        let compared = precision != Precision::Fp32 && self.settings.precisions.contains(&Precision::Fp32);
        for modalities in ModalitySet::selections(self.model.spec().modalities.len()) {
            let mode = Mode { modalities, precision };
            if compared && self.is_left_out(mode)? {
                continue;
            }
            self.measure_mode(mode)?;
        }
        Ok(())
    }

    fn is_left_out(&mut self, mode: Mode) -> Result<bool> {
        self.tell(format!("whether {} is worth it", mode.label(&self.model.spec().modality_names())));
        let sizes = &self.settings.batch_sizes;
        let note = worth::left_out(self.model, self.examples, mode, sizes)?;
        if note.is_some() {
            self.total -= sizes.len();
        }
        self.notes.extend(note.clone());
        Ok(note.is_some())
    }

    /// Measures every batch size that fits into memory, and how often the answers are right.
    fn measure_mode(&mut self, mode: Mode) -> Result<()> {
        let label = mode.label(&self.model.spec().modality_names());
        let (mut answers, mut batches) = (Answers::new(self.examples, mode), Vec::new());
        let mut too_large: Option<u32> = None;
        for &size in &self.settings.batch_sizes {
            if too_large.is_some_and(|too_large| size >= too_large) {
                self.total -= 1;
                continue;
            }
            self.tell(format!("{label}, batches of {size}"));
            match answers.measure(self.model, size, self.settings)? {
                Some(record) => batches.push(record),
                None => too_large = Some(size),
            }
            self.done += 1;
        }
        if let Some(too_large) = too_large {
            self.notes.push(format!("{label}: batches of {too_large} and more are left out: out of memory"));
        }
        if !batches.is_empty() {
            let Score { accuracy, unanswered, .. } = answers.score(self.model)?;
            if unanswered > 0 {
                let samples = accuracy.samples;
                let answers = "what the model gave for them is no answer (NaN or infinite)";
                self.notes.push(format!("{label}: {unanswered} of {samples} examples count as wrong: {answers}"));
            }
            self.records.push(SelectionRecord::new(self.model.spec(), mode, accuracy, batches));
        }
        Ok(())
    }

    fn tell(&mut self, next: String) {
        (self.progress)(Progress { done: self.done, total: self.total, next });
    }
}

/// Fails if one of them is none of the model's.
fn ensure_known(model: &dyn Model, precisions: &[Precision]) -> Result<()> {
    let known = model.precisions();
    if let Some(unknown) = precisions.iter().find(|precision| !known.contains(precision)) {
        let names: Vec<&str> = known.iter().map(|precision| precision.name()).collect();
        bail!("{} computes with {}, {unknown} was asked for", model.spec().name, names.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::watch;
    use crate::device::DeviceFacts;
    use crate::fake::FakeModel;
    use crate::zoo::Task;
    use crate::{BatchAnswers, Input, ModelError, Null, Request, Spec};
    use mosel_core::Accuracy;
    use std::time::{Duration, Instant};

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
        let refused =
            profile(&mut Slow(Null::new(spec())), &examples(), &watch::cut(), &both, &mut |_| ()).unwrap_err();
        let refused = refused.to_string();
        assert_eq!(refused, "watch computes with fp32, bf16 was asked for");
        let mut model = fake(|precision| 900 / (1 + 2 * precision as u64));
        let profile = profile(&mut model, &FakeModel::examples(10), &watch::cut(), &both, &mut |_| ()).unwrap();
        let modes = profile.to_core().unwrap().modes();
        assert_eq!((modes.len(), modes[1].label(&profile.modalities)), (2, "text@bf16".into()));
        assert!(profile.notes.is_empty());
    }

    #[test]
    fn a_precision_that_is_slower_is_left_out_and_the_profile_says_so() {
        let with = |precisions: &[Precision]| Settings { precisions: precisions.into(), ..settings() };
        let mut model = fake(|precision| 100 + 900 * precision as u64);
        let mut steps = Vec::new();
        let mut measure = |precisions: &[Precision]| {
            let settings = with(precisions);
            profile(&mut model, &FakeModel::examples(10), &watch::cut(), &settings, &mut |step| steps.push(step))
        };
        let measured = measure(&[Precision::Fp32, Precision::Fp16]).unwrap();
        assert_eq!(measured.to_core().unwrap().modes().len(), 1);
        assert!(measured.notes[0].starts_with("text@fp16 is left out: it is slower than fp32"), "{measured:?}");
        assert_eq!(ProfileFile::parse(&serde_json::to_string(&measured).unwrap()).unwrap(), measured);
        // asked for alone, it is measured
        let alone = measure(&[Precision::Fp16]).unwrap();
        assert_eq!((alone.selections.len(), alone.notes.len()), (1, 0));
        assert_eq!(steps.last().map(|step| (step.done, step.total)), Some((2, 2)));
    }

    #[test]
    fn answers_that_are_none_count_as_wrong_and_the_profile_says_how_many() {
        let mut examples = FakeModel::examples(10);
        for example in &mut examples[1..4] {
            example.request = Request::new(vec![Input::Text("nan".into())]);
        }
        let profile = profile(&mut fake(|_| 10), &examples, &watch::cut(), &settings(), &mut |_| ()).unwrap();
        assert_eq!((profile.selections[0].accuracy.correct, profile.selections[0].accuracy.samples), (7, 10));
        assert!(profile.notes[0].starts_with("text: 3 of 10 examples count as wrong"), "{:?}", profile.notes);
    }

    #[test]
    fn batches_that_memory_does_not_hold_are_left_out_and_the_profile_says_so() {
        let sizes = Settings { batch_sizes: vec![1, 2, 4, 8], ..settings() };
        let measure = |fits| {
            let mut model = FakeModel { fits, ..fake(|_| 10) };
            profile(&mut model, &FakeModel::examples(10), &watch::cut(), &sizes, &mut |_| ())
        };
        let capped = measure(3).unwrap();
        let measured: Vec<u32> = capped.selections[0].batches.iter().map(|batch| batch.size).collect();
        assert_eq!((measured, capped.selections[0].accuracy.samples), (vec![1, 2], 10));
        assert_eq!(capped.notes, ["text: batches of 4 and more are left out: out of memory"]);
        assert!(measure(8).unwrap().notes.is_empty());
        let refused = format!("{:#}", measure(0).unwrap_err());
        assert!(refused.contains("out of memory"), "{refused}");
    }

    #[test]
    fn a_profile_of_larger_batches_than_memory_holds_does_not_fit() {
        let sizes = Settings { batch_sizes: vec![8], ..settings() };
        let mut model = fake(|_| 10);
        let profiled = profile(&mut model, &FakeModel::examples(10), &watch::cut(), &sizes, &mut |_| ()).unwrap();
        let refused = fits_here(&mut FakeModel { fits: 7, ..model }, &profiled, &FakeModel::examples(10)).unwrap_err();
        assert_eq!(refused.to_string(), "text is out of memory at batch size 8, which the profile has");
    }

    /// Takes so many microseconds a request.
    fn fake(micros: fn(Precision) -> u64) -> FakeModel {
        FakeModel { micros, ..FakeModel::new() }
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
        ) -> Result<BatchAnswers, ModelError> {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            self.0.forward(requests, modalities, precision)
        }
    }
}
