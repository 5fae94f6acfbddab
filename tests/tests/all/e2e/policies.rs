//! Policies that are changed while jobs run, and some that should not have been.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::fixture::{Fixture, Folder, PATIENT_MS, job, overload};
use crate::guests::HOSTILE;

#[test]
fn a_policy_is_changed_under_load_and_every_job_is_served() {
    let server = Fixture::start();
    let client = server.client;
    client.push("hostile", HOSTILE).expect(201);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut states = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        states.push(client.run(&job(1)).expect(200).json["state"].clone());
                    }
                    states
                })
            })
            .collect();
        for swap in 0..50 {
            let policy = ["greedy", "hostile", "highest-accuracy"][swap % 3];
            let changed = client.put("/v1/policy", &json!({ "name": policy })).expect(200).json;
            assert_eq!((&changed["name"], &changed["generation"]), (&json!(policy), &json!(swap + 2)));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let states = client.join().expect("it submits");
            assert!(!states.is_empty() && states.iter().all(|state| state == "served"), "{states:?}");
        }
    });
    let served = client.run(&job(1)).expect(200).json;
    let policy = &served["certificate"]["policy"];
    assert_eq!((&policy["name"], &policy["generation"]), (&json!("hostile"), &json!(51)));
}

#[test]
fn a_decision_of_the_policy_is_in_the_certificate() {
    let server = Fixture::with(|config| {
        config.policy.name = "greedy".into();
        config.policy.budget_ms = PATIENT_MS;
    });
    // four jobs of 240 ms on both modalities, of 32 ms on text alone, in 500 ms
    let fallback = overload(server.client, 4, 500.0);
    let decided =
        fallback.iter().find_map(|job| job["certificate"]["decisions"].get(0)).expect("somebody was fallback");
    assert_eq!((&decided["by"], &decided["name"]), (&json!("policy"), &json!("greedy")));
    for job in &fallback {
        assert_eq!(job["certificate"]["floor_kept"], true);
        assert_eq!(job["certificate"]["in_time"], true, "{job}");
    }
    let policy = server.client.get("/v1/policy").expect(200).json;
    assert!(policy["stats"]["adopted"].as_u64() >= Some(1), "{policy}");
    assert!(policy["stats"]["decision_ms"]["p50"].is_number(), "{policy}");
}

#[test]
fn files_that_are_no_policies_are_refused_and_the_one_in_place_stays() {
    let folder = Folder::new("refused");
    folder.put("garbage", b"what is this");
    folder.put("module", b"\0asm\x01\0\0\0");
    folder.put("hostile", HOSTILE);
    let server = Fixture::with(|config| {
        config.policy.dir = folder.0.clone();
        config.queue.lanes = 2;
    });
    let put = |name: &str, settings: Value| {
        let answer = server.client.put("/v1/policy", &json!({ "name": name, "settings": settings }));
        let (status, code) = answer.refusal();
        (status, code.to_owned())
    };
    let refused = |code: &str| (422, code.to_owned());
    assert_eq!(put("garbage", json!({})), refused("policy_refused"));
    assert_eq!(put("module", json!({})), refused("policy_refused"));
    assert_eq!(put("hostile", json!({ "behaviour": "refuse-settings" })), refused("policy_settings_refused"));
    assert_eq!(put("hostile", json!({ "behaviour": "no-such-thing" })), refused("policy_settings_refused"));
    assert_eq!(put("nobody", json!({})), (404, "unknown_policy".into()));
    assert_eq!(put("../hostile", json!({})), (400, "bad_policy_name".into()));
    assert_eq!(server.client.get("/v1/policy").json["name"], "highest-accuracy");
    let listed = server.client.get("/v1/policies").expect(200).json;
    let names: Vec<&Value> = listed["policies"].as_array().expect("a list").iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["exact", "garbage", "greedy", "highest-accuracy", "hostile", "ilp", "module"]);
    assert_eq!(server.client.run(&job(4)).expect(200).json["state"], "served");
}

