//! The `doom-tvlt` model end to end, with the shipped weights, on the first 32 clips of its recording: 10 of them are
//! of maps that it was not trained on.

use std::sync::Arc;

use bytes::Bytes;
use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::assets::Assets;
use mosel_models::profiler::score;
use mosel_models::zoo::Task;
use mosel_models::{Example, Input, InputKind, Model, Part, Request, Unanswered};

const VIDEO: ModalitySet = ModalitySet::single(0);
const AUDIO: ModalitySet = ModalitySet::single(1);
const BOTH: ModalitySet = ModalitySet::all(2);

#[test]
fn a_dropped_video_is_never_decoded() {
    let mut model = shipped();
    let good = clip();
    let corrupt = with_frames(&good, cut_short);
    let on_audio = forward(model.as_mut(), &[&corrupt, &good], AUDIO);
    assert_eq!(on_audio[0], on_audio[1]);
    assert!(on_audio[0].is_ok());
    // not even files that are no pictures at all, or no files
    for nothing in [with_frames(&good, |_| Bytes::new()), with_video(&good, Input::Frames([].into()))] {
        assert!(forward(model.as_mut(), &[&nothing], AUDIO)[0].is_ok());
    }
}

#[test]
fn a_dropped_sound_is_never_decoded() {
    let mut model = shipped();
    let good = clip();
    let corrupt = with_audio(&good, Input::Sound(Bytes::from_static(b"RIFF")));
    let on_video = forward(model.as_mut(), &[&corrupt, &good], VIDEO);
    assert!(on_video.iter().all(Result::is_ok));
    assert_eq!(forward(model.as_mut(), &[&corrupt], BOTH)[0].as_ref().unwrap_err().0, "audio");
}

#[test]
fn one_corrupt_frame_fails_its_own_request_and_the_others_are_served() {
    let mut model = shipped();
    let good = clip();
    let mut number = 0;
    let corrupt = with_frames(&good, |file| {
        number += 1;
        if number == 5 { cut_short(file) } else { file.clone() }
    });
    assert!(shipped().spec().request(named(&corrupt)).is_ok(), "its header is sound: it passes admission");
    for selection in [BOTH, VIDEO] {
        let answers = forward(model.as_mut(), &[&corrupt, &good, &corrupt], selection);
        for answer in [&answers[0], &answers[2]] {
            assert_eq!(answer.as_ref().unwrap_err(), &("video".to_owned(), "input_broken_picture"));
        }
        let alone = forward(model.as_mut(), &[&good], selection).remove(0).unwrap();
        assert_eq!(answers[1].as_ref().unwrap().0, alone.0);
    }
}

#[test]
fn numbers_of_frames_and_samples_are_answered_as_the_files_are() {
    let mut model = shipped();
    let good = clip();
    let gray = vec![128.0; 8 * 96 * 128 * 3];
    let raw = Request::new(vec![Input::Samples(gray.into()), Input::Samples(samples(&good))]);
    assert!(model.spec().request(named(&raw)).is_ok());
    let on_audio = forward(model.as_mut(), &[&raw, &good], AUDIO);
    assert_eq!(on_audio[0], on_audio[1]);
    assert!(forward(model.as_mut(), &[&raw], VIDEO)[0].is_ok());
}

#[test]
fn a_batch_answers_as_its_requests_alone_do() {
    let mut model = shipped();
    let examples = held_out();
    let requests: Vec<&Request> = examples.iter().map(|example| &example.request).collect();
    for selection in [VIDEO, AUDIO, BOTH] {
        let together = forward(model.as_mut(), &requests, selection);
        for (request, answer) in requests.iter().zip(together) {
            let (alone, answer) = (forward(model.as_mut(), &[request], selection).remove(0).unwrap(), answer.unwrap());
            assert_eq!(alone.0, answer.0);
            assert!((alone.1 - answer.1).abs() < 1e-3, "{alone:?} {answer:?}");
        }
    }
}

