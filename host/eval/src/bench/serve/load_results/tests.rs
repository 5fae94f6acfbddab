//! Four jobs, answered by hand.

use anyhow::anyhow;
use hyper::StatusCode;
use mosel_core::{Latency, Measurement, ModalitySet, Mode, ModelId, Profile, StrategyMatrix};
use mosel_models::{InputKind, Modality};
use mosel_sim::{Arrival, Workload};
use serde_json::{Value, json};

use super::*;
use mosel_client::inputs::Pool;

fn target() -> TargetModel {
    let measurement = |bits, correct| Measurement {
        mode: Mode::full(ModalitySet::from_bits(bits)),
        batch_size: 1,
        latency: Latency::exactly(Duration::from_millis(10)),
        accuracy: Accuracy { correct, samples: 10 },
        memory_bytes: 0,
    };
    let modalities = ["image", "text"].map(String::from).into();
    let measurements = vec![measurement(2, 6), measurement(3, 9)];
    let profile = Profile { id: "p".into(), model: "toy".into(), modalities, measurements };
    let matrix = StrategyMatrix::new(ModelId(0), profile.into(), 4).unwrap();
    TargetModel { modalities: vec![Modality::new("text", InputKind::Text { max_bytes: 9 })], matrix }
}

/// Of four jobs of two requests each, due every 100 ms, with 50 ms and a floor of 0.8.
fn results() -> LoadResults {
    let arrival = |number: u64| {
        let at = Time::from_millis(100 * number);
        let deadline = at + Duration::from_millis(50);
        let job = Job { requests: 2, deadline, min_accuracy: 0.8, ..mosel_testkit::jobs::job(number) };
        Arrival { at, job }
    };
    let arrivals: Vec<Arrival> = (1..=4).map(arrival).collect();
    let target = target();
    let inputs = Pool::smallest(&target.modalities).unwrap();
    LoadResults::new(OfferedJobs::new("toy", &arrivals, &Workload::default(), inputs, 1).into(), target.into())
}

/// A job that the server took 7 s and so many milliseconds after its start.
fn served(arrival_ms: f64, finished_ms: f64, selection: &str) -> Value {
    let output = json!({ "modalities": selection, "class": 0 });
    json!({
        "state": "served", "deadline_ms": 50.0,
        "timings": { "arrival_ms": 7000.0 + arrival_ms, "finished_ms": finished_ms, "device_ms": 20.0 },
        "outputs": [output, output],
    })
}

fn heard(index: usize, sent_ms: u64, answer: Result<Value>) -> JobAnswer {
    let [sent, read] = [sent_ms, sent_ms + 60].map(Duration::from_millis);
    let answer = answer.map(|body| Answer { status: StatusCode::OK, body });
    JobAnswer { index, sent, read, answer }
}

#[test]
fn every_job_is_counted_once_whatever_became_of_it() {
    let mut results = results();
    results.enter(heard(0, 100, Ok(served(100.0, 30.0, "image+text"))));
    results.enter(heard(1, 200, Ok(json!({ "error": { "code": "overloaded" } }))));
    results.enter(heard(1, 200, Ok(json!({ "error": { "code": "overloaded" } }))));
    results.enter(heard(2, 300, Err(anyhow!("hung up"))));
    assert_eq!((results.heard(), results.is_complete()), (3, false));
    let tally = results.tally();
    assert_eq!((tally.arrived, tally.requests_arrived), (4, 8));
    assert_eq!((tally.served.len(), tally.refused, tally.failed, tally.dropped), (1, 1, 2, 0));
    assert_eq!(tally.violations(), 3);
    let seen = results.seen();
    assert_eq!((seen.unanswered, seen.silence.as_deref()), (2, Some("hung up")));
    assert_eq!(seen.refusals, BTreeMap::from([("overloaded".to_owned(), 1)]));
}

#[test]
fn lateness_is_by_the_servers_clock_and_completion_from_when_a_job_was_due() {
    let mut results = results();
    // the server's clock is 7 s ahead; the second job is sent 15 ms late and takes 3 ms more to get there
    results.enter(heard(0, 100, Ok(served(100.0, 50.0, "image+text"))));
    results.enter(heard(1, 215, Ok(served(218.0, 50.001, "image+text"))));
    let tally = results.tally();
    let completions: Vec<u128> = tally.served.iter().map(|job| job.completion().as_micros()).collect();
    assert_eq!(completions, [50_000, 68_001]);
    assert_eq!((tally.late(), tally.served[0].good, tally.served[1].good), (1, true, false));
    assert_eq!(results.seen().lags, [0.0, 0.015]);
    assert_eq!(results.seen().answers, [0.06, 0.075]);
}

#[test]
fn a_mix_below_the_floor_is_found_whatever_the_server_claims() {
    let mut results = results();
    let mut body = served(100.0, 30.0, "text");
    body["certificate"] = json!({ "floor_kept": true });
    results.enter(heard(0, 100, Ok(body)));
    let tally = results.tally();
    assert_eq!((tally.floors_broken, tally.late(), tally.served[0].good), (1, 0, false));
    assert_eq!(tally.mix, BTreeMap::from([(Mode::full(ModalitySet::from_bits(2)), 2)]));
}

#[test]
fn so_far_only_what_is_due_and_heard_of_counts() {
    let mut results = results();
    results.enter(heard(0, 100, Ok(served(100.0, 30.0, "image+text"))));
    let tally = results.so_far(Duration::from_millis(250));
    assert_eq!((tally.arrived, tally.served.len(), tally.violations()), (2, 1, 0));
}
