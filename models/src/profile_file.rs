//! The profile as a file: versioned JSON that says what was measured, on what, with which weights and which data.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mosel_core::{Accuracy, Latency, Measurement, ModalitySet, Mode, Precision, Profile};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::Cut;
use crate::files;
use crate::{DeviceFacts, Spec};

/// The only format this version reads and writes.
pub const FORMAT: &str = "mosel-profile/1";

/// A profile with where it comes from. Fields that are not known are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// [`FORMAT`].
    pub format: String,
    /// The model's name.
    pub model: String,
    /// Its modalities; their order is the order of bits in a [`ModalitySet`].
    pub modalities: Vec<String>,
    /// SHA-256 of its trained weights, in hex.
    pub weights_sha256: String,
    /// When it was measured, in UTC (RFC 3339).
    pub date: String,
    /// What it was measured on.
    pub device: DeviceRecord,
    /// The labeled inputs it was measured with.
    pub data: DataRecord,
    /// How memory was measured.
    pub memory: MemoryRecord,
    /// Times were not measured but multiplied by this, from those measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_by: Option<f64>,
    /// What was left out and why: sizes that memory did not hold, selections that are slower in a reduced
    /// precision than in the full one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// One for every selection of modalities and every precision.
    pub selections: Vec<SelectionRecord>,
}

/// What a profile was measured on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// `cpu`, `cuda:0`
    pub name: String,
    /// The processor's name.
    pub processor: String,
    /// Threads that computed one batch.
    pub threads: u32,
    /// Versions of what computed.
    pub libraries: BTreeMap<String, String>,
}

/// What a profile was measured with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecord {
    /// How the data was cut, in words.
    pub cut: String,
    /// What the cut was drawn with.
    pub seed: u64,
    /// Examples in the profiled part.
    pub samples: usize,
}

/// How memory was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRecord {
    /// In words.
    pub method: String,
    /// Resident memory of the process with the model loaded and idle.
    pub loaded_bytes: u64,
}

/// Everything measured about one selection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectionRecord {
    /// Names of the selected modalities.
    pub modalities: Vec<String>,
    /// What was computed with: `fp32`, which is not written, `bf16` or `fp16`.
    #[serde(default = "full", skip_serializing_if = "is_full")]
    pub precision: String,
    /// How often the answers were right.
    pub accuracy: AccuracyRecord,
    /// One for every batch size.
    pub batches: Vec<BatchRecord>,
}

/// Right answers, with what follows from them for people who read the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyRecord {
    /// Right answers.
    pub correct: u32,
    /// Labelled samples tried.
    pub samples: u32,
    /// Their ratio.
    pub mean: f64,
    /// Lower end of the 95 % Wilson interval.
    pub low: f64,
    /// Upper end of the 95 % Wilson interval.
    pub high: f64,
}

/// Everything measured about one selection at one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRecord {
    /// Requests in the batch.
    pub size: u32,
    /// Time of one batch, decoding included.
    pub latency_us: LatencyRecord,
    /// Peak beyond the loaded model; 0 if unknown.
    pub memory_bytes: u64,
}

/// The distribution of a batch's time, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyRecord {
    /// Sum over runs divided by runs.
    pub mean: u64,
    /// Half of the runs were faster.
    pub median: u64,
    /// 95 % of the runs were faster; with fewer than 20 runs, the slowest.
    pub p95: u64,
    /// 99 % of the runs were faster; with fewer than 100 runs, the slowest.
    pub p99: u64,
    /// Runs measured.
    pub runs: u32,
}

