//! Inputs that clients submit: real held-out examples, or the least that a model takes.

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mosel_models::zoo::Task;
use mosel_models::{Input, InputKind, Modality, Part, assets::Assets};
use rand::RngExt;
use serde_json::{Map, Value, json};

/// Requests of one model, each encoded once, to be submitted in any number of jobs.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    requests: Vec<Encoded>,
}

/// A request as JSON text, and the label of its right answer if there is one.
#[derive(Clone, Debug)]
struct Encoded {
    json: String,
    label: Option<usize>,
}

/// The beginning of a PNG file of 1x1 pixels; a timed model reads no further.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
/// The most numbers that are made up for one modality.
const MOST_SAMPLES: usize = 1 << 20;

impl Pool {
    /// The real examples that this model is to be served with, labels included.
    pub(crate) fn held_out(task: Task, assets: &Assets) -> Result<Pool> {
        let spec = task.spec()?;
        let names = spec.modality_names();
        let examples =
            task.examples(assets, Part::Served).with_context(|| format!("reading the examples of {task}"))?;
        let encode = |example: &mosel_models::Example| {
            let inputs = names.iter().copied().zip(example.request.inputs());
            Encoded { json: request(inputs), label: Some(example.label) }
        };
        Ok(Pool { requests: examples.iter().map(encode).collect() })
    }

    /// One request that passes every check made before a model decodes it: enough for a model that only takes its time.
    pub(crate) fn smallest(modalities: &[Modality]) -> Result<Pool> {
        let inputs = modalities.iter().map(|modality| Ok((modality.name.as_str(), least(&modality.kind)?)));
        let inputs: Vec<(&str, Input)> = inputs.collect::<Result<_>>()?;
        let json = request(inputs.iter().map(|(name, input)| (*name, input)));
        Ok(Pool { requests: vec![Encoded { json, label: None }] })
    }

    /// So many of the requests, by their indices; the same one may come again.
    pub(crate) fn choose(&self, count: u32, random: &mut impl RngExt) -> Vec<u32> {
        (0..count).map(|_| random.random_range(0..self.requests.len()) as u32).collect()
    }

    /// The right answer to the request of this index, as the model's labels are counted.
    pub(crate) fn label(&self, index: u32) -> Option<usize> {
        self.requests[index as usize].label
    }

    /// A job's body: its fields, at least one, and the chosen requests.
    pub(crate) fn body(&self, fields: &Map<String, Value>, chosen: &[u32]) -> Bytes {
        let mut body = serde_json::to_string(fields).expect("a map with text keys has a JSON form");
        let requests = || chosen.iter().map(|&index| self.requests[index as usize].json.as_str());
        body.reserve(requests().map(|json| json.len() + 1).sum::<usize>() + 16);
        body.pop();
        body.push_str(r#","requests":["#);
        for (place, json) in requests().enumerate() {
            if place > 0 {
                body.push(',');
            }
            body.push_str(json);
        }
        body.push_str("]}");
        body.into()
    }
}

/// One request as JSON writes it.
fn request<'a>(inputs: impl Iterator<Item = (&'a str, &'a Input)>) -> String {
    let field = |(name, input): (&str, &Input)| format!("{}:{}", Value::from(name), value(input));
    format!("{{{}}}", inputs.map(field).collect::<Vec<_>>().join(","))
}

fn value(input: &Input) -> String {
    match input {
        Input::Png(file) => json!({ "base64": STANDARD.encode(file) }).to_string(),
        Input::Text(text) => Value::from(String::from_utf8_lossy(text)).to_string(),
        // not by way of a Value, which would write 0.1 as 0.10000000149011612
        Input::Samples(samples) => serde_json::to_string(samples.as_ref()).expect("numbers have a JSON form"),
    }
}

/// The least that is accepted as this kind.
fn least(kind: &InputKind) -> Result<Input> {
    match kind {
        InputKind::Png { .. } => Ok(Input::Png(Bytes::from_static(PNG))),
        InputKind::Text { .. } => Ok(Input::Text("x".into())),
        InputKind::Samples { shape } => {
            let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
            let count = count.filter(|count| *count <= MOST_SAMPLES);
            let count =
                count.with_context(|| format!("expected at most {MOST_SAMPLES} numbers, a shape of {shape:?} came"))?;
            ensure!(count > 0, "expected a shape that holds at least one number, {shape:?} came");
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
            ("picture", InputKind::Png { max_side: 1 }),
            ("words", InputKind::Text { max_bytes: 1 }),
            ("motion", InputKind::Samples { shape: vec![4, 3] }),
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
    fn a_body_holds_the_fields_and_the_chosen_requests_in_their_order() {
        let encoded = |json: &str| Encoded { json: json.into(), label: None };
        let pool = Pool { requests: vec![encoded(r#"{"words":"a"}"#), encoded(r#"{"words":"b"}"#)] };
        let fields = json!({ "model": "toy", "deadline_ms": 1.5 });
        let body: Value = serde_json::from_slice(&pool.body(fields.as_object().unwrap(), &[1, 0, 1])).unwrap();
        let requests = json!([{ "words": "b" }, { "words": "a" }, { "words": "b" }]);
        assert_eq!(body, json!({ "model": "toy", "deadline_ms": 1.5, "requests": requests }));
    }

    #[test]
    fn names_and_text_are_quoted_and_numbers_are_short() {
        let inputs = [("a\"b", Input::Text("c\"d".into())), ("n", Input::Samples(vec![0.1, -2.0].into()))];
        let json = request(inputs.iter().map(|(name, input)| (*name, input)));
        assert_eq!(json, r#"{"a\"b":"c\"d","n":[0.1,-2.0]}"#);
    }

    #[test]
    fn a_shape_that_no_memory_holds_is_refused() {
        let refusal = |shape: Vec<usize>| least(&InputKind::Samples { shape }).unwrap_err().to_string();
        assert_eq!(refusal(vec![1 << 20, 2]), "expected at most 1048576 numbers, a shape of [1048576, 2] came");
        assert!(refusal(vec![usize::MAX, 2]).starts_with("expected at most"));
        assert!(refusal(vec![3, 0]).starts_with("expected a shape that holds at least one number"));
    }
}
