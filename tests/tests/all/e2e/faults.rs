//! Models that fail: what fails with them, and what does not.

use serde_json::json;

use super::fixture::{Fixture, job, saying};

#[test]
fn an_input_that_turns_out_to_be_bad_fails_its_own_request() {
    let server = Fixture::start();
    let mut three = job(3);
    three["requests"][1]["text"] = "broken".into();
    let served = server.client.run(&three).expect(200).json;
    assert_eq!(served["state"], "partial");
    assert_eq!(served["outputs"][1]["error"]["code"], "input_broken_picture");
    assert!(served["outputs"][0]["label"].is_string() && served["outputs"][2]["label"].is_string());
}

#[test]
fn a_model_that_panics_fails_the_job_and_no_other() {
    let server = Fixture::start();
    let failed = server.client.run(&saying("panic")).expect(200).json;
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["reason"], "the model panicked: offended");
    assert_eq!(failed["certificate"]["mix"], json!([]));
    assert_eq!(server.client.run(&job(4)).expect(200).json["state"], "served");
}

#[test]
fn a_request_at_which_the_backend_fails_fails_alone_and_the_model_stays() {
    let server = Fixture::start();
    let mut three = job(3);
    three["requests"][1]["text"] = "fail".into();
    let partial = server.client.run(&three).expect(200).json;
    let error = &partial["outputs"][1]["error"];
    assert_eq!(error["code"], "request_failed");
    assert!(error["message"].as_str().is_some_and(|words| words.contains("out of memory")), "{partial}");
    assert!(partial["outputs"][0]["label"].is_string() && partial["outputs"][2]["label"].is_string());
    let failed = server.client.run(&saying("fail")).expect(200).json;
    assert_eq!(failed["outputs"][0]["error"]["code"], "request_failed");
    assert!(!server.client.get("/metrics").expect(200).text.contains("mosel_models_lost_total{"), "it was kept");
    assert_eq!(server.client.run(&job(1)).expect(200).json["state"], "served");
}

#[test]
fn what_is_no_number_is_no_answer_and_fails_no_other() {
    let server = Fixture::start();
    let mut three = job(3);
    three["requests"][2]["text"] = "nan".into();
    let partial = server.client.run(&three).expect(200).json;
    assert_eq!(partial["outputs"][2]["error"]["code"], "output_not_finite");
    assert_eq!(partial["outputs"][2]["probability"], json!(null));
    assert!(partial["outputs"][0]["label"].is_string() && partial["outputs"][1]["label"].is_string());
    assert_eq!(server.client.metric("mosel_requests_unanswered_total{reason=\"output_not_finite\"}"), 1.0);
    assert_eq!(server.client.metric("mosel_requests_answered_total"), 2.0);
}
