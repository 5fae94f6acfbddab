//! Inputs that clients submit: real held-out examples, or the least that a model takes.

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::zoo::Task;
use mosel_models::{Input, InputKind, Modality, Part, assets::Assets};
use rand::RngExt;
use serde_json::{Map, Value, json};

use crate::connection::Submission;

/// Requests of one model, each encoded once, to be submitted in any number of jobs.
#[derive(Clone, Debug)]
pub struct Pool {
    form: Form,
    requests: Vec<Encoded>,
}

/// A request as it is written, and the label of its right answer if there is one.
#[derive(Clone, Debug)]
struct Encoded {
    bytes: Vec<u8>,
    label: Option<usize>,
}

/// How jobs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Takes the least time to put together and to read.
    Json,
    /// For numbers, which a server would read from JSON longer than it answers them, and for videos and sounds, which base64
    /// makes a third larger.
    Multipart,
}

/// The beginning of a PNG file of 1x1 pixels; a timed model reads no further.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
/// The beginning of a WAV file.
const WAV: &[u8] = b"RIFF\x04\0\0\0WAVE";
/// The most numbers that are made up for one modality.
const MOST_SAMPLES: usize = 1 << 20;
/// The most frames that are made up for one video.
const MOST_FRAMES: usize = 1 << 10;
/// What numbers are declared as: only where nothing but numbers is taken does a server take them unasked.
const FLOATS: &str = "content-type: application/x-float32\r\n";
/// What parts are kept apart by: no input contains it but by a coincidence of 1 in 2^128.
const MULTIPART: &str = "multipart/form-data; boundary=9c1f4e0b7a2d48d5b6e3f0a1c2d4e587";
const SEPARATOR: &str = "--9c1f4e0b7a2d48d5b6e3f0a1c2d4e587";

/// How the server says that it ran a request; a server that names no precision computed with the full one.
pub fn mode(output: &Value, names: &[String]) -> Result<Mode> {
    let label = output["modalities"].as_str().context("expected an output with modalities, got one without")?;
    mode_of(label, output["precision"].as_str(), names)
}

/// The mode of a label such as `image+text` and the name of a precision.
pub fn mode_of(label: &str, precision: Option<&str>, names: &[String]) -> Result<Mode> {
    let unknown = |name| anyhow!("expected modalities among {}, got {name:?}", names.join(", "));
    let modalities = ModalitySet::parse(label, names).map_err(unknown)?;
    Ok(Mode { modalities, precision: precision.map_or(Ok(Precision::Fp32), str::parse)? })
}

impl Pool {
    /// The real examples that this model is to be served with, labels included.
    pub fn held_out(task: Task, assets: &Assets) -> Result<Pool> {
        let spec = task.spec()?;
        let form = Form::of(&spec.modalities);
        let names = spec.modality_names();
        let examples =
            task.examples(assets, Part::Served).with_context(|| format!("reading the examples of {task}"))?;
        let encode = |example: &mosel_models::Example| {
            let inputs = names.iter().copied().zip(example.request.inputs());
            Encoded { bytes: form.request(inputs), label: Some(example.label) }
        };
        Ok(Pool { form, requests: examples.iter().map(encode).collect() })
    }

    /// One request that passes every check made before a model decodes it: enough for a model that only takes its time.
    pub fn smallest(modalities: &[Modality]) -> Result<Pool> {
        let form = Form::of(modalities);
        let inputs = modalities.iter().map(|modality| Ok((modality.name.as_str(), least(&modality.kind)?)));
        let inputs: Vec<(&str, Input)> = inputs.collect::<Result<_>>()?;
        let bytes = form.request(inputs.iter().map(|(name, input)| (*name, input)));
        Ok(Pool { form, requests: vec![Encoded { bytes, label: None }] })
    }

    /// So many of the requests, by their indices; the same one may come again.
    pub fn choose(&self, count: u32, random: &mut impl RngExt) -> Vec<u32> {
        (0..count).map(|_| random.random_range(0..self.requests.len()) as u32).collect()
    }

    /// The right answer to the request of this index, as the model's labels are counted.
    pub fn label(&self, index: u32) -> Option<usize> {
        self.requests[index as usize].label
    }