impl ProfileFile {
    /// A profile measured now; `memory` is how it was measured and what the loaded model takes.
    pub(crate) fn new(
        spec: &Spec,
        device: &DeviceFacts,
        cut: &Cut,
        samples: usize,
        memory: (&str, u64),
        selections: Vec<SelectionRecord>,
    ) -> ProfileFile {
        let mut libraries = device.libraries.clone();
        libraries.insert("mosel".into(), env!("CARGO_PKG_VERSION").into());
        ProfileFile {
            format: FORMAT.into(),
            model: spec.name.clone(),
            modalities: spec.modality_names().into_iter().map(String::from).collect(),
            weights_sha256: spec.weights_sha256.clone(),
            date: now(),
            device: DeviceRecord {
                name: device.name.clone(),
                processor: device.processor.clone(),
                threads: device.threads,
                libraries,
            },
            data: DataRecord { cut: cut.description.clone(), seed: cut.seed, samples },
            memory: MemoryRecord { method: memory.0.into(), loaded_bytes: memory.1 },
            scaled_by: None,
            notes: Vec::new(),
            selections,
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<ProfileFile> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        ProfileFile::parse(&text).with_context(|| format!("{} is not a usable profile", path.display()))
    }

    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<ProfileFile> {
        check_format(text)?;
        let file: ProfileFile = serde_json::from_str(text)?;
        file.to_core()?;
        file.selections.iter().try_for_each(SelectionRecord::check_derived)?;
        Ok(file)
    }

    /// Writes the file, renamed into place.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_whole(path, (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }

    /// The first 12 hex digits of the content's SHA-256: an edited profile is another profile.
    pub fn id(&self) -> String {
        let content = serde_json::to_vec(self).expect("a profile has only text keys and plain numbers");
        hex::encode(&Sha256::digest(content)[..6])
    }

    /// Fails unless this is a profile of exactly this model, weights included.
    pub fn check_model(&self, spec: &Spec) -> Result<()> {
        let names = spec.modality_names();
        ensure!(self.model == spec.name, "expected a profile of model {}, it is of {}", spec.name, self.model);
        ensure!(self.modalities == names, "expected a profile of {names:?}, it is of {:?}", self.modalities);
        ensure!(
            self.weights_sha256 == spec.weights_sha256,
            "expected a profile of the weights {:.12}, it is of {:.12}: run `mosel profile {}` again",
            spec.weights_sha256,
            self.weights_sha256,
            self.model
        );
        Ok(())
    }

    /// The same profile without what was measured in other precisions; `None` if nothing remains.
    pub fn only(&self, precision: Precision) -> Option<ProfileFile> {
        let mut only = self.clone();
        only.selections.retain(|selection| selection.precision == precision.name());
        (!only.selections.is_empty()).then_some(only)
    }

    /// The same profile for a machine that takes `factor` times as long.
    pub fn scaled(&self, factor: f64) -> ProfileFile {
        let scale = |micros: u64| (micros as f64 * factor).round() as u64;
        let mut scaled = self.clone();
        scaled.scaled_by = Some(self.scaled_by.unwrap_or(1.0) * factor);
        for batch in scaled.selections.iter_mut().flat_map(|selection| &mut selection.batches) {
            let LatencyRecord { mean, median, p95, p99, runs } = batch.latency_us;
            batch.latency_us =
                LatencyRecord { mean: scale(mean), median: scale(median), p95: scale(p95), p99: scale(p99), runs };
        }
        scaled
    }

    /// What the core works with.
    pub fn to_core(&self) -> Result<Profile> {
        let mut measurements = Vec::new();
        for record in &self.selections {
            let mode = record.mode(&self.modalities)?;
            let accuracy = Accuracy { correct: record.accuracy.correct, samples: record.accuracy.samples };
            measurements.extend(record.batches.iter().map(|batch| Measurement {
                mode,
                batch_size: batch.size,
                latency: batch.latency_us.to_core(),
                accuracy,
                memory_bytes: batch.memory_bytes,
            }));
        }
        let modalities = self.modalities.clone();
        let profile = Profile { id: self.id(), model: self.model.clone(), modalities, measurements };
        profile.check()?;
        Ok(profile)
    }
}

impl SelectionRecord {
    /// What was measured about a selection of this model.
    pub(crate) fn new(spec: &Spec, mode: Mode, accuracy: Accuracy, batches: Vec<BatchRecord>) -> Self {
        let modalities = mode.modalities.iter().map(|index| spec.modalities[index].name.clone()).collect();
        let precision = mode.precision.name().into();
        SelectionRecord { modalities, precision, accuracy: AccuracyRecord::of(accuracy), batches }
    }

