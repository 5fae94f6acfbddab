//! What a well-behaved client gets.

use serde_json::{Value, json};

use super::fixture::{Fixture, PNG, job, with};
use mosel_testkit::client::{Answer, Client};

#[test]
fn a_waiting_client_gets_outputs_timings_and_a_certificate() {
    let server = Fixture::start();
    let served = server.client.run(&with(job(5), "min_accuracy", 0.85)).expect(200).json;
    assert_eq!(served["state"], "served");
    assert_eq!(served["outputs"].as_array().map(Vec::len), Some(5));
    assert_eq!(served["outputs"][4]["modalities"], "image+text");
    let certificate = &served["certificate"];
    let near = |field: &str, expected: f64| {
        let came = certificate[field].as_f64().unwrap_or(f64::NAN);
        assert!((came - expected).abs() < 1e-3, "expected {field} to be {expected}: {certificate}");
    };
    near("floor", 0.85);
    near("accuracy", 0.90);
    // 90 of 100: the lower end of the Wilson interval
    near("accuracy_lower_bound", 0.8256);
    near("lateness_ms", 0.0);
    assert_eq!(certificate["mix"][0]["requests"], 5);
    assert_eq!(certificate["profile"], json!({ "id": "profile of pair", "samples": 100 }));
    assert_eq!(certificate["policy"]["name"], "highest-accuracy");
    assert_eq!(certificate["policy"]["hash"].as_str().map(str::len), Some(64));
    assert_eq!((&certificate["floor_kept"], &certificate["in_time"]), (&json!(true), &json!(true)));
    assert!(served["timings"]["device_ms"].as_f64() >= Some(80.0), "{}", served["timings"]);
}

#[test]
fn parts_of_a_multipart_body_find_their_requests() {
    let server = Fixture::start();
    let as_json = server.client.run(&job(3)).expect(200).json;
    let as_parts = multipart(server.client, 3, &["prefer: wait"]).expect(200).json;
    assert_eq!(as_parts["outputs"], as_json["outputs"]);
}

#[test]
fn numbers_come_nested_flat_or_as_floats() {
    let server = Fixture::start();
    let of = |speed: Value| json!({ "model": "motion", "deadline_ms": 9000, "requests": [{ "speed": speed }] });
    let nested = server.client.run(&of(json!([[1, 2], [3, 4], [5, 6.5]]))).expect(200).json;
    let flat = server.client.run(&of(json!([1, 2, 3, 4, 5, 6.5]))).expect(200).json;
    let floats: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.5].into_iter().flat_map(f32::to_le_bytes).collect();
    let job = br#"{"model":"motion","deadline_ms":9000}"#;
    let raw = send_parts(server.client, &[("job", job), ("speed", &floats)], &["prefer: wait"]).expect(200).json;
    assert_eq!(nested["outputs"], flat["outputs"]);
    assert_eq!(nested["outputs"], raw["outputs"]);
    assert!(nested["outputs"][0]["label"].is_string());
}