#[test]
fn a_policy_that_fails_once_it_is_in_place_costs_no_deadline() {
    let folder = Folder::new("failing");
    folder.put("hostile", HOSTILE);
    let server = Fixture::with(|config| {
        config.policy.dir = folder.0.clone();
        config.policy.budget_ms = PATIENT_MS;
        config.queue.lanes = 2;
    });
    // its rehearsal is three calls, one a lane and one made up; from then on it panics on lane 1
    let settings = json!({ "behaviour": "panic-later", "amount": 3 });
    server.client.put("/v1/policy", &json!({ "name": "hostile", "settings": settings })).expect(200);
    let ended = overload(server.client, 8, 500.0);
    assert!(ended.iter().all(|job| job["state"] == "served" && job["certificate"]["floor_kept"] == true), "{ended:?}");
    let fallback = |job: &&Value| job["certificate"]["decisions"].get(0) == Some(&json!({ "by": "fallback" }));
    let fallback: Vec<&Value> = ended.iter().filter(fallback).collect();
    assert!(!fallback.is_empty(), "{ended:?}");
    assert!(fallback.iter().all(|job| job["certificate"]["in_time"] == true), "{fallback:?}");
    let stats = &server.client.get("/v1/policy").json["stats"];
    assert!(stats["refused"]["trapped"].as_u64() >= Some(1), "{stats}");
    assert!(stats["last_error"].as_str().is_some_and(|error| error.contains("trapped")), "{stats}");
}

