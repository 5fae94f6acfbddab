//! A policy in the shadow: asked the same, and never obeyed.

use serde_json::{Value, json};

use super::fixture::{Fixture, PATIENT_MS, overload};
use crate::guests::HOSTILE;
use mosel_testkit::client::Client;

fn start() -> Fixture {
    Fixture::with(|config| config.policy.budget_ms = PATIENT_MS)
}

fn set(client: Client, name: &str, settings: &Value) -> Value {
    client.put("/v1/policy/shadow", &json!({ "name": name, "settings": settings })).expect(200).json
}

#[test]
fn a_shadow_that_squeezes_is_told_apart_from_one_in_place_that_does_not() {
    let server = start();
    assert_eq!(server.client.get("/v1/policy/shadow").refusal(), (404, "no_shadow"));
    assert_eq!(server.client.get("/v1/policy").json["shadow"], Value::Null);
    let fresh = set(server.client, "greedy", &json!({}));
    assert_eq!((&fresh["compared"], &fresh["against"]["name"]), (&json!(0), &json!("highest-accuracy")));
    overload(server.client, 4, 500.0);
    let seen = server.client.await_answer("/v1/policy/shadow", |seen| seen["differed"].as_u64() >= Some(1));
    let violations = |side: &str| seen[side]["violations"].as_u64().expect("a number");
    assert!(violations("shadow") < violations("active"), "{seen}");
    assert!(seen["shadow"]["accuracy"].is_number() && seen["shadow"]["decision_ms"]["p99"].is_number(), "{seen}");
    let verdict = seen["verdict"].as_str().unwrap_or_default();
    assert!(
        verdict.contains("greedy would have left") && verdict.contains("fewer late than highest-accuracy"),
        "{seen}"
    );
    let policy = server.client.get("/v1/policy").json;
    assert_eq!((&policy["name"], &policy["shadow"]["name"]), (&json!("highest-accuracy"), &json!("greedy")));
    assert_eq!(policy["stats"]["jobs_moved"], 0, "the shadow is not obeyed");
    assert!(server.client.metric("mosel_shadow_differed_total") >= 1.0);
    let gone = server.client.delete("/v1/policy/shadow").expect(200).json;
    assert_eq!(gone["name"], "greedy");
    assert_eq!(server.client.delete("/v1/policy/shadow").refusal(), (404, "no_shadow"));
}

#[test]
fn another_policy_in_place_is_compared_anew() {
    let server = start();
    set(server.client, "greedy", &json!({}));
    overload(server.client, 4, 500.0);
    server.client.await_answer("/v1/policy/shadow", |seen| seen["compared"].as_u64() >= Some(1));
    server.client.put("/v1/policy", &json!({ "name": "greedy" })).expect(200);
    let seen = server.client.get("/v1/policy/shadow").expect(200).json;
    assert_eq!((&seen["compared"], &seen["against"]["generation"]), (&json!(0), &json!(2)));
}

#[test]
fn a_shadow_that_fails_is_told_in_words_and_hurts_nobody() {
    let server = start();
    server.client.push("hostile", HOSTILE).expect(201);
    // its rehearsal is two calls, and so is what a fresh instance stands
    let settings = json!({ "behaviour": "panic-later", "amount": 2, "spare_lane_0": false });
    set(server.client, "hostile", &settings);
    assert_eq!(server.client.delete("/v1/policies/hostile").refusal(), (409, "policy_in_use"));
    let ended = overload(server.client, 4, 500.0);
    assert!(ended.iter().all(|job| job["state"] == "served"), "{ended:?}");
    let seen = server.client.await_answer("/v1/policy/shadow", |seen| seen["failures"]["trapped"].as_u64() >= Some(1));
    assert!(seen["verdict"].as_str().is_some_and(|verdict| verdict.contains("hostile failed")), "{seen}");
    assert!(seen["last_error"].as_str().is_some_and(|error| error.contains("trapped")), "{seen}");
    assert_eq!(server.client.get("/v1/policy").json["stats"]["traps"], 0);
}

#[test]
fn a_shadow_passes_a_rehearsal_too() {
    let server = start();
    server.client.push("hostile", HOSTILE).expect(201);
    let wanted = json!({ "name": "hostile", "settings": { "behaviour": "panic", "spare_lane_0": false } });
    assert_eq!(server.client.put("/v1/policy/shadow", &wanted).refusal(), (422, "policy_rehearsal_failed"));
    assert_eq!(server.client.get("/v1/policy/shadow").refusal(), (404, "no_shadow"));
}