    /// A job of these fields, at least one, and of the chosen requests.
    pub fn job(&self, fields: &Map<String, Value>, chosen: &[u32]) -> Submission {
        let fields = serde_json::to_string(fields).expect("a map with text keys has a JSON form");
        let requests: Vec<&[u8]> = chosen.iter().map(|&index| &self.requests[index as usize].bytes[..]).collect();
        match self.form {
            Form::Json => Submission::json(json_job(&fields, &requests)),
            Form::Multipart => Submission { content_type: MULTIPART, body: multipart_job(&fields, &requests) },
        }
    }
}

fn json_job(fields: &str, requests: &[&[u8]]) -> Bytes {
    let open = fields.strip_suffix('}').unwrap_or(fields);
    let requests = requests.join(&b","[..]);
    [open.as_bytes(), br#","requests":["#, &requests, b"]}"].concat().into()
}

fn multipart_job(fields: &str, requests: &[&[u8]]) -> Bytes {
    let job = part("job", "", fields.as_bytes());
    let requests = requests.concat();
    [&job, &requests, SEPARATOR.as_bytes(), b"--\r\n"].concat().into()
}

/// `form` is a header line of its own, or nothing.
fn part(name: &str, form: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("{SEPARATOR}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n{form}\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

impl Form {
    /// What suits these modalities.
    fn of(modalities: &[Modality]) -> Form {
        let plain = |name: &str| name != "job" && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let large = |kind: &InputKind| {
            matches!(kind, InputKind::Samples { .. } | InputKind::Video { .. } | InputKind::Sound { .. })
        };
        let large = modalities.iter().any(|modality| large(&modality.kind));
        let plain = modalities.iter().all(|modality| plain(&modality.name));
        if large && plain { Form::Multipart } else { Form::Json }
    }

    /// One request.
    fn request<'a>(self, inputs: impl Iterator<Item = (&'a str, &'a Input)>) -> Vec<u8> {
        match self {
            Form::Json => {
                let field = |(name, input): (&str, &Input)| format!("{}:{}", Value::from(name), json_value(input));
                format!("{{{}}}", inputs.map(field).collect::<Vec<_>>().join(",")).into_bytes()
            }
            Form::Multipart => inputs.flat_map(|(name, input)| parts(name, input)).collect(),
        }
    }
}

fn json_value(input: &Input) -> String {
    match input {
        Input::Picture(file) | Input::Sound(file) => encoded(file).to_string(),
        Input::Frames(files) => Value::from(files.iter().map(encoded).collect::<Vec<_>>()).to_string(),
        Input::Text(text) => Value::from(String::from_utf8_lossy(text)).to_string(),
        // not by way of a Value, which would write 0.1 as 0.10000000149011612
        Input::Samples(samples) => serde_json::to_string(samples.as_ref()).expect("numbers have a JSON form"),
    }
}

fn encoded(file: &Bytes) -> Value {
    json!({ "base64": STANDARD.encode(file) })
}

/// One part, or of a video one for every frame.
fn parts(name: &str, input: &Input) -> Vec<u8> {
    match input {
        Input::Picture(bytes) | Input::Sound(bytes) | Input::Text(bytes) => part(name, "", bytes),
        Input::Frames(files) => files.iter().flat_map(|file| part(name, "", file)).collect(),
        Input::Samples(samples) => {
            let numbers: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            part(name, FLOATS, &numbers)
        }
    }
}

/// The least that is accepted as this kind.
fn least(kind: &InputKind) -> Result<Input> {
    match kind {
        InputKind::Picture { .. } => Ok(Input::Picture(Bytes::from_static(PNG))),
        InputKind::Video { frames, .. } => {
            ensure!((1..=MOST_FRAMES).contains(frames), "expected 1 to {MOST_FRAMES} frames, {frames} are wanted");
            Ok(Input::Frames(vec![Bytes::from_static(PNG); *frames].into()))
        }
        InputKind::Sound { .. } => Ok(Input::Sound(Bytes::from_static(WAV))),
        InputKind::Text { .. } => Ok(Input::Text("x".into())),
        InputKind::Samples { shape } => {
            let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
            let count = count.filter(|count| *count <= MOST_SAMPLES);
            let count =
                count.with_context(|| format!("expected at most {MOST_SAMPLES} numbers, got a shape of {shape:?}"))?;
            ensure!(count > 0, "expected a shape that holds at least one number, got {shape:?}");
            Ok(Input::Samples(vec![0.0; count].into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use mosel_models::Spec;

    use super::*;

    fn modalities() -> Vec<Modality> {
        let kinds = [
            ("picture", InputKind::Picture { max_side: 1, raw: vec![] }),
            ("words", InputKind::Text { max_bytes: 1 }),
            ("motion", InputKind::Samples { shape: vec![4, 3] }),
            ("clip", InputKind::Video { frames: 2, max_side: 1, raw: vec![] }),
            ("voice", InputKind::Sound { hertz: 8000, samples: 8000 }),
        ];
        kinds.map(|(name, kind)| Modality::new(name, kind)).into()
    }

    #[test]
    fn the_least_of_every_kind_is_accepted() {
        let modalities = modalities();
        let spec =
            Spec { name: "toy".into(), modalities, labels: vec!["a".into()].into(), weights_sha256: String::new() };
        let inputs = spec.modalities.iter().map(|modality| (modality.name.clone(), least(&modality.kind).unwrap()));
        spec.request(inputs).unwrap();
    }

    #[test]
    fn a_job_holds_the_fields_and_the_chosen_requests_in_their_order() {
        let encoded = |json: &str| Encoded { bytes: json.into(), label: None };
        let requests = vec![encoded(r#"{"words":"a"}"#), encoded(r#"{"words":"b"}"#)];
        let pool = Pool { form: Form::Json, requests };
        let fields = json!({ "model": "toy", "deadline_ms": 1.5 });
        let job = pool.job(fields.as_object().unwrap(), &[1, 0, 1]);
        let requests = json!([{ "words": "b" }, { "words": "a" }, { "words": "b" }]);
        let body: Value = serde_json::from_slice(&job.body).unwrap();
        assert_eq!(body, json!({ "model": "toy", "deadline_ms": 1.5, "requests": requests }));
        assert_eq!(job.content_type, "application/json");
    }

    #[test]
    fn numbers_go_as_they_are_each_in_a_part_of_its_modality() {
        let pool = Pool::smallest(&modalities()[2..3]).unwrap();
        let job = pool.job(json!({ "model": "toy" }).as_object().unwrap(), &[0, 0]);
        let text = String::from_utf8(job.body.to_vec()).unwrap();
        let head = |name: &str| format!("{SEPARATOR}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n");
        let motion = format!("{}{FLOATS}\r\n{}\r\n", head("motion"), "\0".repeat(4 * 12));
        assert_eq!(text, format!("{}\r\n{{\"model\":\"toy\"}}\r\n{motion}{motion}{SEPARATOR}--\r\n", head("job")));
        assert!(job.content_type.ends_with(&SEPARATOR[2..]));
    }

    #[test]
    fn a_video_goes_frame_by_frame_and_a_sound_whole() {
        let pool = Pool::smallest(&modalities()[3..]).unwrap();
        let job = pool.job(json!({ "model": "toy" }).as_object().unwrap(), &[0]);
        let names = |name: &str| String::from_utf8_lossy(&job.body).matches(&format!("name=\"{name}\"")).count();
        assert_eq!([names("job"), names("clip"), names("voice")], [1, 2, 1]);
        assert!(least(&InputKind::Video { frames: usize::MAX, max_side: 1, raw: vec![] }).is_err());
        let json = json_value(&least(&modalities()[3].kind).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), json!([encoded(&PNG.into()), encoded(&PNG.into())]));
    }

    #[test]
    fn a_name_that_would_need_quoting_is_left_to_json() {
        let motion = |name: &str| [Modality::new(name, InputKind::Samples { shape: vec![1] })];
        assert_eq!(Form::of(&motion("speed_2")), Form::Multipart);
        assert_eq!([Form::of(&motion("a\"b")), Form::of(&motion("job"))], [Form::Json; 2]);
        assert_eq!(Form::of(&modalities()[..2]), Form::Json);
    }

    #[test]
    fn names_and_text_are_quoted_and_numbers_are_short() {
        let inputs = [("a\"b", Input::Text("c\"d".into())), ("n", Input::Samples(vec![0.1, -2.0].into()))];
        let json = Form::Json.request(inputs.iter().map(|(name, input)| (*name, input)));
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"a\"b":"c\"d","n":[0.1,-2.0]}"#);
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_refused() {
        let refusal = |shape: Vec<usize>| least(&InputKind::Samples { shape }).unwrap_err().to_string();
        assert_eq!(refusal(vec![1 << 20, 2]), "expected at most 1048576 numbers, got a shape of [1048576, 2]");
        assert!(refusal(vec![usize::MAX, 2]).starts_with("expected at most"));
        assert!(refusal(vec![3, 0]).starts_with("expected a shape that holds at least one number"));
    }
}