#[test]
fn a_rehearsal_that_fails_says_why_in_words() {
    let server = Fixture::with(|config| config.queue.lanes = 2);
    server.client.push("hostile", HOSTILE).expect(201);
    let gigabyte = 1 << 30;
    for (behaviour, amount, reason, words) in [
        ("panic", 0, "trapped", "the policy trapped: "),
        ("unreachable", 0, "trapped", "the policy trapped: "),
        ("recurse", gigabyte, "trapped", "the policy trapped: "),
        ("loop-in-decide", 0, "timed_out", "did not answer within its 20ms"),
        ("take-memory", gigabyte, "out_of_memory", "asked for more than its 67108864 bytes of memory"),
        ("give-up", 0, "declined", "the policy declined: "),
        ("nan-objective", 0, "not_finite", "must be finite numbers"),
        ("unknown-job", 0, "unknown_job", "is not in the snapshot"),
        ("duplicate-job", 0, "duplicate_job", "is named twice"),
        ("incomplete-order", 0, "order_incomplete", "an order names all 8 jobs or none, the policy named 7"),
        ("choose", 1000, "no_such_strategy", "strategies, the policy chose 1000"),
        ("choose", 0, "below_floor", "the policy chose a strategy at"),
        ("many-assignments", 100_000, "malformed", "the policy's answer is malformed: "),
    ] {
        let wanted = json!({ "name": "hostile", "settings": { "behaviour": behaviour, "amount": amount } });
        let answer = server.client.put("/v1/policy", &wanted);
        assert_eq!(answer.refusal(), (422, "policy_rehearsal_failed"), "{behaviour}");
        let error = &answer.json["error"];
        assert_eq!(error["details"]["reason"], reason, "{behaviour}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(words)), "{behaviour}: {error}");
    }
    assert_eq!(server.client.get("/v1/policy").json["generation"], 1);
}

#[test]
fn a_hostile_policy_in_place_costs_no_job_and_its_reason_is_told() {
    for (behaviour, reason, words) in [
        ("panic", "trapped", "the policy trapped"),
        ("give-up", "declined", "the policy declined"),
        ("unknown-job", "unknown_job", "is not in the snapshot"),
        ("nan-bound", "not_finite", "must be finite numbers"),
        ("long-order", "malformed", "the policy's answer is malformed"),
    ] {
        let server = Fixture::with_hostile(json!({ "behaviour": behaviour, "amount": 1000 }));
        let ended = overload(server.client, 4, 500.0);
        let kept = |job: &Value| job["state"] == "served" && job["certificate"]["floor_kept"] == true;
        assert!(ended.iter().all(kept), "{behaviour}: {ended:?}");
        let stats = &server.client.get("/v1/policy").json["stats"];
        assert!(stats["refused"][reason].as_u64() >= Some(1), "{behaviour}: {stats}");
        assert!(stats["fallbacks"].as_u64() >= Some(1), "{behaviour}: {stats}");
        assert!(stats["last_error"].as_str().is_some_and(|error| error.contains(words)), "{behaviour}: {stats}");
        let series = format!("mosel_policy_refused_total{{policy=\"hostile\",reason=\"{reason}\"}}");
        assert!(server.client.metric(&series) >= 1.0, "{behaviour}");
        assert!(server.client.metric("mosel_policy_fallbacks_total") >= 1.0, "{behaviour}");
    }
}

#[test]
fn state_is_carried_over_from_one_version_to_the_next() {
    let server = Fixture::with_hostile(json!({}));
    let newer = [HOSTILE, b"\0\x06\x05newer"].concat();
    server.client.push("newer", &newer).expect(201);
    while server.client.get("/v1/policy").json["stats"]["calls"].as_u64() < Some(8) {
        overload(server.client, 4, 500.0);
    }
    // its rehearsal is two calls: with the eight of its predecessor the very next one is too many, without it would be
    // the seventh
    let settings = json!({ "behaviour": "panic-later", "amount": 8, "spare_lane_0": false });
    let changed = server.client.put("/v1/policy", &json!({ "name": "newer", "settings": settings })).expect(200).json;
    assert_eq!(changed["state"], "carried over");
    assert_ne!(changed["hash"], changed["previous"]["hash"]);
    overload(server.client, 2, 300.0);
    let stats = &server.client.get("/v1/policy").json["stats"];
    assert!(stats["calls"].as_u64() <= Some(6), "{stats}");
    assert_eq!(stats["traps"], 1, "{stats}");
}

#[test]
fn state_that_is_not_taken_costs_nothing_but_itself() {
    let server = Fixture::with_hostile(json!({}));
    let put = |name: &str, behaviour: &str| {
        let wanted = json!({ "name": name, "settings": { "behaviour": behaviour } });
        server.client.put("/v1/policy", &wanted).expect(200).json["state"].as_str().map(str::to_owned)
    };
    let refused = put("hostile", "refuse-to-restore").expect("a word on state");
    assert!(refused.starts_with("not carried over: the new one did not take it: ") && refused.contains("of use"));
    let unsaved = put("hostile", "panic-in-save").expect("a word on state");
    assert_eq!(unsaved, "carried over");
    let unsaved = put("hostile", "behave").expect("a word on state");
    assert!(unsaved.starts_with("not carried over: the one before could not save it: "), "{unsaved}");
    let settings = json!({ "name": "greedy" });
    assert_eq!(server.client.put("/v1/policy", &settings).expect(200).json["state"], "none");
    assert_eq!(server.client.run(&job(1)).expect(200).json["state"], "served");
}

#[test]
fn a_policy_is_told_what_became_of_jobs() {
    let server = Fixture::with_hostile(json!({ "behaviour": "tell-outcomes", "amount": 1 }));
    assert_eq!(server.client.run(&job(3)).expect(200).json["state"], "served");
    // what it logged comes with its next answer
    let told = || {
        overload(server.client, 4, 500.0);
        server.client.get("/v1/policy").json["stats"]["log"].as_array().cloned().unwrap_or_default()
    };
    let says =
        |lines: &[Value], words: &str| lines.iter().any(|line| line.as_str().is_some_and(|it| it.contains(words)));
    let lines = std::iter::repeat_with(told).take(50).find(|lines| says(lines, "outcomes"));
    let lines = lines.expect("the policy tells how many outcomes it was told");
    assert!(says(&lines, "deadline-met: true"), "{lines:?}");
}
