//! The policy before comes back: asked for, and when the one in place fails too often.

use serde_json::{Value, json};

use super::fixture::{Fixture, PATIENT_MS, overload};

#[test]
fn a_rollback_brings_the_one_before_back_with_its_settings_and_again_returns() {
    let server = Fixture::start();
    assert_eq!(server.client.post("/v1/policy/rollback").refusal(), (409, "nothing_to_roll_back_to"));
    let settings = json!({ "deterministic": true });
    server.client.put("/v1/policy", &json!({ "name": "greedy", "settings": settings })).expect(200);
    let back = server.client.post("/v1/policy/rollback").expect(200).json;
    assert_eq!((&back["name"], &back["generation"]), (&json!("highest-accuracy"), &json!(3)));
    let again = server.client.post("/v1/policy/rollback").expect(200).json;
    assert_eq!((&again["name"], &again["generation"], &again["settings"]), (&json!("greedy"), &json!(4), &settings));
    assert_eq!(again["previous"]["name"], "highest-accuracy");
    let last = &again["last_rollback"];
    assert_eq!((&last["from"], &last["to"]), (&json!("highest-accuracy"), &json!("greedy")));
    assert_eq!(last["automatic"], false);
    assert_eq!(server.client.metric("mosel_policy_rollbacks_total{automatic=\"false\"}"), 2.0);
    assert_eq!(server.client.metric("mosel_policy_swaps_total"), 3.0);
    assert_eq!(server.client.metric("mosel_policy_generation"), 4.0);
}

/// A server on which a policy that misbehaves in this way has come back, after `highest-accuracy`.
fn returned_to(behaviour: &str, budget_ms: u64) -> Fixture {
    let server = Fixture::with_hostile_and(json!({ "behaviour": behaviour }), |config| {
        config.policy.budget_ms = budget_ms;
        config.policy.rollback_failures = 2;
        config.policy.rollback_window = 4;
    });
    server.client.put("/v1/policy", &json!({ "name": "highest-accuracy" })).expect(200);
    server.client.post("/v1/policy/rollback").expect(200);
    server
}

/// Overloads the server until nobody's wish has brought `highest-accuracy` back, and every job is served.
fn until_rolled_back(server: &Fixture) -> Value {
    let overloaded = || {
        let ended = overload(server.client, 4, 500.0);
        let served = |job: &Value| job["state"] == "served" && job["certificate"]["floor_kept"] == true;
        assert!(ended.iter().all(served), "{ended:?}");
        server.client.get("/v1/policy").json
    };
    let policy = std::iter::repeat_with(overloaded).take(50).find(|policy| policy["name"] == "highest-accuracy");
    policy.expect("two failures of four answers are too many")
}

#[test]
fn a_policy_that_traps_too_often_is_rolled_back_and_every_job_is_served() {
    let server = returned_to("panic", PATIENT_MS);
    let policy = until_rolled_back(&server);
    let last = &policy["last_rollback"];
    assert_eq!((&last["from"], &last["automatic"]), (&json!("hostile"), &json!(true)));
    let reason = last["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("failed 2 times in its last 2 answers") && reason.contains("trapped"), "{reason}");
    assert_eq!((&policy["previous"]["name"], &policy["previous"]["failed"]), (&json!("hostile"), &json!(true)));
    assert_eq!(server.client.metric("mosel_policy_rollbacks_total{automatic=\"true\"}"), 1.0);
}

#[test]
fn an_answer_that_is_illegal_too_often_is_a_reason_too() {
    let server = returned_to("unknown-job", PATIENT_MS);
    let policy = until_rolled_back(&server);
    let reason = policy["last_rollback"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("is not in the snapshot"), "{reason}");
}

#[test]
fn time_outs_and_refusals_to_answer_roll_nothing_back() {
    for (behaviour, budget_ms, kind) in [("loop-in-decide", 10, "timed_out"), ("give-up", PATIENT_MS, "declined")] {
        let server = returned_to(behaviour, budget_ms);
        let refused = |policy: &Value| policy["stats"]["refused"][kind].as_u64() >= Some(6);
        let policy = std::iter::repeat_with(|| {
            overload(server.client, 4, 500.0);
            server.client.get("/v1/policy").json
        });
        let policy = policy.take(50).find(refused).expect("six answers that are none");
        assert_eq!((&policy["name"], &policy["generation"]), (&json!("hostile"), &json!(3)), "{behaviour}");
        assert_eq!(policy["last_rollback"]["automatic"], false);
    }
}

#[test]
fn without_a_policy_before_a_failing_one_stays_and_the_squeeze_serves() {
    let server = Fixture::with_hostile_and(json!({ "behaviour": "panic" }), |config| {
        config.policy.rollback_failures = 1;
    });
    let ended = overload(server.client, 4, 500.0);
    assert!(ended.iter().all(|job| job["state"] == "served"), "{ended:?}");
    let policy = server.client.get("/v1/policy").json;
    assert_eq!((&policy["name"], &policy["generation"]), (&json!("hostile"), &json!(1)));
    assert_eq!(policy["last_rollback"], Value::Null);
}
