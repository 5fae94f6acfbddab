//! How one job fared, by what its server answered.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mosel_core::{Accuracy, Mode, Profile};
use serde_json::Value;

use super::target_model::millis;
use mosel_client::connection::Answer;
use mosel_client::inputs;

/// How a job fared.
#[derive(Debug, PartialEq)]
pub(super) enum JobResult {
    /// Every request was answered.
    Served(ServedJob),
    /// Not accepted, for a reason of this code.
    Refused(String),
    /// Given up since it would have been late.
    Dropped,
    /// Given up by somebody else.
    Cancelled,
    /// By the server's words.
    Failed(String),
    /// There is no answer, since this happened.
    Unanswered(String),
}

/// What a job was served with. Times are of the server's own clock, since its start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServedJob {
    /// When the server took the job.
    pub(super) arrival: Duration,
    /// When its last request was answered.
    pub(super) finish: Duration,
    /// When that had to be.
    pub(super) deadline: Duration,
    /// What its batches took.
    pub(super) device_time: Duration,
    /// Requests by what they ran on.
    pub(super) mix: BTreeMap<Mode, u32>,
    /// Mean of the profiled accuracies of the mix.
    pub(super) accuracy: f64,
    /// Answers of the server that are right, of those whose label is known; `None` if none is.
    pub(super) measured: Option<Accuracy>,
    /// The first request of its own that failed.
    pub(super) fault: Option<String>,
}

/// The codes under which a server passes on that its scheduler, or its memory, did not take a job.
const REFUSALS: [&str; 11] = [
    "overloaded",
    "queue_full",
    "deadline_impossible",
    "floor_unreachable",
    "out_of_range",
    "inputs_full",
    "model_lost",
    "device_suspect",
    "over_share",
    "rate_limited",
    "work_full",
];

impl JobResult {
    /// The result of a job whose requests have these labels.
    pub(super) fn of(answer: &Result<Answer>, profile: &Profile, labels: &[Option<usize>]) -> JobResult {
        let Answer { status, body } = match answer {
            Ok(answer) => answer,
            Err(error) => return JobResult::Unanswered(format!("{error:#}")),
        };
        if let Some(code) = body["error"]["code"].as_str() {
            let message = body["error"]["message"].as_str().unwrap_or("no reason was told");
            let refused = REFUSALS.contains(&code);
            return if refused {
                JobResult::Refused(code.into())
            } else {
                JobResult::Failed(format!("{code}: {message}"))
            };
        }
        match body["state"].as_str() {
            Some("served") => ServedJob::read(body, profile, labels).map_or_else(
                |error| JobResult::Failed(format!("expected a served job as documented: {error:#}")),
                JobResult::Served,
            ),
            Some("dropped") => JobResult::Dropped,
            Some("cancelled") => JobResult::Cancelled,
            // what is not answered whole is not good
            Some("failed" | "partial") => {
                JobResult::Failed(body["reason"].as_str().unwrap_or("no reason was told").into())
            }
            _ => JobResult::Failed(format!("expected a job or an error, got status {}", status.as_u16())),
        }
    }
}

impl ServedJob {
    fn read(body: &Value, profile: &Profile, labels: &[Option<usize>]) -> Result<ServedJob> {
        let outputs = body["outputs"].as_array().context("expected outputs, got none")?;
        ensure!(outputs.len() == labels.len(), "expected {} outputs, got {}", labels.len(), outputs.len());
        let timings = &body["timings"];
        let arrival = time(timings, "arrival_ms")?;
        let mix = mix(outputs, profile)?;
        Ok(ServedJob {
            arrival,
            finish: arrival + time(timings, "finished_ms")?,
            deadline: arrival + time(body, "deadline_ms")?,
            device_time: time(timings, "device_ms")?,
            accuracy: accuracy(&mix, profile)?,
            mix,
            measured: measured(outputs, labels),
            fault: outputs.iter().find_map(|output| Some(output["error"]["message"].as_str()?.to_owned())),
        })
    }
}

fn time(object: &Value, field: &str) -> Result<Duration> {
    millis(object[field].as_f64().with_context(|| format!("expected a number as {field}, got {}", object[field]))?)
}

fn mix(outputs: &[Value], profile: &Profile) -> Result<BTreeMap<Mode, u32>> {
    let mut mix = BTreeMap::new();
    for output in outputs {
        *mix.entry(inputs::mode(output, &profile.modalities)?).or_insert(0) += 1;
    }
    Ok(mix)
}

/// By the profile; not taken from the certificate, so that a server cannot vouch for itself.
fn accuracy(mix: &BTreeMap<Mode, u32>, profile: &Profile) -> Result<f64> {
    let (mut correct, mut requests) = (0.0, 0.0);
    for (&mode, &count) in mix {
        let profiled = profile.accuracy(mode);
        let profiled = profiled.with_context(|| format!("the profile lacks {}", mode.label(&profile.modalities)))?;
        correct += f64::from(count) * profiled.mean();
        requests += f64::from(count);
    }
    ensure!(requests > 0.0, "expected at least one output, got none");
    Ok(correct / requests)
}

