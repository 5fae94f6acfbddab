//! Policies are put into the store: over HTTP, and into a watched folder.

use serde_json::{Value, json};

use super::fixture::{Fixture, Folder, job};
use crate::guests::HOSTILE;
use mosel_testkit::client::read;

/// The same policy in another file: with a section that nobody reads.
fn newer() -> Vec<u8> {
    [HOSTILE, b"\0\x06\x05newer"].concat()
}

fn row(server: &Fixture, name: &str) -> Value {
    let listed = server.client.get("/v1/policies").expect(200).json;
    let rows = listed["policies"].as_array().cloned().unwrap_or_default();
    rows.into_iter().find(|row| row["name"] == name).unwrap_or(Value::Null)
}

#[test]
fn a_pushed_policy_is_described_used_replaced_and_deleted() {
    let server = Fixture::start();
    let pushed = server.client.push("mine", HOSTILE).expect(201).json;
    assert_eq!((&pushed["name"], &pushed["bytes"]), (&json!("mine"), &json!(HOSTILE.len())));
    assert_eq!(
        (&pushed["stateful"], &pushed["feedback"], &pushed["eager"]),
        (&json!(true), &json!(true), &json!(false))
    );
    assert_eq!(pushed["active"], Value::Null);
    assert_eq!((&row(&server, "mine")["source"], &row(&server, "mine")["hash"]), (&json!("pushed"), &pushed["hash"]));
    let used = server.client.put("/v1/policy", &json!({ "name": "mine" })).expect(200).json;
    assert_eq!(used["hash"], pushed["hash"]);
    assert_eq!(server.client.delete("/v1/policies/mine").refusal(), (409, "policy_in_use"));

    let replaced = server.client.push("mine", &newer()).expect(200).json;
    assert_eq!(replaced["active"], "an older component; PUT /v1/policy to use this one");
    let in_place = server.client.get("/v1/policy").json;
    assert_eq!((&in_place["hash"], &in_place["generation"]), (&pushed["hash"], &json!(2)));
    let used = server.client.put("/v1/policy", &json!({ "name": "mine" })).expect(200).json;
    assert_eq!(used["hash"], replaced["hash"]);

    server.client.put("/v1/policy", &json!({ "name": "greedy" })).expect(200);
    server.client.delete("/v1/policies/mine").expect(200);
    assert_eq!(server.client.delete("/v1/policies/mine").refusal(), (404, "unknown_policy"));
    let back = server.client.post("/v1/policy/rollback").expect(200).json;
    assert_eq!(back["hash"], replaced["hash"], "what was in place can come back though its file is gone");
}

#[test]
fn what_is_no_policy_is_refused_with_a_reason() {
    let server = Fixture::start();
    let refused = |name: &str, component: &[u8]| {
        let answer = server.client.push(name, component);
        let (status, code) = answer.refusal();
        (status, code.to_owned())
    };
    assert_eq!(refused("mine", b"what is this"), (422, "policy_refused".into()));
    assert_eq!(refused("mine", b""), (422, "policy_refused".into()));
    assert_eq!(refused("mine", &HOSTILE[..HOSTILE.len() / 2]), (422, "policy_refused".into()));
    assert_eq!(refused("a.b", HOSTILE), (400, "bad_policy_name".into()));
    assert_eq!(refused("greedy", HOSTILE), (409, "policy_is_shipped".into()));
    assert_eq!(server.client.delete("/v1/policies/greedy").refusal(), (409, "policy_is_shipped"));
    for form in ["application/json", "multipart/form-data; boundary=x"] {
        let answer = server.client.send("PUT", "/v1/policies/mine", &[&format!("content-type: {form}")], HOSTILE);
        assert_eq!(answer.refusal(), (415, "unsupported_media_type"));
    }
    assert_eq!(row(&server, "mine"), Value::Null);
}

#[test]
fn a_component_has_a_bound_of_its_own_and_a_time_limit() {
    let server = Fixture::with(|config| {
        config.http.max_body_bytes = 1024;
        config.http.body_timeout_ms = 500;
    });
    server.client.push("mine", HOSTILE).expect(201);
    let put = |length: u64| {
        let token = server.client.1.expect("the server made a token");
        let head = format!(
            "PUT /v1/policies/big HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\nbeginning"
        );
        read(server.client.begin(head.as_bytes())).expect("an answer")
    };
    assert_eq!(put((32 << 20) + 1).refusal(), (413, "body_too_large"));
    assert_eq!(put(32 << 20).refusal(), (408, "slow_body"));
}

#[test]
fn what_is_pushed_is_in_the_folder_after_a_restart() {
    let folder = Folder::new("kept");
    let start = || Fixture::with(|config| config.policy.dir = folder.0.clone());
    let server = start();
    let pushed = server.client.push("mine", HOSTILE).expect(201).json;
    drop(server);
    let server = start();
    assert_eq!(row(&server, "mine")["source"], "file");
    let used = server.client.put("/v1/policy", &json!({ "name": "mine" })).expect(200).json;
    assert_eq!(used["hash"], pushed["hash"]);
}

#[test]
fn a_new_file_takes_the_place_of_its_older_version_and_a_broken_one_does_not() {
    let folder = Folder::new("watched");
    folder.put("mine", HOSTILE);
    let server = Fixture::with(|config| config.policy.dir = folder.0.clone());
    let settings = json!({ "behaviour": "count" });
    let first = server.client.put("/v1/policy", &json!({ "name": "mine", "settings": settings })).expect(200).json;

    folder.put("mine", &newer());
    let second = server.client.await_answer("/v1/policy", |policy| policy["generation"] == 3);
    assert_ne!(second["hash"], first["hash"]);
    assert_eq!((&second["name"], &second["settings"]), (&json!("mine"), &settings));

    folder.put("mine", b"a page of somebody's diary");
    folder.put("other", HOSTILE);
    server.client.await_answer("/v1/policies", |listed| listed.to_string().contains("no WebAssembly component"));
    assert!(row(&server, "mine")["error"].as_str().is_some_and(|error| error.contains("refused when it was loaded")));
    server.client.await_answer("/v1/policies", |_| row(&server, "other")["hash"].is_string());
    assert_eq!(row(&server, "other")["error"], Value::Null);

    std::fs::remove_file(folder.0.join("mine.wasm")).expect("it is there");
    server.client.await_answer("/v1/policies", |_| row(&server, "mine").is_null());
    let policy = server.client.get("/v1/policy").json;
    assert_eq!((&policy["hash"], &policy["generation"]), (&second["hash"], &json!(3)));
    assert_eq!(server.client.run(&job(1)).expect(200).json["state"], "served");
}
