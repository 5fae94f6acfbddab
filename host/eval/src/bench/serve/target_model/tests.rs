//! A server's words about its model, as `GET /v1/models/{name}` and `/profile` have them.

use mosel_core::{ModalitySet, Mode};
use serde_json::{Value, json};

use super::*;

fn description() -> Value {
    json!({
        "name": "toy", "max_requests": 32, "labels": ["a"], "weights_sha256": "", "profiles": { "cpu": "p" }, "lost_on": [],
        "modalities": [
            { "name": "image", "kind": "picture", "limits": { "max_side": 512, "raw": [] } },
            { "name": "text", "kind": "text", "limits": { "max_bytes": 256 } },
            { "name": "motion", "kind": "samples", "limits": { "shape": [200, 3] } },
        ],
    })
}

fn measured(names: &[&str], mean: f64) -> Value {
    json!({
        "id": "p", "model": "toy", "modalities": names,
        "measurements": [{
            "modalities": "image+text", "batch_size": 4, "memory_bytes": 7,
            "latency_ms": { "mean": mean, "median": 1.2, "p95": 1.9, "p99": 2.001 },
            "accuracy": { "mean": 0.8, "low": 0.5, "high": 0.9, "correct": 8, "samples": 10 },
        }],
    })
}

fn target(measured: Value) -> Result<TargetModel> {
    TargetModel::new(serde_json::from_value(description())?, serde_json::from_value(measured)?)
}

#[test]
fn what_a_server_says_of_its_model_is_what_it_was_told() {
    let target = target(measured(&["image", "text", "motion"], 1.234)).unwrap();
    let kinds: Vec<&InputKind> = target.modalities.iter().map(|modality| &modality.kind).collect();
    let samples = InputKind::Samples { shape: vec![200, 3] };
    assert_eq!(
        kinds,
        [&InputKind::Picture { max_side: 512, raw: vec![] }, &InputKind::Text { max_bytes: 256 }, &samples]
    );
    let [mean, median, p95, p99] = [1234, 1200, 1900, 2001].map(Duration::from_micros);
    let measurement = Measurement {
        mode: Mode::full(ModalitySet::from_bits(3)),
        batch_size: 4,
        latency: Latency { mean, median, p95, p99 },
        accuracy: Accuracy { correct: 8, samples: 10 },
        memory_bytes: 7,
    };
    assert_eq!(target.profile().measurements, [measurement]);
    assert_eq!(target.matrix.max_requests(), 32);
}

#[test]
fn nonsense_is_refused_with_what_was_expected() {
    let refusal = |measured| format!("{:#}", target(measured).unwrap_err());
    assert_eq!(refusal(measured(&["image"], 1.0)), "expected modalities among image, got \"text\"");
    assert_eq!(refusal(measured(&["image", "text"], -1.0)), "expected milliseconds from 0 on, got -1");
    assert!(refusal(measured(&["image", "text"], 0.0)).contains("takes no time at all"));
    let many: Vec<String> = (0..40).map(|number| format!("m{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(refusal(measured(&many, 1.0)), "expected at most 16 modalities, got 40");
}

#[test]
fn a_model_is_of_the_zoo_or_a_profile_and_a_servers_may_be_any() {
    let refusal = Model::find("nobody", true, |_| {}).map(|_| ()).unwrap_err().to_string();
    assert!(
        refusal.contains(
            "expected a model of the zoo (emoji, watch, home-tasks, doom-tvlt, doom-tbn) or a profile's file"
        ),
        "{refusal}"
    );
    let timed = Model::find("watch", true, |_| {}).unwrap();
    assert_eq!((timed.name(), timed.flags()[0].as_str()), ("watch", "--timed"));
    assert!(matches!(Model::theirs("emoji", false).unwrap(), Model::Theirs(_, Some(Task::Emoji))));
    assert!(matches!(Model::theirs("emoji", true).unwrap(), Model::Theirs(_, None)));
    assert!(matches!(Model::theirs("vilt", false).unwrap(), Model::Theirs(_, None)));
    assert!(Model::theirs("", false).is_err());
}
