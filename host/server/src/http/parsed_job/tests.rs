//! Inputs of every kind, as JSON and as parts.

use mosel_models::Modality;

use serde_json::{Value, json};

use super::*;
use crate::byte_budget::ByteBudget;
use crate::http::body::Bounds;
use crate::shares::ShareKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn spec() -> Spec {
    let modalities = vec![
        Modality::new("photo", InputKind::Picture { max_side: 64, raw: vec![1, 1, 3] }),
        Modality::new("clip", InputKind::Video { frames: 2, max_side: 64, raw: vec![2, 1, 1, 3] }),
        Modality::new("voice", InputKind::Sound { hertz: 8000, samples: 2 }),
        Modality::new("words", InputKind::Text { max_bytes: 9 }),
        Modality::new("motion", InputKind::Samples { shape: vec![2, 1] }),
    ];
    Spec { name: "toy".into(), modalities, labels: vec!["a".into()].into(), weights_sha256: String::new() }
}

/// The beginning of a PNG file of 1x1 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
const WAV: &[u8] = b"RIFF\x04\0\0\0WAVE";

fn memory() -> RefCell<Memory> {
    let full = (ErrorCode::InputsFull, "full");
    let bounds = Bounds { most_bytes: 1 << 20, timeout: Duration::from_secs(1), full };
    RefCell::new(Memory::new(ByteBudget::new(16 << 20, 1 << 20).hold(ShareKey::Anybody, 1.0), bounds))
}

/// The inputs of the first request of this body, or what is wrong with it.
fn from_body(body: &str) -> Result<Vec<Input>, (&'static str, String)> {
    let (spec, memory) = (spec(), memory());
    let find = |name: &str| match name {
        "toy" => Ok(&spec),
        _ => Err(ApiError::new(ErrorCode::UnknownModel, "there is one")),
    };
    let read = submission::job(body, &Limits { spec: &find, max_requests: 3 }, &memory);
    read.map(|job| job.requests[0].inputs().to_vec()).map_err(|error| (error.code.word(), error.message))
}

