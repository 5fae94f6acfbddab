//! The `home-tasks` model end to end: trained in seconds, served on every selection.

use std::path::Path;

use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::assets::Assets;
use mosel_models::backend::Backend;
use mosel_models::profiler::score;
use mosel_models::recipe::Recipe;
use mosel_models::training::{self, scores};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Input, Model, Part, Request};
use mosel_torch::Libtorch;

const AUDIO: ModalitySet = ModalitySet::single(0);
const ACCELEROMETER: ModalitySet = ModalitySet::single(1);
const BOTH: ModalitySet = ModalitySet::all(2);

#[test]
fn a_few_epochs_beat_chance_on_every_selection() {
    let recipe = Recipe { epochs: 10, ..Recipe::shipped(Task::HomeTasks) };
    let path = std::env::temp_dir().join(format!("mosel-home-tasks-{}.safetensors", std::process::id()));
    std::fs::write(&path, train(&recipe)).unwrap();
    let mut model = open(&path);
    std::fs::remove_file(path).unwrap();
    for score in scores(model.as_mut(), Task::HomeTasks, &Assets::standard()).unwrap() {
        // seven labels: chance is 0.14
        assert!(score.accuracy.lower_bound() > 0.4, "{}: {:?}", score.mode.modalities, score.accuracy);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_and_another_seed_others() {
    let weights = |seed| train(&Recipe { seed, epochs: 1, ..Recipe::shipped(Task::HomeTasks) });
    let first = weights(7);
    assert_eq!(first, weights(7));
    assert_ne!(first, weights(8));
}

#[test]
fn the_shipped_weights_answer_as_their_profile_says() {
    let mut model = shipped();
    let profile = Task::HomeTasks.profile().unwrap().to_core().unwrap();
    for modalities in [AUDIO, ACCELEROMETER, BOTH] {
        let mode = Mode::full(modalities);
        let measured = score(model.as_mut(), &examples(Part::Profile), mode).unwrap().accuracy;
        let profiled = profile.accuracy(mode).unwrap();
        assert_eq!(measured.samples, profiled.samples);
        // another processor may round a few answers otherwise
        assert!(measured.correct.abs_diff(profiled.correct) <= 4, "{modalities}: {measured:?} {profiled:?}");
    }
}

#[test]
fn both_sensors_tell_more_than_either() {
    let mut model = shipped();
    let scores = scores(model.as_mut(), Task::HomeTasks, &Assets::standard()).unwrap();
    let mean = |selection| scores.iter().find(|score| score.mode.modalities == selection).unwrap().accuracy.mean();
    assert!(mean(AUDIO) < mean(BOTH) && mean(ACCELEROMETER) < mean(BOTH));
}

#[test]
fn half_precision_moves_probabilities_a_little_and_hardly_an_answer() {
    let mut model = shipped();
    let examples = examples(Part::Served);
    let requests: Vec<&Request> = examples.iter().map(|example| &example.request).collect();
    let full = model.forward(&requests, BOTH, Precision::Fp32).unwrap().answers;
    let half = model.forward(&requests, BOTH, Precision::Bf16).unwrap().answers;
    let pairs: Vec<_> = full.into_iter().zip(half).map(|(full, half)| (full.unwrap(), half.unwrap())).collect();
    let others = pairs.iter().filter(|(full, half)| full.label != half.label).count();
    assert!(others <= pairs.len() / 50, "{others} of {} answers are others", pairs.len());
    assert!(pairs.iter().any(|(full, half)| full.probability != half.probability));
    assert!(pairs.iter().all(|(full, half)| (full.probability - half.probability).abs() < 0.1));
}

#[test]
fn a_dropped_sensor_is_never_looked_at_and_a_bad_one_fails_its_own_request() {
    let mut model = shipped();
    let good = examples(Part::Served).remove(0).request;
    let bad = Request::new(vec![good.inputs()[0].clone(), Input::Samples(vec![f32::NAN; 16].into())]);
    let answers = model.forward(&[&bad, &good, &bad], BOTH, Precision::Fp32).unwrap().answers;
    assert!(answers[1].is_ok());
    for answer in [&answers[0], &answers[2]] {
        let error = answer.as_ref().unwrap_err().to_string();
        assert_eq!(error, "modality accelerometer: expected finite numbers, number 0 is NaN");
    }
    // not even something of another kind
    let strange = Request::new(vec![good.inputs()[0].clone(), Input::Text("still".into())]);
    let dropped = model.forward(&[&bad, &good, &strange], AUDIO, Precision::Fp32).unwrap().answers;
    assert!(dropped[0].is_ok());
    assert!(dropped[0] == dropped[1] && dropped[1] == dropped[2]);
}

#[test]
fn a_batch_answers_as_its_requests_alone_do() {
    let mut model = shipped();
    let examples = examples(Part::Served);
    let requests: Vec<&Request> = examples.iter().take(9).map(|example| &example.request).collect();
    for selection in [AUDIO, ACCELEROMETER, BOTH] {
        let together = model.forward(&requests, selection, Precision::Fp32).unwrap().answers;
        for (request, answer) in requests.iter().zip(together) {
            let (alone, answer) = (
                model.forward(&[request], selection, Precision::Fp32).unwrap().answers.remove(0).unwrap(),
                answer.unwrap(),
            );
            assert_eq!(alone.label, answer.label);
            assert!((alone.probability - answer.probability).abs() < 1e-4);
        }
    }
}

fn examples(part: Part) -> Vec<Example> {
    Task::HomeTasks.examples(&Assets::standard(), part).expect("run `make setup` first")
}

fn train(recipe: &Recipe) -> Vec<u8> {
    mosel_torch::install();
    training::train(recipe, &Assets::standard(), &mut |_| ()).expect("run `make setup` first")
}

fn shipped() -> Box<dyn Model> {
    open(&Task::HomeTasks.weights_path())
}

fn open(weights: &Path) -> Box<dyn Model> {
    Libtorch.load_zoo(Task::HomeTasks, &Assets::standard(), weights, DeviceChoice::Cpu).expect("the weights load")
}
