//! A model that PyTorch wrote is served here and answers as it does there; models/export/make_fixture.py made the folder.

use std::collections::BTreeMap;
use std::path::Path;

use mosel_core::{ModalitySet, Precision};
use mosel_models::backend::Backend;
use mosel_models::custom::CustomModel;
use mosel_models::{DeviceChoice, Example, Part, Request};
use mosel_torch::Libtorch;
use serde::Deserialize;

/// What PyTorch answers.
#[derive(Deserialize)]
struct Answer {
    label: String,
    probability: f32,
}

#[test]
fn every_selection_answers_as_pytorch_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exported");
    let custom = CustomModel::read(&folder).unwrap();
    let mut model = Libtorch.load_custom(&custom, DeviceChoice::Cpu).unwrap();
    let answers = std::fs::read(folder.join("answers.json")).unwrap();
    let answers: BTreeMap<String, Vec<Answer>> = serde_json::from_slice(&answers).unwrap();
    let examples = in_order(&custom);
    let requests: Vec<&Request> = examples.iter().map(|example| &example.request).collect();
    for selection in ModalitySet::selections(2) {
        let label = selection.label(&custom.spec().modality_names());
        let got = model.forward(&requests, selection, Precision::Fp32).unwrap().answers;
        for (number, (got, expected)) in got.into_iter().zip(&answers[&label]).enumerate() {
            let got = got.unwrap();
            assert_eq!(got.name, expected.label, "{label}, example {number}");
            let off = (got.probability - expected.probability).abs();
            assert!(off < 1e-4, "{label}, example {number}: {} is off by {off}", got.probability);
        }
        let reduced = model.forward(&requests, selection, Precision::Bf16).unwrap().answers;
        for (got, expected) in reduced.into_iter().zip(&answers[&label]) {
            assert!((got.unwrap().probability - expected.probability).abs() < 0.1);
        }
    }
}

/// Both parts, as they stand in the file.
fn in_order(custom: &CustomModel) -> Vec<Example> {
    let (odd, even) = (custom.examples(Part::Profile).unwrap(), custom.examples(Part::Served).unwrap());
    assert_eq!((odd.len(), even.len()), (3, 3));
    odd.into_iter().zip(even).flat_map(|(first, second)| [first, second]).collect()
}
