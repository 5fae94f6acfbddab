//! Policies that are changed while jobs run, and some that should not have been.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::client::Client;
use crate::fixture::{Fixture, job, with};

#[test]
fn a_policy_is_changed_under_load_and_every_job_is_served() {
    let server = Fixture::start();
    let client = server.client;
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
        for policy in ["greedy", "highest-accuracy", "greedy"] {
            let changed = client.put("/v1/policy", &json!({ "name": policy })).expect(200);
            assert_eq!(changed.json["name"], policy);
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let states = client.join().expect("it submits");
            assert!(!states.is_empty() && states.iter().all(|state| state == "served"), "{states:?}");
        }
    });
    let served = client.run(&job(1)).expect(200).json;
    assert_eq!(served["certificate"]["policy"]["name"], "greedy");
}

#[test]
fn a_decision_of_the_policy_is_in_the_certificate() {
    let server = Fixture::with(|config| {
        config.policy.name = "greedy".into();
        config.policy.budget_ms = PATIENT_MS;
    });
    // four jobs of 240 ms on both modalities, of 32 ms on text alone, in 500 ms
    let squeezed = overload(server.client, 4, 500.0);
    let decided =
        squeezed.iter().find_map(|job| job["certificate"]["decisions"].get(0)).expect("somebody was squeezed");
    assert_eq!((&decided["by"], &decided["name"]), (&json!("policy"), &json!("greedy")));
    for job in &squeezed {
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
    for behaviour in ["panic", "loop-in-decide", "give-up", "nan-objective"] {
        assert_eq!(put("hostile", json!({ "behaviour": behaviour })), refused("policy_rehearsal_failed"));
    }
    assert_eq!(put("nobody", json!({})), (404, "unknown_policy".into()));
    assert_eq!(put("../hostile", json!({})), (400, "bad_policy_name".into()));
    assert_eq!(server.client.get("/v1/policy").json["name"], "highest-accuracy");
    let listed = server.client.get("/v1/policies").expect(200).json;
    let names: Vec<&Value> = listed["policies"].as_array().expect("a list").iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["garbage", "greedy", "highest-accuracy", "hostile", "module"]);
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
    // its rehearsal is two calls, one a lane; from then on it panics on lane 1
    let settings = json!({ "behaviour": "panic-later", "amount": 2 });
    server.client.put("/v1/policy", &json!({ "name": "hostile", "settings": settings })).expect(200);
    let ended = overload(server.client, 8, 500.0);
    assert!(ended.iter().all(|job| job["state"] == "served" && job["certificate"]["floor_kept"] == true), "{ended:?}");
    let squeezed = |job: &&Value| job["certificate"]["decisions"].get(0) == Some(&json!({ "by": "squeeze" }));
    let squeezed: Vec<&Value> = ended.iter().filter(squeezed).collect();
    assert!(!squeezed.is_empty(), "{ended:?}");
    assert!(squeezed.iter().all(|job| job["certificate"]["in_time"] == true), "{squeezed:?}");
    let stats = &server.client.get("/v1/policy").json["stats"];
    assert!(stats["refused"]["trapped"].as_u64() >= Some(1), "{stats}");
    assert!(stats["last_error"].as_str().is_some_and(|error| error.contains("trapped")), "{stats}");
}

/// So that a busy machine does not turn a decision, or a panic, into silence.
const PATIENT_MS: u64 = 2000;

const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));

/// Submits so many jobs of 16 requests at once, without a floor; how each of them ended.
fn overload(client: Client, jobs: usize, deadline_ms: f64) -> Vec<Value> {
    let wish = with(job(16), "deadline_ms", deadline_ms);
    let accepted: Vec<_> = (0..jobs).map(|_| client.submit(&wish).expect(202)).collect();
    accepted.iter().map(|job| client.await_state(job.id(), "served").json).collect()
}

/// A directory of this test alone.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mosel-e2e-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Folder(path)
    }

    fn put(&self, policy: &str, bytes: &[u8]) {
        std::fs::write(Path::new(&self.0).join(format!("{policy}.wasm")), bytes).expect("it is writable");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
