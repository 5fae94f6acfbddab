//! Folders that are served, and folders that are refused.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use mosel_core::{Accuracy, Mode};
use tempfile::TempDir;

use super::fixture::{DOCUMENT, of_photo, photos, picture, trace, write, write_masked};
use super::*;
use crate::Libtorch;
use mosel_models::backend::Backend;
use mosel_models::profiler::{self, Settings};
use mosel_models::{Input, Output, Part, Unanswered};

const PHOTO: ModalitySet = ModalitySet::single(0);
const NUMBERS: ModalitySet = ModalitySet::single(1);
const BOTH: ModalitySet = ModalitySet::all(2);

fn folder(write: fn(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    folder
}

fn opened(folder: &TempDir) -> Result<Box<dyn Model>> {
    Libtorch.load_custom(&CustomModel::read(folder.path())?, DeviceChoice::Cpu)
}

fn request(photo: impl Into<Bytes>, numbers: [f32; 3]) -> Request {
    Request::new(vec![Input::Picture(photo.into()), Input::Samples(numbers.into())])
}

fn names(model: &mut dyn Model, requests: &[&Request], selection: ModalitySet, precision: Precision) -> Vec<String> {
    let answers = model.forward(requests, selection, precision).unwrap().answers;
    let name = |answer: Result<Output, Unanswered>| answer.map_or_else(|error| error.code().into(), |it| it.name);
    answers.into_iter().map(name).collect()
}

#[track_caller]
fn refused(folder: &TempDir, expected: &[&str]) {
    let refusal = format!("{:#}", opened(folder).err().expect("refused"));
    for part in expected {
        assert!(refusal.contains(part), "expected {part:?} in {refusal}");
    }
}

#[test]
fn every_selection_is_answered_by_its_network() {
    for write in [write as fn(&Path), write_masked] {
        let mut model = opened(&folder(write)).unwrap();
        // the photo says red, the numbers say blue, and louder
        let torn = request(picture([255, 0, 0]), [0.0, 0.0, 5.0]);
        let red = request(picture([200, 0, 0]), [1.0, 0.0, 0.0]);
        for precision in [Precision::Fp32, Precision::Bf16] {
            let mut names = |selection| names(model.as_mut(), &[&torn, &red], selection, precision);
            assert_eq!(names(PHOTO), ["red", "red"]);
            assert_eq!(names(NUMBERS), ["blue", "red"]);
            assert_eq!(names(BOTH), ["blue", "red"]);
        }
    }
}

#[test]
fn a_dropped_photo_is_never_decoded_and_a_broken_one_fails_its_own_request() {
    for write in [write as fn(&Path), write_masked] {
        let mut model = opened(&folder(write)).unwrap();
        let whole = picture([255, 0, 0]);
        let broken = request(whole[..whole.len() - 20].to_vec(), [0.0, 0.0, 1.0]);
        let good = request(whole, [1.0, 0.0, 0.0]);
        let mut names = |selection| names(model.as_mut(), &[&broken, &good], selection, Precision::Fp32);
        assert_eq!(names(NUMBERS), ["blue", "red"]);
        assert_eq!(names(PHOTO), ["input_broken_picture", "red"]);
        assert_eq!(names(BOTH), ["input_broken_picture", "red"]);
    }
}

#[test]
fn raw_numbers_of_the_size_that_the_model_wants_do_for_a_photo() {
    let mut model = opened(&folder(write)).unwrap();
    let blue: Arc<[f32]> = [0.0, 0.0, 255.0].repeat(4 * 6).into();
    let spec = model.spec().clone();
    let inputs = [("photo", Input::Samples(blue)), ("numbers", Input::Samples([1.0, 0.0, 0.0].into()))];
    let request = spec.request(inputs).unwrap();
    assert_eq!(names(model.as_mut(), &[&request], PHOTO, Precision::Fp32), ["blue"]);
}

#[test]
fn a_precision_that_is_not_declared_is_refused() {
    let mut model = opened(&folder(write)).unwrap();
    assert_eq!(model.precisions(), [Precision::Fp32, Precision::Bf16]);
    let refusal = model.forward(&[], BOTH, Precision::Fp16).unwrap_err().to_string();
    assert_eq!(refusal, "expected a precision that the model has (fp32, bf16), got fp16");
}

#[test]
fn accuracy_is_measured_on_the_examples_of_the_folder() {
    let folder = folder(write);
    let custom = CustomModel::read(folder.path()).unwrap();
    let mut model = Libtorch.load_custom(&custom, DeviceChoice::Cpu).unwrap();
    let settings = Settings { batch_sizes: vec![1, 2], min_runs: 2, max_runs: 2, warm_up: 0, ..Settings::default() };
    let examples = custom.examples(Part::Profile).unwrap();
    let profile = profiler::profile(model.as_mut(), &examples, &custom.cut(), &settings, &mut |_| ()).unwrap();
    profile.check_model(custom.spec()).unwrap();
    let accuracy = |selection: usize| profile.selections[selection].accuracy;
    assert_eq!((accuracy(0).correct, accuracy(1).correct, accuracy(2).correct), (2, 3, 3));
    assert_eq!(accuracy(0).samples, 3);
    let mode = Mode { modalities: PHOTO, precision: Precision::Bf16 };
    let score = profiler::score(model.as_mut(), &examples, mode).unwrap();
    assert_eq!(score.accuracy, Accuracy { correct: 2, samples: 3 });
}

#[test]
fn a_file_that_is_no_torchscript_is_refused() {
    let folder = folder(write);
    fs::write(folder.path().join("both.pt"), "not a network").unwrap();
    refused(&folder, &["loading model things", "both.pt", "expected a TorchScript file"]);
}

#[test]
fn a_file_cut_short_is_refused_wherever_it_is_cut() {
    let folder = folder(write);
    let path = folder.path().join("photo.pt");
    let whole = fs::read(&path).unwrap();
    for part in 0..16 {
        fs::write(&path, &whole[..whole.len() * part / 16]).unwrap();
        refused(&folder, &["photo.pt", "expected a TorchScript file"]);
    }
}

#[test]
fn an_answer_of_the_wrong_shape_is_refused_with_the_shape() {
    let folder = folder(write);
    fs::write(folder.path().join("model.toml"), DOCUMENT.replace(r#""blue"]"#, r#""blue", "green"]"#)).unwrap();
    refused(
        &folder,
        &["selection photo", "photo.pt: expected an answer of [1, 3]", "photo [1, 3, 4, 6] Float", "got [1, 2]"],
    );
}

#[test]
fn a_network_for_other_inputs_is_refused_with_what_was_put_in() {
    let folder = folder(write);
    let weight = Tensor::ones([3 * 4 * 5, 2], (tch::Kind::Float, tch::Device::Cpu));
    let narrow = Tensor::zeros([2, 3, 4, 5], (tch::Kind::Float, tch::Device::Cpu));
    trace(&folder.path().join("photo.pt"), &[narrow], |inputs| inputs[0].flatten(1, 3).matmul(&weight));
    refused(&folder, &["photo.pt: forward fails on photo [1, 3, 4, 6] Float", "cannot be multiplied"]);
}

#[test]
fn a_network_that_remembers_its_batch_size_is_refused() {
    let folder = folder(write);
    trace(&folder.path().join("photo.pt"), &[photos()], |inputs| of_photo(&inputs[0]).view([2, 2]));
    refused(&folder, &["selection photo", "photo.pt: forward fails on photo [1, 3, 4, 6]"]);
}

#[test]
fn a_missing_tokenizer_is_said_to_be_missing() {
    let folder = folder(write);
    let words = "[[modalities]]\nname = \"words\"\nkind = \"text\"\ntokenizer = \"tokenizer.json\"\nmax_tokens = 4\n";
    let (head, _) = DOCUMENT.split_once("[[modalities]]").unwrap();
    let document = format!("{head}{words}[network]\nfile = \"photo.pt\"\n");
    fs::write(folder.path().join("model.toml"), document).unwrap();
    refused(&folder, &["model.toml: it names tokenizer.json"]);
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    refused(&folder, &["modality words: reading", "tokenizer.json"]);
}

#[test]
fn a_tokenizer_with_numbers_that_the_network_has_no_place_for_is_refused() {
    let folder = folder(write);
    let words = "[[modalities]]\nname = \"words\"\nkind = \"text\"\ntokenizer = \"tokenizer.json\"\nmax_tokens = 4\n";
    let head = "format = \"mosel-model/1\"\nname = \"words\"\nlabels = [\"red\", \"blue\"]\n";
    let network = "[[networks]]\nmodalities = [\"words\"]\nfile = \"words.pt\"\n";
    fs::write(folder.path().join("model.toml"), format!("{head}{words}{network}")).unwrap();
    let vocabulary = serde_json::json!({ "[UNK]": 0, "sun": 1, "moon": 2, "star": 6 });
    let model = serde_json::json!({ "type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]" });
    let tokenizer = serde_json::json!({ "version": "1.0", "added_tokens": [], "model": model });
    fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let places = |count: i64| {
        let tokens = || Tensor::zeros([2, 4], (Kind::Int64, Device::Cpu));
        let weight = Tensor::ones([count, 2], (Kind::Float, Device::Cpu));
        trace(&folder.path().join("words.pt"), &[tokens(), tokens()], |inputs| {
            let states = Tensor::embedding(&weight, &inputs[0], -1, false, false);
            states.mean_dim([1i64].as_slice(), false, None::<Kind>)
        });
    };
    places(6);
    refused(
        &folder,
        &["modality words: the tokenizer and the padding have token numbers up to 6", "words.pt: forward fails"],
    );
    places(7);
    opened(&folder).unwrap();
}

/// A video of two frames and a sound; each says how bright or how loud it is.
fn write_clip(folder: &Path) {
    let document = r#"
        format = "mosel-model/1"
        name = "clips"
        labels = ["quiet", "loud"]
        modalities = [
            { name = "video", kind = "video", frames = 2, height = 2, width = 2 },
            { name = "audio", kind = "sound", hertz = 8000, samples = 4000 },
        ]
        networks = [
            { modalities = ["video"], file = "video.pt" },
            { modalities = ["audio"], file = "audio.pt" },
            { modalities = ["video", "audio"], file = "both.pt" },
        ]
    "#;
    fs::write(folder.join("model.toml"), document).unwrap();
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (tch::Kind::Float, tch::Device::Cpu));
    let (video, audio) = (zeros(&[2, 2, 3, 2, 2]), zeros(&[2, 4000]));
    let loud = |input: &Tensor| {
        let level = input.abs().flatten(1, -1).mean_dim(1i64, false, None::<tch::Kind>);
        Tensor::stack(&[level.ones_like() * 0.05, level], 1)
    };
    trace(&folder.join("video.pt"), &[video.shallow_clone()], |inputs| loud(&inputs[0]));
    trace(&folder.join("audio.pt"), &[audio.shallow_clone()], |inputs| loud(&inputs[0]));
    trace(&folder.join("both.pt"), &[video, audio], |inputs| loud(&inputs[0]) + loud(&inputs[1]));
}

#[test]
fn a_job_on_sound_alone_decodes_no_frame() {
    let mut model = opened(&folder(write_clip)).unwrap();
    let jpeg: &[u8] = include_bytes!("../../../tests/fixtures/red-blue.jpg");
    let flac: &[u8] = include_bytes!("../../../tests/fixtures/tone.flac");
    let of = |frame: &'static [u8], sound: &'static [u8]| {
        Request::new(vec![
            Input::Frames(vec![Bytes::from_static(jpeg), frame.into()].into()),
            Input::Sound(sound.into()),
        ])
    };
    let (whole, torn) = (of(jpeg, flac), of(&jpeg[..300], flac));
    let mute = of(jpeg, &flac[..300]);
    let mut names = |selection| names(model.as_mut(), &[&whole, &torn, &mute], selection, Precision::Fp32);
    assert_eq!(names(ModalitySet::single(1)), ["loud", "loud", "input_broken_sound"]);
    assert_eq!(names(ModalitySet::single(0)), ["loud", "input_broken_picture", "loud"]);
    assert_eq!(names(ModalitySet::all(2)), ["loud", "input_broken_picture", "input_broken_sound"]);
}
