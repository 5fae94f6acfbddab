//! The paper's networks at their full size, written from their papers, and checkpoints of them as others publish them.
//!
//! Parameters have the published names, so a published file is read as it is. Each network's answers are compared with
//! those of the published implementation on every subset of its modalities: see `parity.rs` and models/parity.

mod config;
mod conv;
mod encoder;
mod inception;
#[cfg(test)]
mod parity;
mod pixels;
mod tbn;
mod tbn_inputs;
mod tvlt;
mod tvlt_inputs;
mod vilt;
mod vilt_inputs;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tch::nn::VarStore;
use tch::{Device, Kind};

pub use config::Architecture;
use config::{Common, TbnConfig, TvltConfig, ViltConfig};
use tbn::Tbn;
use tbn_inputs::TbnInputs;
use tvlt::Tvlt;
use tvlt_inputs::{TvltInputs, TvltPreprocessor};
use vilt::Vilt;
use vilt_inputs::{ViltInputs, ViltPreprocessor};
use words::Words;

use super::device;
use super::fit::{seeded, weights_of};
use super::layers::Source;
use super::model::{Inputs, NetworkModel};
use super::precise::Precise;
use super::weights::Weights;
use mosel_models::{DeviceChoice, DeviceFacts, Modality, Model, Spec, files};

/// Reads a checkpoint as it is published: a folder with config.json and a file of weights, safetensors or PyTorch's.
///
/// `model_type` in config.json says which network it is: `tvlt` and `vilt` as transformers writes them (with
/// preprocessor_config.json and, for ViLT, tokenizer.json or vocab.txt beside it), or `tbn`, described in `config.rs`.
/// The model is called as the folder is. Takes a second for half a gigabyte that was read before.
pub fn open(folder: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let context = || format!("loading the checkpoint in {}", folder.display());
    let checkpoint = Checkpoint::published(folder).with_context(context)?;
    checkpoint.load(device, |device| Weights::read(&weights_path(folder)?, device)).with_context(context)
}

/// What the checkpoint in this folder expects and answers; its weights are hashed, not loaded.
pub fn spec(folder: &Path) -> Result<Spec> {
    let context = || format!("reading the checkpoint in {}", folder.display());
    let checkpoint = Checkpoint::published(folder).with_context(context)?;
    let hash = weights_path(folder).and_then(|path| files::sha256(&path)).with_context(context)?;
    let modalities = checkpoint.modalities().with_context(context)?;
    let Checkpoint { name, labels, .. } = checkpoint;
    Ok(Spec { name, modalities, labels, weights_sha256: hex::encode(hash) })
}

/// Numbers in the checkpoint's weights.
pub(crate) fn parameters(folder: &Path) -> Result<u64> {
    let path = weights_path(folder)?;
    if path.extension().is_some_and(|end| end == "safetensors") {
        return files::parameters(&path);
    }
    Weights::read(&path, Device::Cpu)?.parameters()
}

/// A network of the published size whose weights are drawn at random: as fast and as large as a trained one, and as
/// good as a guess. Its name says so: `tvlt-random-7`. For measuring time and memory.
pub fn random(architecture: Architecture, seed: u64, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let checkpoint = Checkpoint::random(architecture, seed)?;
    checkpoint.load(device, |device| checkpoint.draw(seed, device))
}

/// A network, its sizes and what it says; everything but the weights.
struct Checkpoint {
    name: String,
    labels: Arc<[String]>,
    sizes: Sizes,
}

/// What one network needs to know.
enum Sizes {
    Tvlt(TvltConfig, TvltPreprocessor),
    /// Where its tokenizer is; `None` if words mean nothing.
    Vilt(ViltConfig, ViltPreprocessor, Option<PathBuf>),
    Tbn(TbnConfig),
}

impl Checkpoint {
    fn published(folder: &Path) -> Result<Checkpoint> {
        let path = folder.join("config.json");
        let common: Common = config::read(&path)?;
        let sizes = match common.architecture()? {
            Architecture::Tvlt => Sizes::Tvlt(config::read::<TvltConfig>(&path)?.check()?, preprocessor(folder)?),
            Architecture::Vilt => {
                let config = config::read::<ViltConfig>(&path)?.check()?;
                Sizes::Vilt(config, preprocessor(folder)?, Some(folder.to_owned()))
            }
            Architecture::Tbn => Sizes::Tbn(config::read::<TbnConfig>(&path)?.check()?),
        };
        let name =
            folder.canonicalize()?.file_name().map_or("checkpoint".into(), |name| name.to_string_lossy().into_owned());
        Ok(Checkpoint { name, labels: common.labels()?, sizes })
    }

