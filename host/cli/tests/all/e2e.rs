//! The program as its users meet it: a process of its own, real sockets, port 0. The model only takes its time
//! (`--timed` with the shipped emoji profile), so no libtorch is loaded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mosel_testkit::client::{read, until};
use mosel_testkit::server::ServerProcess;
use serde_json::{Value, json};

struct Server(ServerProcess);

impl Server {
    fn start(arguments: &[&str]) -> Server {
        Server(ServerProcess::start_timed(env!("CARGO_BIN_EXE_mosel"), "emoji", arguments).ready())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", b"")
    }

    fn submit(&self, job: &Value, headers: &str) -> (u16, Value) {
        self.send(
            "POST",
            "/v1/jobs",
            &format!("content-type: application/json\r\n{headers}"),
            job.to_string().as_bytes(),
        )
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Value) {
        let headers: Vec<&str> = headers.lines().collect();
        let answer = self.0.client.send(method, path, &headers, body);
        (answer.status, answer.json)
    }

    /// Sends these bytes and reads until the server closes: status and JSON body.
    fn raw(&self, bytes: &[u8]) -> (u16, Value) {
        read(self.0.client.begin(bytes)).map_or((0, Value::Null), |answer| (answer.status, answer.json))
    }
}

/// The signature and header of a PNG file of 8x8 pixels; a timed model reads no further.
fn png() -> Value {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    file.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 8, 8, 6, 0, 0, 0]);
    json!({ "base64": STANDARD.encode(file) })
}

fn job(requests: usize) -> Value {
    let request = json!({ "image": png(), "text": "grinning face" });
    json!({ "model": "emoji", "deadline_ms": 60_000, "requests": vec![request; requests] })
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut changed = job(1);
    changed[field] = value.into();
    changed
}

fn with_input(name: &str, input: impl Into<Value>) -> Value {
    let mut changed = job(1);
    changed["requests"][0][name] = input.into();
    changed
}

fn without(field: &str) -> Value {
    let mut changed = job(1);
    changed.as_object_mut().expect("a job is an object").remove(field);
    changed
}

#[test]
fn a_job_is_served_with_outputs_and_a_certificate() {
    let server = Server::start(&[]);
    let (status, body) = server.submit(&job(3), "prefer: wait\r\n");
    assert_eq!((status, &body["state"]), (200, &json!("served")), "{body}");
    assert_eq!(body["outputs"].as_array().map(Vec::len), Some(3));
    let certificate = &body["certificate"];
    assert_eq!(certificate["mix"][0]["requests"], 3, "{certificate}");
    assert!(certificate["accuracy_lower_bound"].as_f64() < certificate["accuracy"].as_f64());
    assert_eq!((&certificate["floor_kept"], &certificate["in_time"]), (&json!(true), &json!(true)));

    let (status, accepted) = server.submit(&job(1), "");
    assert_eq!(status, 202, "{accepted}");
    let path = format!("/v1/jobs/{}", accepted["id"].as_str().expect("an id"));
    assert_eq!(server.get(&path).0, 200);
    // whoever knows a job's id may look at it; all ids are told to the operator alone
    assert_eq!(server.get("/v1/jobs").0, 401);
    for path in [
        "/v1/models",
        "/v1/models/emoji/profile",
        "/v1/models/emoji/strategies?requests=8",
        "/v1/policies",
        "/v1/policy",
        "/healthz",
    ] {
        let (status, body) = server.get(path);
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[test]
fn the_same_key_is_the_same_job_and_another_job_under_it_a_conflict() {
    let server = Server::start(&[]);
    let key = "idempotency-key: once\r\nprefer: wait\r\n";
    let (first, second) = (server.submit(&job(1), key).1, server.submit(&job(1), key).1);
    assert_eq!(first["id"], second["id"]);
    let (status, body) = server.submit(&job(2), key);
    assert_eq!(status, 409, "{body}");
}

#[test]
fn overload_is_refused_with_a_counter_offer_that_is_accepted() {
    let server = Server::start(&[]);
    let (status, _) = server.submit(&with_requests(64, 60_000.0), "");
    assert_eq!(status, 202);
    let mut wish = with_requests(1, 60.0);
    let (status, refused) = server.submit(&wish, "");
    assert_eq!((status, refused["error"]["code"].is_string()), (503, true), "{refused}");
    let offer = find(&refused, "earliest_deadline_ms").expect("a counter-offer");
    wish["deadline_ms"] = json!(offer.as_f64().expect("milliseconds") + 5.0);
    let (status, body) = server.submit(&wish, "");
    assert_eq!(status, 202, "{body}");
}

fn with_requests(requests: usize, deadline_ms: f64) -> Value {
    let mut wish = job(requests);
    wish["deadline_ms"] = json!(deadline_ms);
    wish
}

fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.values().find_map(|inner| find(inner, name)))
}

