//! Models that fail: what fails with them, and what does not.

use serde_json::json;

use super::fixture::{Fixture, job, saying};

#[test]
fn an_input_that_turns_out_to_be_bad_fails_its_own_request() {
    let server = Fixture::start();
    let mut three = job(3);
    three["requests"][1]["text"] = "broken".into();
    let served = server.client.run(&three).expect(200).json;
    assert_eq!(served["state"], "served");
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
fn a_model_that_gives_an_error_fails_the_job_with_its_reason() {
    let server = Fixture::start();
    let failed = server.client.run(&saying("fail")).expect(200).json;
    assert_eq!((&failed["state"], &failed["outputs"]), (&json!("failed"), &json!([null])));
    assert!(failed["reason"].as_str().is_some_and(|reason| reason.contains("out of memory")), "{failed}");
    assert_eq!(server.client.run(&job(1)).expect(200).json["state"], "served");
}