    /// The published sizes, with as many labels as their best-known tasks: sentiments, answers to questions, verbs.
    fn random(architecture: Architecture, seed: u64) -> Result<Checkpoint> {
        let (name, labels, sizes) = match architecture {
            Architecture::Tvlt => {
                // ten seconds of sound; the table of places is for up to twenty-four
                ("tvlt", 7, Sizes::Tvlt(TvltConfig::default().check()?, TvltPreprocessor::of_rows(864)))
            }
            Architecture::Vilt => {
                ("vilt", 3129, Sizes::Vilt(ViltConfig::default().check()?, ViltPreprocessor::default(), None))
            }
            Architecture::Tbn => ("tbn", 125, Sizes::Tbn(TbnConfig::default().check()?)),
        };
        let labels = (0..labels).map(|number| format!("label {number}")).collect();
        Ok(Checkpoint { name: format!("{name}-random-{seed}"), labels, sizes })
    }

    fn modalities(&self) -> Result<Vec<Modality>> {
        let cpu = Device::Cpu;
        Ok(match &self.sizes {
            Sizes::Tvlt(config, preprocessor) => TvltInputs::new(config, preprocessor, cpu)?.modalities(),
            Sizes::Vilt(config, preprocessor, folder) => {
                ViltInputs::new(config, preprocessor, words(config, folder.as_deref())?, cpu)?.modalities()
            }
            Sizes::Tbn(config) => TbnInputs::new(config, cpu)?.modalities(),
        })
    }

    /// Random weights for it, by the names that it would look for in a file.
    fn draw(&self, seed: u64, device: Device) -> Result<Weights> {
        let store = VarStore::new(device);
        let (source, labels) = (Source::Fresh(&store), self.labels.len() as i64);
        let _generator = seeded(seed);
        let _no_grad = tch::no_grad_guard();
        match &self.sizes {
            Sizes::Tvlt(config, _) => drop(Tvlt::new(&source, config, labels, Kind::Float)?),
            Sizes::Vilt(config, ..) => drop(Vilt::new(&source, config, labels, Kind::Float)?),
            Sizes::Tbn(config) => drop(Tbn::new(&source, config, labels, Kind::Float)?),
        }
        let tensors = weights_of(&store).into_iter().map(|(name, tensor)| Ok((name, tensor.f_detach()?)));
        Ok(Weights::made(tensors.collect::<Result<_>>()?, &self.name))
    }

    fn load(&self, device: DeviceChoice, weights: impl FnOnce(Device) -> Result<Weights>) -> Result<Box<dyn Model>> {
        let (device, facts) = device::open(device)?;
        let _no_grad = tch::no_grad_guard();
        let labels = self.labels.len() as i64;
        match &self.sizes {
            Sizes::Tvlt(config, preprocessor) => {
                let inputs = TvltInputs::new(config, preprocessor, device)?;
                let (modalities, config) = (inputs.modalities(), config.clone());
                let network =
                    move |weights: &Weights, kind| Tvlt::new(&Source::Stored(&weights.at(kind)), &config, labels, kind);
                self.model(facts, modalities, inputs, weights(device)?, network)
            }
            Sizes::Vilt(config, preprocessor, folder) => {
                let words = words(config, folder.as_deref())?;
                let inputs = ViltInputs::new(config, preprocessor, words, device)?;
                let (modalities, config) = (inputs.modalities(), config.clone());
                let network =
                    move |weights: &Weights, kind| Vilt::new(&Source::Stored(&weights.at(kind)), &config, labels, kind);
                self.model(facts, modalities, inputs, weights(device)?, network)
            }
            Sizes::Tbn(config) => {
                let inputs = TbnInputs::new(config, device)?;
                let (modalities, config) = (inputs.modalities(), config.clone());
                // normalization is folded in with full precision, whatever comes out of it
                let network = move |weights: &Weights, kind| {
                    Tbn::new(&Source::Stored(&weights.at(Kind::Float)), &config, labels, kind)
                };
                self.model(facts, modalities, inputs, weights(device)?, network)
            }
        }
    }

    fn model<I: Inputs + 'static>(
        &self,
        facts: DeviceFacts,
        modalities: Vec<Modality>,
        inputs: I,
        weights: Weights,
        network: impl Fn(&Weights, Kind) -> Result<I::Network> + Send + 'static,
    ) -> Result<Box<dyn Model>> {
        let sha256 = weights.sha256.clone();
        let networks = Precise::new(move |kind| network(&weights, kind))?;
        let spec = Spec { name: self.name.clone(), modalities, labels: self.labels.clone(), weights_sha256: sha256 };
        Ok(Box::new(NetworkModel { spec, facts, inputs, networks }))
    }
}