#[test]
fn half_the_precision_answers_almost_alike() {
    let mut model = shipped();
    assert!(model.precisions().contains(&Precision::Bf16));
    let examples = all();
    let mut right = |precision| {
        let mode = Mode { modalities: BOTH, precision };
        score(model.as_mut(), &examples, mode).unwrap().accuracy.correct
    };
    let (full, half) = (right(Precision::Fp32), right(Precision::Bf16));
    assert!(full.abs_diff(half) <= 3, "{full} right in full precision, {half} at half");
}

#[test]
fn the_shipped_weights_know_the_clips_they_were_trained_on() {
    let mut model = shipped();
    let trained = Task::DoomTvlt.examples(&sample(), Part::Train).unwrap();
    for selection in [AUDIO, VIDEO, BOTH] {
        let accuracy = score(model.as_mut(), &trained, Mode::full(selection)).unwrap().accuracy;
        // ten labels: two or three of these 22 would be chance
        assert!(accuracy.correct >= 11, "{selection}: {accuracy:?}");
    }
}

/// The label and its probability, or the modality and the code of what is wrong with it.
type Answer = Result<(usize, f32), (String, &'static str)>;

fn forward(model: &mut dyn Model, requests: &[&Request], selection: ModalitySet) -> Vec<Answer> {
    let answers = model.forward(requests, selection, Precision::Fp32).unwrap().answers;
    let plain = |answer: Result<mosel_models::Output, Unanswered>| match answer {
        Ok(output) => Ok((output.label, output.probability)),
        Err(Unanswered::Input(error)) => Err((error.modality, error.fault.code())),
        Err(other) => panic!("expected an answer or a bad input, got {other}"),
    };
    answers.into_iter().map(plain).collect()
}

fn shipped() -> Box<dyn Model> {
    crate::load(Task::DoomTvlt).expect("run `make setup` first")
}

fn sample() -> Assets {
    let folder = Assets::standard().path("doom-sample");
    Assets::at(folder.expect("run `python3 models/setup/setup.py doom-sample` first"))
}

fn held_out() -> Vec<Example> {
    [Part::Profile, Part::Served].iter().flat_map(|&part| Task::DoomTvlt.examples(&sample(), part).unwrap()).collect()
}

fn all() -> Vec<Example> {
    let mut examples = Task::DoomTvlt.examples(&sample(), Part::Train).unwrap();
    examples.extend(held_out());
    examples
}

fn clip() -> Request {
    held_out().remove(0).request
}

fn with_video(request: &Request, video: Input) -> Request {
    Request::new(vec![video, request.inputs()[1].clone()])
}

fn with_audio(request: &Request, audio: Input) -> Request {
    Request::new(vec![request.inputs()[0].clone(), audio])
}

fn with_frames(request: &Request, change: impl FnMut(&Bytes) -> Bytes) -> Request {
    match &request.inputs()[0] {
        Input::Frames(files) => with_video(request, Input::Frames(files.iter().map(change).collect())),
        other => panic!("expected frames, got {other:?}"),
    }
}

/// The first half of a file: its header is sound.
fn cut_short(file: &Bytes) -> Bytes {
    file.slice(..file.len() / 2)
}

fn named(request: &Request) -> Vec<(&'static str, Input)> {
    ["video", "audio"].into_iter().zip(request.inputs().iter().cloned()).collect()
}

/// The samples of a clip's sound: 16 bit after a header of 44 bytes.
fn samples(request: &Request) -> Arc<[f32]> {
    match (&request.inputs()[1], &shipped().spec().modalities[1].kind) {
        (Input::Sound(file), InputKind::Sound { samples, .. }) => {
            let sample = |bytes: &[u8]| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32768.0;
            let numbers: Arc<[f32]> = file[44..].chunks_exact(2).map(sample).collect();
            assert_eq!(numbers.len(), *samples);
            numbers
        }
        other => panic!("expected a sound, got {other:?}"),
    }
}
