//! A model that PyTorch wrote is served here and answers as it does there; models/export/make_fixture.py made the folder.

use std::collections::BTreeMap;
use std::path::Path;

use mosel_core::{ModalitySet, Precision};
use mosel_models::backend::Backend;
use mosel_models::own::Own;
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
    let own = Own::read(&folder).unwrap();
    let mut model = Libtorch.load_own(&own, DeviceChoice::Cpu).unwrap();
    let answers = std::fs::read(folder.join("answers.json")).unwrap();
    let answers: BTreeMap<String, Vec<Answer>> = serde_json::from_slice(&answers).unwrap();
    let examples = in_order(&own);
    let requests: Vec<&Request> = examples.iter().map(|example| &example.request).collect();
    for selection in ModalitySet::selections(2) {
        let label = selection.label(&own.spec().modality_names());
        let came = model.forward(&requests, selection, Precision::Fp32).unwrap();
        for (number, (came, expected)) in came.into_iter().zip(&answers[&label]).enumerate() {
            let came = came.unwrap();
            assert_eq!(came.name, expected.label, "{label}, example {number}");
            let off = (came.probability - expected.probability).abs();
            assert!(off < 1e-4, "{label}, example {number}: {} is off by {off}", came.probability);
        }
        let reduced = model.forward(&requests, selection, Precision::Bf16).unwrap();
        for (came, expected) in reduced.into_iter().zip(&answers[&label]) {
            assert!((came.unwrap().probability - expected.probability).abs() < 0.1);
        }
    }
}

/// Both parts, as they stand in the file.
fn in_order(own: &Own) -> Vec<Example> {
    let (odd, even) = (own.examples(Part::Profile).unwrap(), own.examples(Part::Served).unwrap());
    assert_eq!((odd.len(), even.len()), (3, 3));
    odd.into_iter().zip(even).flat_map(|(first, second)| [first, second]).collect()
}
