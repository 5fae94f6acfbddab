//! The `emoji` model end to end, with the shipped weights: real pictures and names, and broken ones.

use bytes::Bytes;
use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::assets::Assets;
use mosel_models::profiler::score;
use mosel_models::zoo::Task;
use mosel_models::{Input, Model, Output, Part, Request, Unanswered};

const IMAGE: ModalitySet = ModalitySet::single(0);
const TEXT: ModalitySet = ModalitySet::single(1);
const BOTH: ModalitySet = ModalitySet::all(2);

#[test]
fn a_dropped_picture_is_never_decoded() {
    let mut model = shipped();
    let (good, corrupt) = (strawberry(), with_picture(&strawberry(), cut_short(&strawberry())));
    let on_text = model.forward(&[&corrupt, &good], TEXT, Precision::Fp32).unwrap().answers;
    assert_eq!(on_text[0], on_text[1]);
    assert_eq!(name(&on_text[0]), "Food & Drink");
    // not even a file that is no picture at all
    let nothing = with_picture(&good, Bytes::new());
    assert!(model.forward(&[&nothing], TEXT, Precision::Fp32).unwrap().answers[0].is_ok());
}

#[test]
fn a_corrupt_picture_fails_its_own_request_and_the_others_are_served() {
    let mut model = shipped();
    let (good, corrupt) = (strawberry(), with_picture(&strawberry(), cut_short(&strawberry())));
    for selection in [BOTH, IMAGE] {
        let answers = model.forward(&[&corrupt, &good, &corrupt], selection, Precision::Fp32).unwrap().answers;
        for answer in [&answers[0], &answers[2]] {
            let error = answer.as_ref().unwrap_err();
            assert_eq!(error.code(), "input_broken_picture");
            assert!(error.to_string().starts_with("modality image: "), "{error}");
        }
        let alone = model.forward(&[&good], selection, Precision::Fp32).unwrap().answers;
        assert_eq!(name(&answers[1]), name(&alone[0]));
        assert!(model.forward(&[&corrupt], selection, Precision::Fp32).unwrap().answers[0].is_err());
    }
}

#[test]
fn a_corrupt_picture_passes_admission_and_a_foreign_file_does_not() {
    let spec = shipped().spec().clone();
    let request =
        |picture: Bytes| spec.request([("image", Input::Picture(picture)), ("text", Input::Text("sun".into()))]);
    assert!(request(cut_short(&strawberry())).is_ok());
    let refusal = request(Bytes::from_static(b"GIF89a")).unwrap_err();
    assert_eq!(refusal.fault.code(), "input_not_picture");
}

#[test]
fn names_of_any_script_and_length_are_answered() {
    let mut model = shipped();
    let texts = ["草莓", "🍓", "a", "\u{0}\u{7f}", "   ", &"strawberry ".repeat(23)];
    let good = strawberry();
    let requests: Vec<Request> = texts.iter().map(|text| with_text(&good, text)).collect();
    let requests: Vec<&Request> = requests.iter().collect();
    for answer in model.forward(&requests, TEXT, Precision::Fp32).unwrap().answers {
        assert!((0.0..=1.0).contains(&answer.unwrap().probability));
    }
}

#[test]
fn a_batch_of_names_of_many_lengths_answers_as_each_alone_does() {
    let mut model = shipped();
    let examples = Task::Emoji.examples(&Assets::standard(), Part::Served).unwrap();
    let requests: Vec<&Request> = examples.iter().step_by(30).map(|example| &example.request).collect();
    for selection in [TEXT, BOTH] {
        let together = model.forward(&requests, selection, Precision::Fp32).unwrap().answers;
        for (request, answer) in requests.iter().zip(together) {
            let (alone, answer) = (
                model.forward(&[request], selection, Precision::Fp32).unwrap().answers.remove(0).unwrap(),
                answer.unwrap(),
            );
            assert_eq!(alone.label, answer.label);
            assert!((alone.probability - answer.probability).abs() < 1e-3, "{alone:?} {answer:?}");
        }
    }
}

#[test]
fn the_shipped_weights_answer_the_profiled_half_as_the_profile_says() {
    let mut model = shipped();
    let profile = Task::Emoji.profile().unwrap().to_core().unwrap();
    let examples = Task::Emoji.examples(&Assets::standard(), Part::Profile).unwrap();
    let measured = score(model.as_mut(), &examples, Mode::full(TEXT)).unwrap().accuracy;
    let profiled = profile.accuracy(Mode::full(TEXT)).unwrap();
    assert_eq!(measured.samples, profiled.samples);
    // another processor may round a few answers otherwise
    assert!(measured.correct.abs_diff(profiled.correct) <= 4, "{measured:?} {profiled:?}");
    let mean = |selection| profile.accuracy(Mode::full(selection)).unwrap().mean();
    assert!(mean(IMAGE) < mean(BOTH) && mean(TEXT) < mean(BOTH));
}

fn shipped() -> Box<dyn Model> {
    crate::load(Task::Emoji).expect("run `make setup` first")
}

fn strawberry() -> Request {
    let file = Assets::standard().path("emoji/google/64/1f353.png").expect("run `make setup` first");
    Request::new(vec![Input::Picture(std::fs::read(file).unwrap().into()), Input::Text("strawberry".into())])
}

fn with_picture(request: &Request, picture: Bytes) -> Request {
    Request::new(vec![Input::Picture(picture), request.inputs()[1].clone()])
}

fn with_text(request: &Request, text: &str) -> Request {
    Request::new(vec![request.inputs()[0].clone(), Input::Text(Bytes::copy_from_slice(text.as_bytes()))])
}

/// The first half of the picture: its header is sound.
fn cut_short(request: &Request) -> Bytes {
    match &request.inputs()[0] {
        Input::Picture(file) => file.slice(..file.len() / 2),
        other => panic!("expected a picture, got {other:?}"),
    }
}

fn name(answer: &Result<Output, Unanswered>) -> &str {
    &answer.as_ref().expect("a sound request").name
}
