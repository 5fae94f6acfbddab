//! The `doom-tbn` model end to end, with the shipped weights, on the first 32 clips of its recording: 10 of them are of
//! maps that it was not trained on.

use bytes::Bytes;
use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::assets::Assets;
use mosel_models::profiler::score;
use mosel_models::zoo::Task;
use mosel_models::{Example, Input, Model, Output, Part, Request, Unanswered};

const RGB: usize = 0;
const FLOW: usize = 1;
const AUDIO: usize = 2;
const ALL: ModalitySet = ModalitySet::all(3);
const FLOW_AND_AUDIO: ModalitySet = ModalitySet::from_bits(0b110);

#[test]
fn a_dropped_stream_is_never_decoded() {
    let mut model = shipped();
    let good = clip();
    let kinds = [Input::Frames([].into()), Input::Samples([f32::NAN].into()), Input::Sound(Bytes::new())];
    for (dropped, nothing) in kinds.into_iter().enumerate() {
        let bad = with(&good, dropped, nothing);
        for selection in ModalitySet::selections(3) {
            let answers = forward(model.as_mut(), &[&bad, &good], selection);
            if selection.contains(dropped) {
                assert!(answers[0].is_err() && answers[1].is_ok());
            } else {
                assert!(answers[0].is_ok());
                assert_eq!(answers[0], answers[1]);
            }
        }
    }
}

#[test]
fn a_bad_stream_fails_its_own_request_and_says_why() {
    let mut model = shipped();
    let good = clip();
    let Input::Frames(frames) = &good.inputs()[RGB] else { panic!("expected frames") };
    let mut corrupt = frames.to_vec();
    corrupt[5] = corrupt[5].slice(..corrupt[5].len() / 2);
    let Input::Sound(sound) = &good.inputs()[AUDIO] else { panic!("expected a sound") };
    let cases = [
        (RGB, Input::Frames(corrupt.into()), "rgb", "input_broken_picture"),
        (RGB, Input::Frames(frames[..7].into()), "rgb", "input_frame_count"),
        (FLOW, Input::Samples(vec![0.0; 7].into()), "flow", "input_sample_count"),
        (FLOW, Input::Text("left".into()), "flow", "input_kind"),
        (AUDIO, Input::Sound(sound.slice(..30)), "audio", "input_broken_sound"),
    ];
    let alone = forward(model.as_mut(), &[&good], ALL).remove(0).unwrap();
    for (modality, input, name, code) in cases {
        let bad = with(&good, modality, input);
        let answers = forward(model.as_mut(), &[&bad, &good, &bad], ALL);
        for answer in [&answers[0], &answers[2]] {
            let error = answer.as_ref().unwrap_err();
            assert_eq!(error.code(), code);
            assert!(error.to_string().starts_with(&format!("modality {name}: ")), "{error}");
        }
        assert_eq!(answers[1].as_ref().unwrap().label, alone.label);
    }
}

#[test]
fn flow_of_any_size_is_answered_with_a_probability() {
    let mut model = shipped();
    let numbers = 8 * 48 * 64 * 2;
    for size in [0.0, 1e3, -1e30, f32::MAX] {
        let request = with(&clip(), FLOW, Input::Samples(vec![size; numbers].into()));
        for precision in [Precision::Fp32, Precision::Bf16] {
            let answers = model.forward(&[&request], ModalitySet::single(FLOW), precision).unwrap().answers;
            assert!((0.0..=1.0).contains(&answers[0].as_ref().unwrap().probability), "{size} at {precision}");
        }
    }
}

#[test]
fn frames_and_sound_may_come_as_numbers() {
    let mut model = shipped();
    let gray = Input::Samples(vec![128.0; 8 * 96 * 128 * 3].into());
    let silence = Input::Samples(vec![0.0; 25_200].into());
    let request = Request::new(vec![gray, clip().inputs()[FLOW].clone(), silence]);
    let spec = model.spec().clone();
    let named = spec.modality_names().into_iter().zip(request.inputs().iter().cloned());
    assert!(spec.request(named).is_ok());
    assert!(forward(model.as_mut(), &[&request], ALL)[0].is_ok());
}

#[test]
fn a_batch_answers_as_its_clips_alone_do() {
    let mut model = shipped();
    let examples = held_out();
    let requests: Vec<&Request> = examples.iter().take(4).map(|example| &example.request).collect();
    for selection in ModalitySet::selections(3) {
        let together = forward(model.as_mut(), &requests, selection);
        for (request, answer) in requests.iter().zip(together) {
            let (alone, answer) = (forward(model.as_mut(), &[request], selection).remove(0).unwrap(), answer.unwrap());
            assert_eq!(alone.label, answer.label);
            assert!((alone.probability - answer.probability).abs() < 1e-3, "{alone:?} {answer:?}");
        }
    }
}

#[test]
fn clips_of_maps_never_seen_are_told_far_better_than_by_chance() {
    let mut model = shipped();
    let examples = held_out();
    for precision in [Precision::Fp32, Precision::Bf16] {
        let mode = Mode { modalities: FLOW_AND_AUDIO, precision };
        let accuracy = score(model.as_mut(), &examples, mode).unwrap().accuracy;
        // eleven labels, ten clips: by chance there is one right answer, and five in one case of two thousand
        assert!(accuracy.samples == 10 && accuracy.correct >= 5, "{precision}: {accuracy:?}");
    }
}

#[test]
fn frames_cost_most_and_tell_less_than_the_two_others() {
    let profile = Task::DoomTbn.profile().unwrap().to_core().unwrap();
    let (rgb, others) = (ModalitySet::single(RGB), FLOW_AND_AUDIO);
    let mean = |modalities| profile.accuracy(Mode::full(modalities)).unwrap().mean();
    assert!(mean(rgb) + 0.1 < mean(others));
    assert!(mean(ModalitySet::single(FLOW)) < mean(others) && mean(ModalitySet::single(AUDIO)) < mean(others));
    let time = |modalities| {
        let mode = Mode::full(modalities);
        profile.measurements.iter().find(|point| point.mode == mode && point.batch_size == 8).unwrap().latency.median
    };
    assert!(time(others) * 3 < time(rgb));
}

fn shipped() -> Box<dyn Model> {
    crate::load(Task::DoomTbn).expect("run `make setup` first")
}

fn held_out() -> Vec<Example> {
    let folder = Assets::standard().path("doom-sample");
    let assets = Assets::at(folder.expect("run `python3 models/setup/setup.py doom-sample` first"));
    let part = |part| Task::DoomTbn.examples(&assets, part).unwrap();
    [part(Part::Profile), part(Part::Served)].concat()
}

fn clip() -> Request {
    held_out().remove(0).request
}

fn with(request: &Request, modality: usize, input: Input) -> Request {
    let mut inputs = request.inputs().to_vec();
    inputs[modality] = input;
    Request::new(inputs)
}

fn forward(model: &mut dyn Model, requests: &[&Request], selection: ModalitySet) -> Vec<Result<Output, Unanswered>> {
    model.forward(requests, selection, Precision::Fp32).unwrap().answers
}