#[test]
fn the_policy_is_swapped_live_and_an_unknown_one_refused() {
    let server = Server::start(&["--policy", "highest-accuracy"]);
    let put = |body: &str| server.send("PUT", "/v1/policy", "content-type: application/json\r\n", body.as_bytes());
    let (status, body) = put(r#"{"name":"greedy","settings":{"deterministic":true}}"#);
    assert_eq!(status, 200, "{body}");
    assert_eq!(find(&server.get("/v1/policy").1, "name"), Some(&json!("greedy")));
    for wrong in [r#"{"name":"nobody"}"#, r#"{"name":"greedy","settings":{"speed":9}}"#, r#"{"nam":"greedy"}"#] {
        let (status, body) = put(wrong);
        assert!((400..500).contains(&status), "{wrong}: {status} {body}");
    }
    assert_eq!(find(&server.get("/v1/policy").1, "name"), Some(&json!("greedy")), "the one before stays");
}

#[test]
fn a_server_told_to_stop_finishes_what_it_accepted() {
    let mut server = Server::start(&[]);
    let job = job(32).to_string();
    let head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\nprefer: wait\r\n";
    let mut stream = TcpStream::connect(server.0.client.0).expect("the server listens");
    write!(stream, "{head}content-length: {}\r\n\r\n{job}", job.len()).expect("it reads");
    server.0.client.first_job();
    server.0.terminate();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the job is answered");
    assert!(answer.contains(r#""state":"served""#), "{answer}");
    assert!(server.0.wait().success());
}

#[test]
fn a_second_signal_ends_a_server_at_once() {
    let mut server = Server::start(&[]);
    assert_eq!(server.submit(&job(128), "").0, 202);
    server.0.terminate();
    until("the server drains", || server.get("/readyz").0 == 503);
    server.0.terminate();
    assert_eq!(server.0.wait().code(), Some(130));
}

#[test]
fn a_server_that_gives_jobs_up_says_so_with_its_status() {
    let mut server = Server::start(&["--drain-timeout", "0.05"]);
    (0..4).for_each(|_| assert_eq!(server.submit(&job(128), "").0, 202));
    server.0.terminate();
    assert_eq!(server.0.wait().code(), Some(3));
}

#[test]
fn the_printed_configuration_starts_the_same_server() {
    let print = |arguments: &[&str]| {
        let printed = Command::new(env!("CARGO_BIN_EXE_mosel"))
            .args(["serve", "--print-config"])
            .args(arguments)
            .env("MOSEL_QUEUE__MAX_JOBS", "77")
            .output()
            .expect("the program runs");
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        String::from_utf8(printed.stdout).expect("TOML is text")
    };
    let first = print(&["--null", "--policy", "highest-accuracy", "--drain-timeout", "1.5"]);
    for expected in ["max_jobs = 77", "null = true", "drain_timeout_ms = 1500", "name = \"highest-accuracy\""] {
        assert!(first.contains(expected), "expected {expected} in {first}");
    }
    let file = std::env::temp_dir().join(format!("mosel-printed-{}.toml", std::process::id()));
    std::fs::write(&file, &first).expect("a temporary file can be written");
    let second = print(&["--config", file.to_str().expect("a path of ASCII")]);
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(first, second);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let refusal = |arguments: &[&str], variable: (&str, &str)| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mosel"));
        let ran = command.arg("serve").args(arguments).env(variable.0, variable.1).output();
        let ran = ran.expect("the program runs");
        assert!(!ran.status.success());
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let none = ("MOSEL_LOG", "error");
    let cases = [
        (refusal(&["--null"], ("MOSEL_QUEUE__MAX_CATS", "3")), "max_cats"),
        (refusal(&["--null"], ("MOSEL_QUEUE__MAX_JOBS", "0")), "queue.max_jobs is 0, expected 1 to 100000"),
        (
            refusal(&["--null", "--policy", "nobody"], none),
            "expected one of the policies exact, greedy, highest-accuracy, ilp",
        ),
        (refusal(&["--timed", "/no/such/profile.json"], none), "/no/such/profile.json"),
        (refusal(&["--null", "--listen", "nowhere"], none), "expected ADDRESS:PORT"),
        (refusal(&["--null", "--config", "/no/such/file.toml"], none), "/no/such/file.toml"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "expected {expected} in {message}");
    }
}

#[test]
fn bad_input_is_refused_each_in_its_own_words_and_harms_nothing() {
    let server = Server::start(&[]);
    let (status, kept) = server.submit(&with_requests(64, 60_000.0), "");
    assert_eq!(status, 202, "{kept}");
    let json_type = "content-type: application/json\r\n";
    let post = |body: &[u8]| server.send("POST", "/v1/jobs", json_type, body);
    let text = |value: Value| value.to_string().into_bytes();
    let good = job(1).to_string();
    let bodies: Vec<(&str, u16, &str, Vec<u8>)> = vec![
        ("nothing", 400, "malformed_json", vec![]),
        ("truncated", 400, "malformed_json", good.as_bytes()[..good.len() - 3].to_vec()),
        ("trailing text", 400, "malformed_json", format!("{good} and more").into_bytes()),
        ("not an object", 400, "wrong_type", b"[1,2]".to_vec()),
        ("broken UTF-8", 400, "invalid_utf8", b"{\"model\":\"\xff\xfe\"}".to_vec()),
        (
            "NaN floor",
            400,
            "malformed_json",
            good.replace("\"deadline_ms\":60000", "\"deadline_ms\":60000,\"min_accuracy\":NaN").into_bytes(),
        ),
        ("no model", 400, "missing_field", text(without("model"))),
        ("no deadline", 400, "missing_field", text(without("deadline_ms"))),
        ("no requests", 400, "missing_field", text(without("requests"))),
        ("unknown field", 400, "unknown_field", text(with("dead_line", 5))),
        ("a field twice", 400, "duplicate_field", good.replacen('{', "{\"model\":\"emoji\",", 1).into_bytes()),
        ("model is a number", 400, "wrong_type", text(with("model", 7))),
        ("unknown model", 404, "unknown_model", text(with("model", "nobody"))),
        ("deadline is text", 400, "wrong_type", text(with("deadline_ms", "soon"))),
        ("deadline in the past", 400, "out_of_range", text(with("deadline_ms", -5))),
        ("deadline zero", 400, "out_of_range", text(with("deadline_ms", 0))),
        ("deadline next year", 400, "out_of_range", text(with("deadline_ms", 3.2e10))),
        ("deadline overflows", 400, "malformed_json", good.replace("60000", "1e999").into_bytes()),
        ("floor 1.1", 400, "out_of_range", text(with("min_accuracy", 1.1))),
        ("floor -0.1", 400, "out_of_range", text(with("min_accuracy", -0.1))),
        ("floor is text", 400, "wrong_type", text(with("min_accuracy", "high"))),
        ("floor above the best", 422, "floor_unreachable", text(with("min_accuracy", 0.999))),
        ("deadline nobody meets", 422, "deadline_impossible", text(with("deadline_ms", 1))),
        ("priority zero", 400, "out_of_range", text(with("priority", 0))),
        ("priority is a list", 400, "wrong_type", text(with("priority", json!([1])))),
        ("unknown wish", 400, "wrong_type", text(with("on_late", "panic"))),
        ("requests is a number", 400, "wrong_type", text(with("requests", 1_000_000_000))),
        ("zero requests", 400, "no_requests", text(with("requests", json!([])))),
        ("too many requests", 413, "job_too_large", text(with("requests", vec![json!({}); 300]))),
        ("a request is text", 400, "wrong_type", text(with("requests", json!(["x"])))),
        ("a request is null", 400, "wrong_type", text(with("requests", json!([null])))),
        ("missing image", 422, "modality_missing", text(with("requests", json!([{ "text": "a" }])))),
        ("missing text", 422, "modality_missing", text(with("requests", json!([{ "image": png() }])))),
        ("unknown modality", 422, "modality_unknown", text(with_input("smell", "rose"))),
        ("image is text", 422, "input_kind", text(with_input("image", "a cat"))),
        ("image is no base64", 400, "bad_base64", text(with_input("image", json!({ "base64": "%%%" })))),
        ("image is no PNG", 422, "input_not_picture", text(with_input("image", json!({ "base64": "R0lGODlh" })))),
        ("image is empty", 422, "input_not_picture", text(with_input("image", json!({ "base64": "" })))),
        (
            "image is half a header",
            422,
            "input_not_picture",
            text(with_input("image", json!({ "base64": STANDARD.encode(b"\x89PNG\r\n\x1a\n") }))),
        ),
        ("image under another key", 400, "unknown_field", text(with_input("image", json!({ "hex": "00" })))),
        ("text is a number", 400, "wrong_type", text(with_input("text", 7))),
        ("text is empty", 422, "input_text_length", text(with_input("text", ""))),
        ("text is too long", 422, "input_text_length", text(with_input("text", "x".repeat(5000)))),
        ("text is numbers", 422, "input_kind", text(with_input("text", json!([1, 2])))),
        ("text is base64 of no UTF-8", 422, "input_not_utf8", text(with_input("text", json!({ "base64": "/w==" })))),
    ];
    assert!(bodies.len() >= 40);
    let check = |what: &str, expected: (u16, &str), (status, answer): (u16, Value)| {
        let code = answer["error"]["code"].as_str();
        assert_eq!((status, code), (expected.0, Some(expected.1)), "{what}: {answer}");
        answer["error"]["message"].as_str().unwrap_or_default().to_owned()
    };
    let mut messages = std::collections::BTreeMap::new();
    for (what, status, code, body) in bodies {
        let message = check(what, (status, code), post(&body));
        if let Some(other) = messages.insert(message.clone(), what) {
            panic!("{what} and {other} get the same words: {message}");
        }
    }
    let cut = "content-type: multipart/form-data; boundary=cut\r\n";
    let parts = |parts: &[(&str, &str)]| {
        let part = |(name, text): &(&str, &str)| {
            format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let body = parts.iter().map(part).collect::<String>() + "--cut--\r\n";
        server.send("POST", "/v1/jobs", cut, body.as_bytes())
    };
    let head = ("job", r#"{"model":"emoji","deadline_ms":9000}"#);
    check("no part job", (400, "bad_multipart"), parts(&[("text", "a")]));
    check("two parts job", (400, "bad_multipart"), parts(&[head, head]));
    check("requests in the part job", (400, "unknown_field"), parts(&[("job", &good)]));
    check("no part of a modality", (400, "no_requests"), parts(&[head]));
    check("a part too few", (422, "modality_missing"), parts(&[head, ("text", "a"), ("text", "b")]));
    check("a part of an unknown modality", (422, "modality_unknown"), parts(&[head, ("taste", "sour")]));
    check("half a part", (400, "bad_multipart"), server.send("POST", "/v1/jobs", cut, b"--cut\r\nconte"));
    check(
        "no boundary",
        (400, "bad_multipart"),
        server.send("POST", "/v1/jobs", "content-type: multipart/form-data\r\n", b"x"),
    );
    check("a wait that is no number", (400, "bad_prefer"), server.submit(&job(1), "prefer: wait=long\r\n"));
    check("an empty key", (400, "bad_idempotency_key"), server.submit(&job(1), "idempotency-key: \r\n"));
    check("a page of nothing", (400, "bad_query"), server.get("/v1/jobs?limit=0"));
    check("a page of text", (400, "bad_query"), server.get("/v1/jobs?limit=all"));
    check("an unknown state", (400, "bad_query"), server.get("/v1/jobs?state=lost"));
    check("an unknown question", (400, "bad_query"), server.get("/v1/jobs?color=red"));
    check("a page after nothing", (404, "unknown_job"), server.get("/v1/jobs?after=17"));
    check("menus of no requests", (400, "bad_query"), server.get("/v1/models/emoji/strategies?requests=0"));
    check("menus of any number", (400, "bad_query"), server.get("/v1/models/emoji/strategies"));
    check("an id of another kind", (404, "unknown_job"), server.get("/v1/jobs/17"));
    check("cancelling nothing", (404, "unknown_job"), server.send("DELETE", "/v1/jobs/j-999998", "", b""));
    check(
        "settings that are text",
        (400, "wrong_type"),
        server.send("PUT", "/v1/policy", json_type, br#"{"name":"greedy","settings":"x"}"#),
    );

    let huge = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
                content-length: 99999999999\r\n\r\n";
    let other = [
        (415, server.send("POST", "/v1/jobs", "content-type: text/plain\r\n", good.as_bytes())),
        (415, server.send("POST", "/v1/jobs", "", good.as_bytes())),
        (404, server.get("/v1/jobs/j-999999")),
        (404, server.get("/v1/nothing")),
        (404, server.get("/v1/models/nobody/profile")),
        (405, server.send("PUT", "/v1/jobs", json_type, b"{}")),
        (413, server.raw(huge.as_bytes())),
    ];
    for (expected, (status, answer)) in other {
        assert_eq!(status, expected, "{answer}");
    }
    let (status, body) = server.submit(&job(1), "prefer: wait\r\n");
    assert_eq!((status, &body["state"]), (200, &json!("served")), "{body}");
    let path = format!("/v1/jobs/{}", kept["id"].as_str().expect("an id"));
    until("the job is served", || server.get(&path).1["state"] == "served");
}