/// The inputs that these fields make, or what is wrong with them.
fn from_fields(fields: &Value) -> Result<Vec<Input>, (&'static str, String)> {
    let head = r#"{ "model": "toy", "deadline_ms": 5, "requests": ["#;
    let inputs = from_body(&format!("{head}{fields}]}}"));
    let before = format!(r#"{{ "requests": [{fields}], "model": "toy", "deadline_ms": 5 }}"#);
    let place = |text: &str| text.split(" at line").next().unwrap_or_default().to_owned();
    let plain = |read: Result<Vec<Input>, (&'static str, String)>| read.map_err(|(code, text)| (code, place(&text)));
    assert_eq!(plain(inputs.clone()), plain(from_body(&before)), "requests may come before their model");
    inputs
}

fn base64(file: &[u8]) -> Value {
    json!({ "base64": STANDARD.encode(file) })
}

fn files() -> Value {
    json!({
        "photo": base64(PNG), "clip": [base64(PNG), base64(PNG)], "voice": base64(WAV), "words": "hi", "motion": [[1], [2]],
    })
}

#[test]
fn every_kind_comes_as_files_or_as_numbers() {
    let file = Bytes::from_static(PNG);
    let motion = Input::Samples([1.0, 2.0].into());
    let expected = [
        Input::Picture(file.clone()),
        Input::Frames(vec![file.clone(), file].into()),
        Input::Sound(WAV.into()),
        Input::Text("hi".into()),
        motion.clone(),
    ];
    assert_eq!(from_fields(&files()).unwrap(), expected);
    let mut numbers = files();
    numbers["photo"] = json!([[[0, 128, 255]]]);
    numbers["clip"] = json!([[[[0, 1, 2]]], [[[3, 4, 5]]]]);
    numbers["voice"] = json!([0.5, -1]);
    let inputs = from_fields(&numbers).unwrap();
    assert_eq!(inputs[0], Input::Samples([0.0, 128.0, 255.0].into()));
    assert_eq!(inputs[1], Input::Samples([0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into()));
    assert_eq!((&inputs[2], &inputs[4]), (&Input::Samples([0.5, -1.0].into()), &motion));
}

#[test]
fn what_is_wrong_with_an_input_is_said_where_it_is() {
    let refusal = |name: &str, input: Value| {
        let mut fields = files();
        fields[name] = input;
        from_fields(&fields).unwrap_err()
    };
    let (code, message) = refusal("clip", json!([base64(PNG)]));
    assert_eq!((code, message.as_str()), ("input_frame_count", "requests[0].clip: expected 2 frames, got 1"));
    let (code, message) = refusal("clip", json!([base64(PNG), { "base64": "?" }]));
    assert!(code == "bad_base64" && message.starts_with("requests[0].clip[1]: expected base64"), "{message}");
    assert_eq!(refusal("clip", base64(PNG)).0, "input_frame_count");
    assert_eq!(refusal("clip", json!([[1, 2], [3, 4]])).0, "input_shape");
    assert_eq!(refusal("clip", json!([0, 1, 2, 3, 4, 256])).0, "input_out_of_range");
    assert_eq!(refusal("photo", json!([base64(PNG)])).0, "input_kind");
    assert_eq!(refusal("voice", base64(PNG)).0, "input_not_sound");
    assert_eq!(refusal("voice", json!([0.5])).0, "input_sample_count");
    assert_eq!(refusal("voice", json!([[0.5], [0.5]])).0, "input_shape");
    assert_eq!(refusal("words", json!([base64(b"hi")])).0, "input_kind");
}

fn column(parts: &[(PartForm, &[u8])]) -> Vec<Part> {
    let part = |&(form, content): &(PartForm, &[u8])| Part { form, content: Bytes::copy_from_slice(content) };
    parts.iter().map(part).collect()
}

fn requests(parts: Vec<Vec<Part>>) -> Result<Arc<[Request]>, String> {
    let spec = spec();
    let columns = Columns { spec: &spec, max_requests: 3, parts };
    let columns = columns.requests();
    let count = columns.iter().map(Vec::len).max().unwrap_or(0);
    from_columns(&spec, count, &columns, &memory()).map_err(|fault| fault.message)
}

/// Parts for three requests; the second video comes as numbers.
fn columns() -> Vec<Vec<Part>> {
    use PartForm::{File, Floats, Json};
    let floats = [0f32, 1.0, 2.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat();
    let two = [1f32, 2.0].map(f32::to_le_bytes).concat();
    let half = [0.5f32, -0.5].map(f32::to_le_bytes).concat();
    vec![
        column(&[(File, PNG), (Json, b"[0, 1, 2]"), (File, PNG)]),
        column(&[(File, PNG), (File, PNG), (Floats, &floats), (File, PNG), (File, PNG)]),
        column(&[(File, WAV), (Floats, &half), (Json, b"[0.5, -0.5]")]),
        column(&[(File, b"a"), (File, b"b"), (File, b"c")]),
        column(&[(File, &two), (Floats, &two), (Json, b"[[1], [2]]")]),
    ]
}

#[test]
fn parts_of_a_name_are_requests_and_those_of_a_video_are_frames() {
    let requests = requests(columns()).unwrap();
    assert_eq!(requests.len(), 3);
    let frames = Input::Frames(vec![Bytes::from_static(PNG); 2].into());
    assert_eq!([0, 2].map(|index: usize| &requests[index].inputs()[1]), [&frames; 2]);
    assert_eq!(requests[1].inputs()[1], Input::Samples([0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into()));
    assert_eq!(requests[1].inputs()[2], requests[2].inputs()[2]);
    assert_eq!(requests[0].inputs()[4], requests[2].inputs()[4]);
}

#[test]
fn a_video_that_lacks_a_frame_is_refused() {
    let but = |change: &dyn Fn(&mut Vec<Vec<Part>>)| {
        let mut columns = columns();
        change(&mut columns);
        requests(columns).unwrap_err()
    };
    let refusal = but(&|columns| drop(columns[1].pop()));
    assert_eq!(refusal, "requests[2].clip: expected 2 frames, got 1");
    let refusal = but(&|columns| drop(columns[1].remove(0)));
    assert_eq!(refusal, "requests[0].clip: expected 2 frames, got 1");
    let refusal = but(&|columns| columns[2][1].content = Bytes::from_static(b"123"));
    assert!(refusal.starts_with("requests[1].voice: expected little-endian 32-bit floats"), "{refusal}");
    let refusal = but(&|columns| columns[2][1].content = vec![0; 12].into());
    assert_eq!(refusal, "requests[1].voice: expected 2 numbers, got 12 bytes of them");
}

#[test]
fn a_part_says_how_it_is_written() {
    assert_eq!(PartForm::of(Some("application/json; charset=utf-8")), PartForm::Json);
    assert_eq!(PartForm::of(Some("Application/X-Float32")), PartForm::Floats);
    assert_eq!([PartForm::of(Some("image/png")), PartForm::of(None)], [PartForm::File; 2]);
}

/// Code and message, without the place in the text.
fn refusal_of(body: &str) -> (&'static str, String) {
    let (code, message) = from_body(body).unwrap_err();
    (code, message.split(" at line").next().unwrap_or_default().to_owned())
}

fn refusal_in(request: &str) -> (&'static str, String) {
    refusal_of(&format!(r#"{{"model":"toy","deadline_ms":5,"requests":[{request}]}}"#))
}

#[test]
fn codes_tell_kinds_of_mistakes_apart_whatever_they_quote() {
    let code = |body: &str| refusal_of(body).0;
    assert_eq!(code(r#"{"model":"toy","deadline_ms":"#), "malformed_json");
    assert_eq!(code(r#"{"model":"toy","deadline_ms":5,"requests":[{"words":"x"},"#), "malformed_json");
    assert_eq!(code(r#"{"model":"toy","deadline_ms":5,"requests":[{"words":tru"#), "malformed_json");
    assert_eq!(code(r#"{"model":"toy","deadline_ms":5,"requests":[]} x"#), "malformed_json");
    assert_eq!(code(r#"{"model":"toy"}"#), "missing_field");
    assert_eq!(code(r#"{"deadline_ms":5,"requests":[]}"#), "missing_field");
    assert_eq!(code(r#"{"model":"toy","deadline_ms":5}"#), "missing_field");
    assert_eq!(code(r#"{"model":"toy","deadline_ms":5,"requests":null}"#), "missing_field");
    assert_eq!(code(r#"{"model":"toy","deadline":5}"#), "unknown_field");
    assert_eq!(code(r#"{"model":"toy","model":"toy"}"#), "duplicate_field");
    assert_eq!(code(r#"{"model":"nobody","deadline_ms":5,"requests":[{"#), "unknown_model");
    for quoted in ["unknown field", "missing field", "duplicate field"] {
        let (code, message) = refusal_of(&format!(r#"{{"model":"toy","deadline_ms":"{quoted}"}}"#));
        assert_eq!(code, "wrong_type");
        assert_eq!(message, "expected a JSON object as documented: deadline_ms: expected a number, got a string");
    }
}

#[test]
fn what_is_no_number_is_said_with_its_field() {
    for text in ["NaN", "Infinity", "-Infinity", "+1", ".5", "1e999"] {
        let (code, message) = refusal_of(&format!(r#"{{"model":"toy","deadline_ms":{text}}}"#));
        assert_eq!(code, "malformed_json", "{text}");
        assert!(message.contains("documented: deadline_ms: "), "{message}");
        let (code, message) = refusal_in(&format!(r#"{{"voice":[0.5,{text}]}}"#));
        assert_eq!(code, "malformed_json", "{text}");
        assert!(message.contains("requests[0].voice: "), "{message}");
    }
    let (code, message) = refusal_in(r#"{"voice":[1e39]}"#);
    assert_eq!((code, message.contains("requests[0].voice: expected a number within 32-bit")), ("wrong_type", true));
}

#[test]
fn a_bad_input_is_named_by_request_and_modality() {
    let refusal = |request: &str| refusal_in(&format!(r#"{{"words":"ok"}},{request}"#));
    let (code, message) = refusal(r#"{"words":7}"#);
    assert_eq!(code, "wrong_type");
    assert!(
        message.starts_with("requests[1].words: expected a string, {") && message.ends_with("got a number"),
        "{message}"
    );
    let both = "requests[1].clip: expected files or numbers in an array, got both";
    assert_eq!(refusal(r#"{"clip":[{"base64":"AA=="},1]}"#), ("wrong_type", both.into()));
    assert_eq!(refusal(r#"{"clip":[[[[1,2,3]]],{"base64":"AA=="}]}"#), ("wrong_type", both.into()));
    let ragged = "requests[1].clip: expected rows of one shape, row 1 differs";
    assert_eq!(refusal(r#"{"clip":[[[[1,2,3]]],[]]}"#), ("wrong_type", ragged.into()));
    assert_eq!(refusal(r#"{"motion":[[1,2],[3]]}"#).0, "input_shape");
    let unknown = "requests[1].photo: unknown field `base46`, expected base64";
    assert_eq!(refusal(r#"{"photo":{"base46":"x"}}"#), ("unknown_field", unknown.into()));
    assert_eq!(refusal(r#"{"clip":[{"base46":"x"}]}"#).0, "unknown_field");
    assert_eq!(refusal(r#"{"photo":{}}"#), ("missing_field", "requests[1].photo: missing field `base64`".into()));
    assert_eq!(refusal("7").1, "requests[1]: expected an object with one input for every modality, got a number");
    let message = from_body(r#"{"model":"toy","deadline_ms":5,"requests":[{"words":7}]}"#).unwrap_err().1;
    assert_eq!(message.matches(" at line 1 column ").count(), 1, "{message}");
}

#[test]
fn the_place_is_that_of_the_whole_text_though_requests_came_first() {
    let error = |body: &str| from_body(body).unwrap_err().1;
    let first = error("{\n \"requests\": [\n {\"words\": 1e999}],\n \"model\": \"toy\", \"deadline_ms\": 5}");
    let last = error("{\"model\": \"toy\", \"deadline_ms\": 5,\n \"requests\": [\n {\"words\": 1e999}]}");
    assert_eq!(first, last);
    assert!(first.contains(" at line 3 column "), "{first}");
}

/// Nothing follows what is refused: the body is not read to its end.
#[test]
fn what_a_model_does_not_take_is_refused_where_it_stands() {
    let code = |requests: &str| refusal_of(&format!(r#"{{"model":"toy","deadline_ms":5,"requests":{requests}"#)).0;
    assert_eq!(code(r#"[{"smell":"#), "modality_unknown");
    assert_eq!(code(r#"[{"words":"a","words":"#), "modality_unknown");
    assert_eq!(code(r#"[{"clip":[{"base64":"AA=="},{"base64":"AA=="},{"base64""#), "input_frame_count");
    assert_eq!(code(r#"[{"voice":[0,0,0,"#), "input_sample_count");
    assert_eq!(code(r#"[{"motion":[[1],[2],[3],"#), "input_shape");
    assert_eq!(code(r#"[{"motion":[[1,2,"#), "input_shape");
    assert_eq!(code(r#"[{"motion":[[["#), "input_shape");
    assert_eq!(code(r#"[{"words":"0123456789","#), "input_text_length");
    assert_eq!(code(r#"[{"motion":{"base64":"AA==""#), "input_kind");
    assert_eq!(code(r#"[{},{},{},{"#), "job_too_large");
    assert_eq!(code(r#"[{"words":["#).len(), "malformed_json".len());
}

#[test]
fn files_may_be_data_urls() {
    let mut fields = files();
    let url = |file: &[u8]| format!("data:image/png;base64,{}", STANDARD.encode(file));
    fields["photo"] = url(PNG).into();
    fields["clip"] = json!([url(PNG), { "base64": url(PNG) }]);
    fields["words"] = "data:,ok".into();
    let inputs = from_fields(&fields).unwrap();
    assert_eq!(inputs[0], Input::Picture(Bytes::from_static(PNG)));
    assert_eq!(inputs[3], Input::Text("data:,ok".into()));
    fields["photo"] = json!({ "base64": "AA\nA?" });
    let (code, message) = from_fields(&fields).unwrap_err();
    assert_eq!((code, message.as_str()), ("bad_base64", "requests[0].photo: expected base64, got '?' at byte 4"));
}
