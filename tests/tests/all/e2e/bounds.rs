//! Every bound twice: kept, and broken.

use std::time::Duration;

use serde_json::json;

use super::fixture::{Fixture, job, with};
use mosel_testkit::client::{eventually, read, so};

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = Fixture::with(|config| config.queue.max_jobs = 2);
    for _ in 0..2 {
        server.client.submit(&job(8)).expect(202);
    }
    let refused = server.client.submit(&job(1));
    assert_eq!(refused.refusal(), (429, "queue_full"));
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    std::thread::sleep(Duration::from_secs(wait));
    server.client.submit(&job(1)).expect(202);
}

#[test]
fn an_overloaded_server_offers_a_deadline_that_it_then_accepts() {
    let server = Fixture::start();
    // 8 batches take 480 ms, and have no time to let anybody go ahead
    server.client.submit(&with(with(job(32), "min_accuracy", 0.9), "deadline_ms", 515)).expect(202);
    let wish = with(job(4), "deadline_ms", 100);
    let refused = server.client.submit(&wish);
    assert_eq!(refused.refusal(), (503, "overloaded"));
    assert!(refused.header("retry-after").is_some());
    let offer = &refused.json["error"]["details"]["counter_offer"]["earliest_deadline_ms"];
    server.client.submit(&with(wish, "deadline_ms", offer.clone())).expect(202);
}

#[test]
fn an_overloaded_server_offers_a_floor_that_it_then_accepts() {
    let server = Fixture::start();
    let wish = with(with(job(4), "deadline_ms", 100), "min_accuracy", 0.9);
    server.client.submit(&with(job(4), "min_accuracy", 0.9)).expect(202);
    let refused = server.client.submit(&wish);
    assert_eq!(refused.refusal(), (503, "overloaded"));
    let offer = &refused.json["error"]["details"]["counter_offer"]["best_accuracy"];
    assert!(offer.as_f64() < Some(0.9), "{offer}");
    server.client.submit(&with(wish, "min_accuracy", offer.clone())).expect(202);
}

#[test]
fn inputs_of_all_jobs_together_are_bounded_and_freed_with_their_job() {
    let server = Fixture::with(|config| {
        config.http.max_body_bytes = 4096;
        config.queue.max_input_bytes = 8192;
    });
    let mut large = job(1);
    large["requests"][0]["text"] = "x".repeat(1900).into();
    let first = server.client.submit(&large).expect(202);
    // holds the device while the next ones wait
    let mut second = large.clone();
    second["requests"][0]["text"] = "y".repeat(1900).into();
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(server.client.submit(&second).refusal().0);
    }
    assert!(codes.contains(&503), "{codes:?}");
    server.client.await_state(first.id(), "served");
    eventually(|| so(server.client.submit(&second).status == 202));
}

#[test]
fn ended_jobs_are_forgotten_by_number() {
    let server = Fixture::with(|config| config.finished.max_jobs = 1);
    let jobs: Vec<_> = (0..3).map(|_| server.client.run(&job(1)).expect(200)).collect();
    let look_up = |job: usize| server.client.get(&format!("/v1/jobs/{}", jobs[job].id()));
    assert_eq!(look_up(0).refusal(), (410, "result_evicted"));
    look_up(2).expect(200);
}

#[test]
fn ended_jobs_are_forgotten_by_age_though_nothing_happens() {
    let server = Fixture::with(|config| config.finished.keep_ms = 150);
    let path = format!("/v1/jobs/{}", server.client.run(&job(1)).expect(200).id());
    server.client.get(&path).expect(200);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(server.client.get(&path).refusal(), (404, "unknown_job"));
}

#[test]
fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let server = Fixture::with(|config| config.http.max_body_bytes = 2048);
    let padded = |length: usize| {
        let mut body = job(1).to_string();
        body.push_str(&" ".repeat(length - body.len()));
        body
    };
    let post =
        |body: &str| server.client.send("POST", "/v1/jobs", &["content-type: application/json"], body.as_bytes());
    post(&padded(2048)).expect(202);
    assert_eq!(post(&padded(2049)).refusal(), (413, "body_too_large"));
    // without a length nothing can be said before it is read
    let chunked = format!(
        "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n801\r\n{}\r\n0\r\n\r\n",
        padded(2049)
    );
    let answer = read(server.client.begin(chunked.as_bytes())).expect("an answer");
    assert_eq!(answer.refusal(), (413, "body_too_large"));
}

#[test]
fn a_job_may_have_as_many_requests_as_the_limit_and_no_more() {
    let server = Fixture::with(|config| config.queue.max_requests = 3);
    server.client.submit(&job(3)).expect(202);
    let refused = server.client.submit(&job(4));
    assert_eq!(refused.refusal(), (413, "job_too_large"));
    assert_eq!(refused.json["error"]["details"], json!({ "max_requests": 3 }));
}