    /// As people read it: `image+text`, `image+text@bf16`.
    pub fn label(&self) -> String {
        let modalities = self.modalities.join("+");
        if is_full(&self.precision) { modalities } else { format!("{modalities}@{}", self.precision) }
    }

    /// The selection as a set, given the model's modalities, and the precision.
    pub fn mode(&self, modalities: &[String]) -> Result<Mode> {
        Ok(Mode { modalities: self.selection(modalities)?, precision: self.precision.parse()? })
    }

    /// The selection as a set, given the model's modalities.
    pub fn selection(&self, modalities: &[String]) -> Result<ModalitySet> {
        let mut bits = 0;
        for name in &self.modalities {
            match modalities.iter().position(|other| other == name) {
                Some(index) if bits & (1 << index) == 0 => bits |= 1 << index,
                _ => bail!("expected each selected modality once and one of {modalities:?}, got {name:?}"),
            }
        }
        Ok(ModalitySet::from_bits(bits))
    }

    fn check_derived(&self) -> Result<()> {
        let AccuracyRecord { correct, samples, .. } = self.accuracy;
        let derived = AccuracyRecord::of(Accuracy { correct, samples });
        ensure!(
            derived == self.accuracy,
            "{correct} of {samples} correct is a mean of {} in {}..{}, the file says {} in {}..{}",
            derived.mean,
            derived.low,
            derived.high,
            self.accuracy.mean,
            self.accuracy.low,
            self.accuracy.high
        );
        Ok(())
    }
}

impl AccuracyRecord {
    fn of(accuracy: Accuracy) -> AccuracyRecord {
        let rounded = |share: f64| (share * 1e4).round() / 1e4;
        let (low, high) = accuracy.interval();
        AccuracyRecord {
            correct: accuracy.correct,
            samples: accuracy.samples,
            mean: rounded(accuracy.mean()),
            low: rounded(low),
            high: rounded(high),
        }
    }
}

impl LatencyRecord {
    /// The distribution of these runs; there is at least one.
    pub(crate) fn of(mut runs: Vec<Duration>) -> LatencyRecord {
        runs.sort();
        let micros = |run: Duration| u64::try_from(run.as_micros()).unwrap_or(u64::MAX);
        // nearest rank: the smallest run that this share of the runs does not exceed
        let rank = |share: f64| micros(runs[((runs.len() as f64 * share).ceil() as usize).clamp(1, runs.len()) - 1]);
        LatencyRecord {
            mean: micros(runs.iter().sum::<Duration>() / runs.len() as u32),
            median: rank(0.5),
            p95: rank(0.95),
            p99: rank(0.99),
            runs: runs.len() as u32,
        }
    }

    fn to_core(self) -> Latency {
        let time = Duration::from_micros;
        Latency { mean: time(self.mean), median: time(self.median), p95: time(self.p95), p99: time(self.p99) }
    }
}

fn full() -> String {
    Precision::Fp32.name().into()
}

fn is_full(precision: &str) -> bool {
    precision == Precision::Fp32.name()
}

fn check_format(text: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
    }
    let head: Head = serde_json::from_str(text).with_context(|| format!("expected JSON with format {FORMAT:?}"))?;
    ensure!(head.format == FORMAT, "expected format {FORMAT:?}, got {:?}", head.format);
    Ok(())
}

fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::Task;

    fn file() -> ProfileFile {
        let spec = Task::Watch.spec_with("abc");
        let latency = LatencyRecord { mean: 1500, median: 1400, p95: 2000, p99: 2100, runs: 30 };
        let batch = BatchRecord { size: 4, latency_us: latency, memory_bytes: 1 << 20 };
        let accuracy = Accuracy { correct: 8, samples: 10 };
        let record =
            |bits| SelectionRecord::new(&spec, Mode::full(ModalitySet::from_bits(bits)), accuracy, vec![batch]);
        let device = DeviceFacts { name: "cpu".into(), threads: 1, ..DeviceFacts::default() };
        let selections = vec![record(1), record(2), record(3)];
        ProfileFile::new(&spec, &device, &crate::data::watch::cut(), 10, ("by hand", 0), selections)
    }

    fn text(file: &ProfileFile) -> String {
        serde_json::to_string(file).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_keeps_its_id() {
        let file = file();
        let read = ProfileFile::parse(&text(&file)).unwrap();
        assert_eq!((&read, read.id()), (&file, file.id()));
        assert_eq!(file.to_core().unwrap().id, file.id());
        let mut other = file.clone();
        other.selections[0].batches[0].latency_us.p99 += 1;
        assert_ne!(other.id(), file.id());
    }

    #[test]
    fn other_formats_unknown_fields_and_contradictions_are_refused() {
        let refusal = |text: &str| format!("{:#}", ProfileFile::parse(text).unwrap_err());
        let sound = text(&file());
        let changed = |from: &str, to: &str| {
            let changed = sound.replacen(from, to, 1);
            assert_ne!(changed, sound, "{from} is not in the file");
            refusal(&changed)
        };
        let other = changed("mosel-profile/1", "mosel-profile/9");
        assert_eq!(other, r#"expected format "mosel-profile/1", got "mosel-profile/9""#);
        assert!(refusal("{}").starts_with(r#"expected JSON with format "mosel-profile/1""#));
        assert!(changed(r#""model":"#, r#""color":1,"model":"#).contains("unknown field `color`"));
        assert!(changed(r#""correct":8"#, r#""correct":9"#).contains("9 of 10 correct is a mean of 0.9"));
        assert!(changed(r#""correct":8"#, r#""correct":11"#).contains("11 correct of 10 samples"));
        assert!(changed(r#""mean":0.8"#, r#""mean":0.9"#).contains("the file says 0.9"));
        assert!(changed(r#"["gyroscope"]"#, r#"["smell"]"#).contains(r#"got "smell""#));
        assert!(changed(r#""size":4"#, r#""size":0"#).contains("batch size 0"));
    }

    #[test]
    fn a_reduced_precision_is_written_and_a_full_one_is_not() {
        let mut file = file();
        assert!(!text(&file).contains("precision"));
        file.selections[2].precision = "bf16".into();
        let read = ProfileFile::parse(&text(&file)).unwrap();
        let mode = read.to_core().unwrap().modes()[2];
        assert_eq!((mode.modalities, mode.precision), (ModalitySet::all(2), Precision::Bf16));
        assert_eq!(file.only(Precision::Bf16).unwrap().selections, file.selections[2..]);
        assert_eq!((file.only(Precision::Fp32).unwrap().selections.len(), file.only(Precision::Fp16)), (2, None));
        file.selections[2].precision = "int8".into();
        let refusal = ProfileFile::parse(&text(&file)).unwrap_err().to_string();
        assert_eq!(refusal, r#"expected a precision fp32, bf16 or fp16, got "int8""#);
    }

    #[test]
    fn a_profile_of_other_weights_is_refused() {
        let file = file();
        file.check_model(&Task::Watch.spec_with("abc")).unwrap();
        let refusal = file.check_model(&Task::Watch.spec_with("def")).unwrap_err().to_string();
        assert!(refusal.contains("weights def, it is of abc"), "{refusal}");
        assert!(file.check_model(&Task::Emoji.spec_with("abc")).is_err());
    }

    #[test]
    fn a_slower_machine_scales_every_time_and_says_so() {
        let scaled = file().scaled(2.0).scaled(1.5);
        assert_eq!(scaled.scaled_by, Some(3.0));
        assert_eq!(scaled.selections[0].batches[0].latency_us.p95, 6000);
        assert_eq!(ProfileFile::parse(&text(&scaled)).unwrap(), scaled);
    }

    #[test]
    fn percentiles_are_runs_that_happened() {
        let latency = LatencyRecord::of((1..=100).rev().map(Duration::from_micros).collect());
        assert_eq!((latency.median, latency.p95, latency.p99, latency.mean), (50, 95, 99, 50));
        let lone = LatencyRecord::of(vec![Duration::from_micros(7)]);
        assert_eq!((lone.median, lone.p95, lone.p99, lone.runs), (7, 7, 7, 1));
    }
}