/// The tokenizer of a folder, or one whose words mean nothing.
fn words(config: &ViltConfig, folder: Option<&Path>) -> Result<Words> {
    let (most, vocabulary) = (config.max_position_embeddings as usize, config.vocab_size);
    match folder {
        Some(folder) => Words::read(folder, most, vocabulary),
        None => Words::of_characters(most, vocabulary),
    }
}

/// preprocessor_config.json, or the published defaults.
fn preprocessor<T: serde::de::DeserializeOwned + Default>(folder: &Path) -> Result<T> {
    let path = folder.join("preprocessor_config.json");
    if path.is_file() { config::read(&path) } else { Ok(T::default()) }
}

/// What files of weights are called where checkpoints are published.
const WEIGHTS: [&str; 3] = ["model.safetensors", "pytorch_model.bin", "model_best.pth.tar"];
/// How they end elsewhere.
const ENDS: [&str; 5] = [".safetensors", ".bin", ".pt", ".pth", ".pth.tar"];

/// The file of weights in a checkpoint's folder.
fn weights_path(folder: &Path) -> Result<PathBuf> {
    if let Some(name) = WEIGHTS.iter().find(|name| folder.join(name).is_file()) {
        return Ok(folder.join(name));
    }
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| ENDS.iter().any(|end| name.ends_with(end)));
    names.sort();
    ensure!(
        names.len() == 1,
        "expected {} to have one file of weights ({}, or a single one that ends in {}), it has {}",
        folder.display(),
        WEIGHTS.join(", "),
        ENDS.join(", "),
        if names.is_empty() { "none".into() } else { names.join(", ") }
    );
    Ok(folder.join(&names[0]))
}

#[cfg(test)]
mod tests {
    use mosel_core::{ModalitySet, Precision};