fn measured(outputs: &[Value], labels: &[Option<usize>]) -> Option<Accuracy> {
    let right = |(output, label): (&Value, usize)| output["class"].as_u64() == Some(label as u64);
    let judged = outputs.iter().zip(labels).filter_map(|(output, label)| Some((output, (*label)?)));
    let samples = judged.clone().count() as u32;
    (samples > 0).then(|| Accuracy { correct: judged.filter(|pair| right(*pair)).count() as u32, samples })
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use mosel_core::{Latency, Measurement, ModalitySet};
    use serde_json::json;

    use super::*;

    fn profile() -> Profile {
        let measurement = |bits, correct| Measurement {
            mode: Mode::full(ModalitySet::from_bits(bits)),
            batch_size: 1,
            latency: Latency::exactly(Duration::from_millis(1)),
            accuracy: Accuracy { correct, samples: 10 },
            memory_bytes: 0,
        };
        let modalities = ["image", "text"].map(String::from).into();
        let measurements = vec![measurement(2, 6), measurement(3, 9)];
        Profile { id: "p".into(), model: "toy".into(), modalities, measurements }
    }

    fn result(body: Value, labels: &[Option<usize>]) -> JobResult {
        JobResult::of(&Ok(Answer { status: StatusCode::OK, body }), &profile(), labels)
    }

    fn served() -> Value {
        json!({
            "state": "served", "deadline_ms": 100.5,
            "timings": { "arrival_ms": 7000.25, "finished_ms": 99.125, "device_ms": 40 },
            "outputs": [
                { "modalities": "image+text", "precision": "fp32", "class": 3 },
                { "modalities": "text", "class": 1 },
                { "modalities": "text", "error": { "code": "input_broken_picture", "message": "torn" } },
            ],
        })
    }

    #[test]
    fn a_served_job_is_judged_by_the_profile_and_by_its_labels() {
        let JobResult::Served(service) = result(served(), &[Some(3), Some(2), None]) else { panic!("it was served") };
        let micros =
            [service.arrival, service.finish, service.deadline, service.device_time].map(|time| time.as_micros());
        assert_eq!(micros, [7_000_250, 7_099_375, 7_100_750, 40_000]);
        assert_eq!(
            service.mix,
            BTreeMap::from([(2, 2), (3, 1)].map(|(bits, count)| (Mode::full(ModalitySet::from_bits(bits)), count)))
        );
        assert!((service.accuracy - 0.7).abs() < 1e-12, "{}", service.accuracy);
        assert_eq!(service.measured, Some(Accuracy { correct: 1, samples: 2 }));
        assert_eq!(service.fault.as_deref(), Some("torn"));
    }

    #[test]
    fn without_labels_nothing_is_measured() {
        let JobResult::Served(service) = result(served(), &[None; 3]) else { panic!("it was served") };
        assert_eq!(service.measured, None);
    }

    #[test]
    fn a_served_job_that_is_not_as_documented_has_failed() {
        let failure = |field: &str, value: Value, expected: &str| {
            let mut body = served();
            body[field] = value;
            let JobResult::Failed(words) = result(body, &[None; 3]) else { panic!("{field} was not missed") };
            assert!(words.contains(expected), "{words}");
        };
        failure("outputs", json!([]), "expected 3 outputs, got 0");
        failure("deadline_ms", json!("soon"), "expected a number as deadline_ms, got \"soon\"");
        failure("deadline_ms", json!(-1), "expected milliseconds from 0 on, got -1");
        let smell = json!([{ "modalities": "smell" }, { "modalities": "text" }, { "modalities": "text" }]);
        failure("outputs", smell, "expected modalities among image, text, got \"smell\"");
        let image = json!([{ "modalities": "image" }, { "modalities": "text" }, { "modalities": "text" }]);
        failure("outputs", image, "the profile lacks image");
    }

    #[test]
    fn every_other_end_is_told_apart() {
        assert_eq!(result(json!({ "state": "dropped" }), &[]), JobResult::Dropped);
        assert_eq!(result(json!({ "state": "cancelled" }), &[]), JobResult::Cancelled);
        assert_eq!(result(json!({ "state": "failed", "reason": "lost" }), &[]), JobResult::Failed("lost".into()));
        let error = |code: &str| result(json!({ "error": { "code": code, "message": "no" } }), &[]);
        assert_eq!(error("overloaded"), JobResult::Refused("overloaded".into()));
        assert_eq!(error("draining"), JobResult::Failed("draining: no".into()));
        assert_eq!(result(json!("what?"), &[]), JobResult::Failed("expected a job or an error, got status 200".into()));
        let lost = JobResult::of(&Err(anyhow::anyhow!("hung up").context("asking")), &profile(), &[]);
        assert_eq!(lost, JobResult::Unanswered("asking: hung up".into()));
    }
}