#[test]
fn a_client_that_does_not_wait_is_told_where_to_look_and_when() {
    let server = Fixture::start();
    let busy = server.client.submit(&job(16)).expect(202);
    let accepted = server.client.submit(&job(4)).expect(202);
    assert_eq!(accepted.header("location"), Some(format!("/v1/jobs/{}", accepted.id()).as_str()));
    // 240 ms of the job before, and 60 of its own, with a margin
    let predicted = accepted.json["predicted_finish_ms"].as_f64().expect("a prediction");
    assert!((200.0..400.0).contains(&predicted), "{predicted}");
    let queued = server.client.get(&format!("/v1/jobs/{}", accepted.id())).expect(200).json;
    assert_eq!(queued["state"], "queued");
    assert_eq!(queued["plan"]["steps"][0]["modalities"], "image+text", "{queued}");
    assert_eq!(queued["plan"]["requests_left"], 4);
    server.client.await_state(busy.id(), "served");
    let served = server.client.await_state(accepted.id(), "served").json;
    assert_eq!(served["outputs"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_wait_that_is_over_ends_with_the_job_as_it_is_then() {
    let server = Fixture::start();
    let waited = server.client.submit_with(&job(16), &["prefer: wait=0.05"]).expect(202);
    assert_eq!(waited.json["state"], "running");
    server.client.await_state(waited.id(), "served");
}

#[test]
fn a_job_that_has_not_ended_can_be_cancelled_and_saying_so_twice_does_no_harm() {
    let server = Fixture::start();
    let running = server.client.submit(&job(8)).expect(202);
    let waiting = server.client.submit(&job(4)).expect(202);
    for accepted in [&waiting, &running] {
        let path = format!("/v1/jobs/{}", accepted.id());
        for _ in 0..2 {
            assert_eq!(server.client.delete(&path).expect(200).json["state"], "cancelled");
        }
    }
    let served = server.client.run(&job(1)).expect(200);
    assert_eq!(server.client.delete(&format!("/v1/jobs/{}", served.id())).refusal(), (409, "job_ended"));
}

#[test]
fn one_key_is_one_job_however_it_is_written() {
    let server = Fixture::start();
    let key = ["idempotency-key: k-1"];
    let first = server.client.submit_with(&job(2), &key).expect(202);
    let spaced = serde_json::to_vec_pretty(&job(2)).expect("it is JSON");
    let json = ["idempotency-key: k-1", "content-type: application/json"];
    assert_eq!(server.client.send("POST", "/v1/jobs", &json, &spaced).id(), first.id());
    assert_eq!(multipart(server.client, 2, &key).id(), first.id());
    let less_time_left = with(job(2), "deadline_ms", 50_000);
    assert_eq!(server.client.submit_with(&less_time_left, &key).id(), first.id());
    let other = with(job(2), "min_accuracy", 0.5);
    let conflict = server.client.submit_with(&other, &key);
    assert_eq!(conflict.refusal(), (409, "idempotency_conflict"));
    assert!(!conflict.text.contains(first.id()), "whoever knows the id could see the job: {}", conflict.text);
    server.client.await_state(first.id(), "served");
    assert_eq!(server.client.submit_with(&job(2), &key).expect(200).id(), first.id());
}

#[test]
fn a_tenant_is_part_of_what_a_job_is() {
    let server = Fixture::start();
    let key = ["idempotency-key: k-1"];
    let of = |name: &str| with(job(1), "tenant", name);
    let longest = "t".repeat(64);
    let first = server.client.submit_with(&of(&longest), &key).expect(202);
    assert_eq!(first.json["tenant"], longest);
    let others = server.client.submit_with(&of("other"), &key).expect(202);
    assert_ne!(others.id(), first.id(), "a key is its tenant's own");
    assert_eq!(server.client.run(&job(1)).expect(200).json["tenant"], Value::Null);
    for bad in ["", "two words", "a\u{200b}b", "tab\t", &"t".repeat(65)] {
        assert_eq!(server.client.submit(&of(bad)).refusal(), (400, "bad_tenant"), "{bad:?}");
    }
    assert_eq!(server.client.submit(&with(job(1), "tenant", 7)).refusal(), (400, "wrong_type"));
}

#[test]
fn a_refused_job_leaves_its_key_free() {
    let server = Fixture::start();
    let key = ["idempotency-key: k-1"];
    let impossible = with(job(1), "deadline_ms", 2);
    assert_eq!(server.client.submit_with(&impossible, &key).refusal(), (422, "deadline_impossible"));
    server.client.submit_with(&job(1), &key).expect(202);
}

#[test]
fn jobs_are_listed_in_pages_and_by_state() {
    let server = Fixture::start();
    let served: Vec<String> = (0..3).map(|_| server.client.run(&job(1)).expect(200).id().to_owned()).collect();
    let waiting = server.client.submit(&job(40)).expect(202);
    let ids = |answer: &Answer| {
        let jobs = answer.json["jobs"].as_array().expect("a list").iter();
        jobs.map(|job| job["id"].as_str().expect("an id").to_owned()).collect::<Vec<String>>()
    };
    let list = |query: &str| server.client.get_as_operator(&format!("/v1/jobs?{query}"));
    let first = list("limit=2").expect(200);
    assert_eq!((ids(&first), &first.json["next"]), (served[..2].to_vec(), &json!(served[1])));
    let second = list(&format!("limit=9&after={}", served[1])).expect(200);
    assert_eq!((ids(&second), &second.json["next"]), (vec![served[2].clone(), waiting.id().into()], &Value::Null));
    assert_eq!(ids(&list("state=served")), served);
    assert_eq!(server.client.get("/v1/jobs").refusal(), (401, "token_missing"));
    assert_eq!(list("after=j-aaaaaaaaaaaaaaaaaaaa").refusal(), (404, "unknown_job"));
}

#[test]
fn models_tell_what_they_take_and_what_was_measured() {
    let server = Fixture::start();
    let models = server.client.get("/v1/models").expect(200).json;
    assert_eq!(models["models"][1]["modalities"][0]["limits"]["shape"], json!([3, 2]));
    let profile = server.client.get("/v1/models/pair/profile").expect(200).json;
    assert_eq!(profile["measurements"][5]["latency_ms"]["mean"], 60.0);
    let table = server.client.get("/v1/models/pair/strategies?requests=4").expect(200).json;
    let strategies = table["strategies"].as_array().expect("a list");
    assert_eq!(
        strategies[0]["steps"],
        json!([{ "modalities": "text", "precision": "fp32", "batch_size": 4, "batches": 1, "requests": 4 }])
    );
    assert_eq!(strategies.last().expect("a table is never empty")["latency_ms"], 60.0);
}

/// The same job as [`job`], in parts.
fn multipart(client: Client, requests: usize, headers: &[&str]) -> Answer {
    let png = decode(PNG);
    let texts: Vec<String> = (0..requests).map(|number| format!("number {number}")).collect();
    let mut parts: Vec<(&str, &[u8])> = vec![("job", br#"{"model":"pair","deadline_ms":60000}"#)];
    parts.extend(texts.iter().map(|text| ("text", text.as_bytes())));
    parts.extend((0..requests).map(|_| ("image", &png[..])));
    send_parts(client, &parts, headers)
}

pub(crate) fn send_parts(client: Client, parts: &[(&str, &[u8])], headers: &[&str]) -> Answer {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend_from_slice(format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--cut--\r\n");
    let headers = [headers, &["content-type: multipart/form-data; boundary=cut"]].concat();
    client.send("POST", "/v1/jobs", &headers, &body)
}

fn decode(base64: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = base64.bytes().filter_map(|byte| ALPHABET.iter().position(|digit| *digit == byte));
    let bits: Vec<u8> = digits.flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit & 1) as u8)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | bit)).collect()
}
