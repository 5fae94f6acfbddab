//! Inputs of every kind, as JSON and as parts.

use mosel_models::Modality;

use serde_json::Value;

use super::*;

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

/// The inputs that these fields make, or what is wrong with them.
fn from_fields(fields: &Value) -> Result<Vec<Input>, (&'static str, String)> {
    let body = json!({ "model": "toy", "deadline_ms": 5, "requests": [fields] }).to_string();
    let read = || {
        let requests = Submission::parse(body.as_bytes())?.requests.expect("they are there");
        from_json(&spec(), requests)
    };
    read().map(|requests| requests[0].inputs().to_vec()).map_err(|error: ApiError| (error.code.word(), error.message))
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

fn column(name: &str, parts: &[(PartForm, &[u8])]) -> Column {
    let part = |&(form, content): &(PartForm, &[u8])| Part { form, content: Bytes::copy_from_slice(content) };
    Column { name: name.into(), parts: parts.iter().map(part).collect() }
}

fn requests(columns: &[Column]) -> Result<Arc<[Request]>, String> {
    let spec = spec();
    let columns: Vec<_> = columns.iter().map(|column| (column.name.as_str(), column.requests(&spec))).collect();
    let count = columns.iter().map(|(_, requests)| requests.len()).max().unwrap_or(0);
    from_columns(&spec, count, &columns).map_err(|fault| fault.message)
}

/// Parts for three requests; the second video comes as numbers.
fn columns() -> Vec<Column> {
    use PartForm::{File, Floats, Json};
    let floats = [0f32, 1.0, 2.0, 3.0, 4.0, 5.0].map(f32::to_le_bytes).concat();
    let two = [1f32, 2.0].map(f32::to_le_bytes).concat();
    let half = [0.5f32, -0.5].map(f32::to_le_bytes).concat();
    vec![
        column("photo", &[(File, PNG), (Json, b"[0, 1, 2]"), (File, PNG)]),
        column("clip", &[(File, PNG), (File, PNG), (Floats, &floats), (File, PNG), (File, PNG)]),
        column("voice", &[(File, WAV), (Floats, &half), (Json, b"[0.5, -0.5]")]),
        column("words", &[(File, b"a"), (File, b"b"), (File, b"c")]),
        column("motion", &[(File, &two), (Floats, &two), (Json, b"[[1], [2]]")]),
    ]
}

#[test]
fn parts_of_a_name_are_requests_and_those_of_a_video_are_frames() {
    let requests = requests(&columns()).unwrap();
    assert_eq!(requests.len(), 3);
    let frames = Input::Frames(vec![Bytes::from_static(PNG); 2].into());
    assert_eq!([0, 2].map(|index: usize| &requests[index].inputs()[1]), [&frames; 2]);
    assert_eq!(requests[1].inputs()[1], Input::Samples([0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into()));
    assert_eq!(requests[1].inputs()[2], requests[2].inputs()[2]);
    assert_eq!(requests[0].inputs()[4], requests[2].inputs()[4]);
}

#[test]
fn a_video_that_lacks_a_frame_is_refused() {
    let mut columns = columns();
    columns[1].parts.pop();
    assert_eq!(requests(&columns).unwrap_err(), "requests[2].clip: expected 2 frames, got 1");
    columns[1].parts.remove(0);
    assert_eq!(requests(&columns).unwrap_err(), "requests[0].clip: expected 2 frames, got 1");
    columns[2].parts[1].content = Bytes::from_static(b"123");
    columns[1] = column("clip", &[(PartForm::File, PNG); 6]);
    let refusal = requests(&columns).unwrap_err();
    assert!(refusal.starts_with("requests[1].voice: expected little-endian 32-bit floats"), "{refusal}");
}

#[test]
fn a_part_says_how_it_is_written() {
    assert_eq!(PartForm::of(Some("application/json; charset=utf-8")), PartForm::Json);
    assert_eq!(PartForm::of(Some("Application/X-Float32")), PartForm::Floats);
    assert_eq!([PartForm::of(Some("image/png")), PartForm::of(None)], [PartForm::File; 2]);
}