    use super::*;
    use mosel_models::{Input, InputKind, Request};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/paper").join(name)
    }

    /// A request of raw numbers that differ by `seed`.
    fn request(spec: &Spec, seed: usize) -> Request {
        let numbers = |count: usize, most: f32| -> Input {
            Input::Samples(
                (0..count).map(|number| ((number * (seed + 3) * 7919) % 251) as f32 / 250.0 * most).collect(),
            )
        };
        let input = |modality: &Modality| match &modality.kind {
            InputKind::Picture { raw, .. } | InputKind::Video { raw, .. } => numbers(raw.iter().product(), 255.0),
            InputKind::Samples { shape } => numbers(shape.iter().product(), 255.0),
            InputKind::Sound { samples, .. } => numbers(*samples, 1.0),
            InputKind::Text { .. } => Input::Text(["word7 word9", "word11"][seed % 2].into()),
        };
        Request::new(spec.modalities.iter().map(input).collect())
    }

    #[test]
    fn every_published_network_answers_on_every_subset_as_it_does_alone() {
        let cases = [
            ("tvlt-tiny", vec!["video", "audio"]),
            ("vilt-tiny", vec!["image", "text"]),
            ("tbn-tiny", vec!["rgb", "flow", "audio"]),
        ];
        for (name, modalities) in cases {
            let mut model = open(&fixture(name), DeviceChoice::Cpu).unwrap();
            let spec = model.spec().clone();
            assert_eq!((spec.name.as_str(), spec.modality_names()), (name, modalities));
            assert_eq!(super::spec(&fixture(name)).unwrap(), spec);
            assert_eq!((spec.labels.len(), spec.labels[6].as_str(), spec.weights_sha256.len()), (7, "label 6", 64));
            let requests = [request(&spec, 0), request(&spec, 1)];
            for selection in ModalitySet::selections(spec.modalities.len()) {
                let mut ask = |requests: &[&Request]| -> Vec<mosel_models::Output> {
                    let answers = model.forward(requests, selection, Precision::Fp32).unwrap().answers;
                    answers.into_iter().map(Result::unwrap).collect()
                };
                let together = ask(&[&requests[0], &requests[1]]);
                for (request, together) in requests.iter().zip(&together) {
                    let alone = &ask(&[request])[0];
                    assert_eq!(alone.label, together.label, "{name} {selection:?}");
                    assert!((alone.probability - together.probability).abs() < 1e-4, "{name} {selection:?}");
                }
                assert!((together[0].probability - together[1].probability).abs() > 1e-6, "{name} {selection:?}");
            }
        }
    }

    #[test]
    fn every_precision_answers_about_the_same() {
        for name in ["tvlt-tiny", "vilt-tiny", "tbn-tiny"] {
            let mut model = open(&fixture(name), DeviceChoice::Cpu).unwrap();
            let request = request(&model.spec().clone(), 0);
            let all = ModalitySet::all(model.spec().modalities.len());
            let mut ask =
                |precision| model.forward(&[&request], all, precision).unwrap().answers.remove(0).unwrap().probability;
            let (full, half) = (ask(Precision::Fp32), ask(Precision::Bf16));
            assert!((full - half).abs() < 0.05 && full != half, "{name}: {full} {half}");
        }
    }

    #[test]
    fn a_bad_input_fails_its_own_request() {
        let mut model = open(&fixture("vilt-tiny"), DeviceChoice::Cpu).unwrap();
        let good = request(model.spec(), 0);
        let bad = Request::new(vec![Input::Picture("GIF8".into()), good.inputs()[1].clone()]);
        let answers = model.forward(&[&bad, &good], ModalitySet::all(2), Precision::Fp32).unwrap().answers;
        assert!(
            answers[0].as_ref().unwrap_err().to_string().starts_with("modality image: expected a PNG or JPEG file")
        );
        assert!(answers[1].is_ok());
        // its picture is not looked at where only the text is
        assert!(model.forward(&[&bad], ModalitySet::from_bits(2), Precision::Fp32).unwrap().answers[0].is_ok());
    }

    /// A checkpoint's folder with another config.json.
    fn refusal(name: &str, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let folder =
            std::env::temp_dir().join(format!("mosel-paper-{}-{:?}", std::process::id(), std::thread::current().id()));
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        let path = folder.join("config.json");
        let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(&path, config.to_string()).unwrap();
        let refused = open(&folder, DeviceChoice::Cpu).err().map(|error| error.root_cause().to_string());
        fs::remove_dir_all(&folder).unwrap();
        refused.expect("refused")
    }

    #[test]
    fn what_is_not_implemented_or_does_not_fit_is_refused() {
        let set = |name: &str, key: &'static str, value: serde_json::Value| refusal(name, |config| config[key] = value);
        assert_eq!(
            set("tvlt-tiny", "model_type", "bert".into()),
            r#"expected model_type tvlt, vilt or tbn, got "bert""#
        );
        assert_eq!(
            set("tvlt-tiny", "hidden_size", 1_000_000_000.into()),
            "expected hidden_size of 1 to 8192, got 1000000000"
        );
        assert_eq!(
            set("tvlt-tiny", "hidden_act", "relu".into()),
            r#"expected hidden_act to be "gelu", which is what is implemented, got "relu""#
        );
        let said = set("tvlt-tiny", "hidden_size", 64.into());
        assert!(said.ends_with("expected tvlt.cls_embedding of shape [1, 1, 64], got [1, 1, 32]"), "{said}");
        let said = set("vilt-tiny", "architectures", serde_json::json!(["ViltForMaskedLM"]));
        assert!(said.starts_with("expected a ViLT that tells labels"), "{said}");
        let said = set("vilt-tiny", "num_hidden_layers", 3.into());
        assert!(said.contains("has no tensor vilt.encoder.layer.2."), "{said}");
        let said = set("tbn-tiny", "head", "verb".into());
        assert!(said.ends_with("has no tensor fusion_classification_net.fc_verb.weight"), "{said}");
        assert_eq!(
            set("tbn-tiny", "id2label", serde_json::json!({"1": "b"})),
            "expected id2label to name every number from 0, 0 is missing"
        );
    }

    #[test]
    fn a_folder_needs_one_file_of_weights() {
        let said = weights_path(&fixture("state-files")).unwrap_err().to_string();
        assert!(said.contains("it has forbidden.pt, kinds.pt, "), "{said}");
        let said = format!("{:#}", open(Path::new("nowhere"), DeviceChoice::Cpu).err().unwrap());
        assert!(said.starts_with("loading the checkpoint in nowhere: reading nowhere/config.json: "), "{said}");
    }

    #[test]
    #[ignore = "draws 230 million numbers"]
    fn random_networks_of_the_published_size_answer() {
        for (architecture, name) in
            [(Architecture::Tbn, "tbn"), (Architecture::Vilt, "vilt"), (Architecture::Tvlt, "tvlt")]
        {
            let mut model = random(architecture, 7, DeviceChoice::Cpu).unwrap();
            assert_eq!(model.spec().name, format!("{name}-random-7"));
            let (request, last) = (request(&model.spec().clone(), 0), model.spec().modalities.len() - 1);
            let answers =
                model.forward(&[&request], ModalitySet::from_bits(1 << last), Precision::Fp32).unwrap().answers;
            assert!(answers[0].as_ref().unwrap().probability.is_finite());
        }
    }
}
