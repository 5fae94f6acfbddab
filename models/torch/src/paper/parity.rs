//! The networks against the published implementations, on what models/parity/reference.py wrote.
//!
//! Small networks are compared in every test run: their files are in models/torch/tests/fixtures/paper, written by
//! `python3 models/parity/parity.py --small`. The full size takes a gigabyte of files that `make parity` writes and names
//! in `MOSEL_PARITY`.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::config::{self, Common};
use super::tbn::{STREAMS, Tbn};
use super::tvlt::Tvlt;
use super::vilt::Vilt;
use super::weights_path;
use crate::layers::Source;
use crate::weights::Weights;

/// Largest difference of two logits, by the largest logit.
const TOLERANCE: f64 = 1e-4;
/// The same where numbers have 8 bits.
const TOLERANCE_BF16: f64 = 5e-2;

type Tensors = BTreeMap<String, Tensor>;

/// A network, ready to be asked.
type Logits = Box<dyn Fn(&Tensors, &str) -> Result<Tensor>>;

fn tensors(path: &Path) -> Tensors {
    let read = Tensor::read_safetensors(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read.into_iter().collect()
}

/// Reads a case's network and compares it on every subset that the reference answered.
fn check(folder: &Path, kind: Kind, tolerance: f64) {
    tch::set_num_threads(1);
    let _no_grad = tch::no_grad_guard();
    let name = folder.file_name().expect("a case").to_string_lossy().into_owned();
    let begun = Instant::now();
    let logits = open(folder, kind).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    println!("{name} {kind:?}: loaded in {:.2} s", begun.elapsed().as_secs_f64());
    let (inputs, mut outputs) =
        (tensors(&folder.join("inputs.safetensors")), tensors(&folder.join("outputs.safetensors")));
    outputs.remove("spectrogram");
    assert!(outputs.len() >= 3, "{name}: {:?}", outputs.keys());
    for (selection, expected) in outputs {
        let begun = Instant::now();
        let got = logits(&inputs, &selection).unwrap_or_else(|error| panic!("{name} {selection}: {error:#}"));
        let took = begun.elapsed().as_secs_f64();
        assert_eq!(got.size(), expected.size(), "{name} {selection}");
        let largest = expected.abs().max().double_value(&[]);
        let error = (got - &expected).abs().max().double_value(&[]) / largest;
        println!("{name} {kind:?} {selection}: relative error {error:.2e}, {took:.2} s");
        assert!(error <= tolerance, "{name} {selection}: {error}");
        // an answer that is always the same would agree with anything
        assert!(largest > 0.01, "{name} {selection}: {largest}");
    }
}

fn open(folder: &Path, kind: Kind) -> Result<Logits> {
    let common: Common = config::read(&folder.join("config.json"))?;
    let weights = Weights::read(&weights_path(folder)?, Device::Cpu)?;
    let (labels, path) = (common.labels()?.len() as i64, folder.join("config.json"));
    let (full, cast) = (weights.at(Kind::Float), weights.at(kind));
    let (full, cast) = (Source::Stored(&full), Source::Stored(&cast));
    Ok(match common.architecture()? {
        config::Architecture::Tvlt => {
            let network = Tvlt::new(&cast, &config::read::<config::TvltConfig>(&path)?.check()?, labels, kind)?;
            Box::new(move |inputs, selection| {
                let of = |name: &str| selection.split('+').any(|selected| selected == name).then(|| &inputs[name]);
                Ok(network.logits(of("video"), of("audio"))?)
            })
        }
        config::Architecture::Vilt => {
            let network = Vilt::new(&cast, &config::read::<config::ViltConfig>(&path)?.check()?, labels, kind)?;
            Box::new(move |inputs, selection| vilt(&network, inputs, selection))
        }
        config::Architecture::Tbn => {
            let network = Tbn::new(&full, &config::read::<config::TbnConfig>(&path)?.check()?, labels, kind)?;
            Box::new(move |inputs, selection| {
                let selection = selection.replace("audio", "spec");
                let of = |name: &str| {
                    selection.split('+').any(|selected| selected == name).then(|| inputs[name].shallow_clone())
                };
                Ok(network.logits(&STREAMS.map(of))?)
            })
        }
    })
}

/// Undoes the padding that the reference was given: the network pads by itself.
fn vilt(network: &Vilt, inputs: &Tensors, selection: &str) -> Result<Tensor> {
    let selected = |name: &str| selection.split('+').any(|selected| selected == name);
    let rows = inputs["text"].size()[0];
    let mut texts = Vec::new();
    let mut pictures = Vec::new();
    for row in 0..rows {
        let length = inputs["text_mask"].get(row).sum(Kind::Int64).int64_value(&[]);
        let text = Vec::<i64>::try_from(inputs["text"].get(row).narrow(0, 0, length))?;
        texts.push(if selected("text") { text } else { text[..1].to_vec() });
        if selected("image") {
            let mask = inputs["image_mask"].get(row);
            let (height, width) = (mask.select(1, 0).sum(Kind::Int64), mask.select(0, 0).sum(Kind::Int64));
            let picture = inputs["image"].get(row);
            pictures.push(picture.narrow(1, 0, height.int64_value(&[])).narrow(2, 0, width.int64_value(&[])));
        }
    }
    let texts: Vec<&[i64]> = texts.iter().map(Vec::as_slice).collect();
    Ok(network.logits(&texts, &pictures.iter().collect::<Vec<_>>())?)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/paper").join(name)
}

#[test]
fn a_small_tvlt_answers_as_the_published_one_does() {
    check(&fixture("tvlt-tiny"), Kind::Float, TOLERANCE);
}

#[test]
fn a_small_vilt_answers_as_the_published_one_does() {
    check(&fixture("vilt-tiny"), Kind::Float, TOLERANCE);
}

#[test]
fn a_small_tbn_answers_as_the_published_one_does() {
    check(&fixture("tbn-tiny"), Kind::Float, TOLERANCE);
}

#[test]
fn small_networks_answer_nearly_the_same_in_bf16() {
    for name in ["tvlt-tiny", "vilt-tiny", "tbn-tiny"] {
        check(&fixture(name), Kind::BFloat16, TOLERANCE_BF16);
    }
}

#[test]
#[ignore = "needs a gigabyte of files: make parity"]
fn full_size_networks_answer_as_the_published_ones_do() {
    let folder = env::var_os("MOSEL_PARITY").expect("MOSEL_PARITY names the folder that models/parity/parity.py wrote");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(&folder).expect("the folder").map(|entry| entry.unwrap().path()).collect();
    cases.retain(|case| case.join("outputs.safetensors").exists());
    cases.sort();
    let names: Vec<_> = cases.iter().map(|case| case.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for wanted in ["tbn-full", "tvlt-full", "vilt-full"] {
        assert!(names.iter().any(|name| name == wanted), "{} has no {wanted}, only {names:?}", folder.display());
    }
    for case in cases {
        check(&case, Kind::Float, TOLERANCE);
    }
}
