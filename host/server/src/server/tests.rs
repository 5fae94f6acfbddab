//! Threads that die while a server serves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;
use crate::served::load_models;

/// A server of the model `null` on one lane.
fn server() -> Server {
    server_with(|config| config.models.null = true)
}

/// A server on one lane, configured like this.
fn server_with(change: impl FnOnce(&mut Config)) -> Server {
    let mut config = Config::default();
    config.http.listen = "127.0.0.1:0".into();
    config.drain.linger_ms = 0;
    config.policy.name = "highest-accuracy".into();
    config.policy.cache_dir = PathBuf::new();
    change(&mut config);
    let devices = LaneDevices::of(&config).expect("there is a CPU");
    let models = load_models(&config.models, &devices.kinds, 4).expect("the null model needs nothing");
    let server = Server::bind(config).expect("port 0 is free");
    server.open(devices, models).expect("the models are sound");
    server
}

/// The status and the body; `None` if the connection was closed without an answer.
fn ask(server: &Server, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let token = crate::local_admin_token(&format!("http://{}", server.address())).expect("it made one");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nPrefer: wait=30\r\n\
         Authorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn get(server: &Server, path: &str) -> (u16, String) {
    ask(server, "GET", path, "").expect("an answer")
}

fn submit(server: &Server) -> Option<(u16, Value)> {
    let job = json!({ "model": "null", "deadline_ms": 60_000, "requests": [{ "text": "hi" }] });
    let (status, body) = ask(server, "POST", "/v1/jobs", &job.to_string())?;
    Some((status, serde_json::from_str(&body).expect("JSON")))
}

fn is_served(server: &Server) -> bool {
    submit(server).is_some_and(|(status, job)| status == 200 && job["state"] == "served")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "expected {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn restarts_of(server: &Server, thread: &str) -> bool {
    get(server, "/metrics").1.contains(&format!("mosel_thread_restarts_total{{thread=\"{thread}\"}} 1"))
}

fn code(body: &str) -> Value {
    serde_json::from_str::<Value>(body).expect("JSON")["error"]["code"].clone()
}

/// The server stops for a reason with this in it, and nothing new is taken.
fn stops_because(server: &Server, why: &str) {
    eventually("a server that fails", || code(&get(server, "/readyz").1) == "failed");
    let (_, body) = get(server, "/readyz");
    assert!(body.contains(why), "{body}");
    match server.wait().expect("signals can be waited for") {
        Stop::Failed(reason) => assert!(reason.contains(why), "{reason}"),
        stop => panic!("expected a failure, got {stop:?}"),
    }
}

#[test]
fn a_journal_thread_that_panics_costs_history_and_no_job() {
    let server = server();
    server.app.supervisor.inject("journal");
    assert!(is_served(&server));
    eventually("a journal thread that is started again", || restarts_of(&server, "journal"));
    assert_eq!(get(&server, "/readyz").0, 200);
    eventually("a gap that is counted", || {
        assert!(is_served(&server));
        get(&server, "/metrics").1.contains("mosel_journal_gaps_total 1")
    });
    eventually("histories after the gap", || {
        let (_, job) = submit(&server).expect("an answer");
        get(&server, &format!("/v1/jobs/{}/explain", job["id"].as_str().expect("an id"))).0 == 200
    });
    server.drain().expect("it can be stopped");
}

#[test]
fn a_planner_that_panics_goes_on_with_a_fresh_instance() {
    let server = server();
    server.app.supervisor.inject("planner");
    let change = || ask(&server, "PUT", "/v1/policy", r#"{"name":"greedy"}"#).expect("an answer");
    let (status, body) = change();
    assert!(status == 500 && body.contains("the planner failed while it put the policy in place"), "{body}");
    eventually("a planner that is started again", || restarts_of(&server, "planner"));
    assert!(is_served(&server));
    let (status, body) = change();
    assert!(status == 200 && body.contains("\"generation\":2"), "{body}");
    assert_eq!(get(&server, "/readyz").0, 200);
    server.drain().expect("it can be stopped");
}

#[test]
fn a_device_thread_that_dies_fails_its_jobs_with_words_and_stops_the_server() {
    let server = server();
    server.app.supervisor.inject("device-0");
    let (status, job) = submit(&server).expect("an answer");
    assert_eq!((status, &job["state"]), (200, &json!("failed")), "{job}");
    let why = "the thread device-0 panicked: a test wanted it";
    assert_eq!(job["reason"], why, "{job}");
    stops_because(&server, why);
    let (status, refusal) = submit(&server).expect("an answer");
    assert_eq!((status, &refusal["error"]["code"]), (503, &json!("failed")), "{refusal}");
    assert_eq!(server.drain().expect("what is left can be drained").given_up, 0);
}

/// One call deep for every job that waits would be more than a thread's stack has room for.
#[test]
fn a_device_thread_that_dies_fails_a_long_queue() {
    const JOBS: usize = 3000;
    let server = server_with(|config| {
        config.queue.max_jobs = 2 * JOBS;
        // a batch takes about two seconds
        config.models.timed = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/zoo/emoji/profile.json")];
        config.models.timed_factor = 150.0;
        // and is no reason to give the lane up
        config.watch.suspect_factor = 1000.0;
        config.watch.lost_factor = 1000.0;
    });
    let request = json!({ "image": { "base64": PIXEL }, "text": "grinning face" });
    let job = json!({ "model": "emoji", "deadline_ms": 3_600_000, "requests": [request] }).to_string();
    let waits = || {
        server.app.service.get().expect("it is open").driver.query(|scheduler, now| scheduler.predictions(now).len())
    };
    let mut connection = TcpStream::connect(server.address()).expect("it listens");
    let head = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{job}",
        job.len()
    );
    // sent ahead of the answers, all of which are read
    let mut answers = connection.try_clone().expect("it is one more handle");
    let reader = std::thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
    (0..JOBS).for_each(|_| connection.write_all(head.as_bytes()).expect("it reads"));
    eventually("jobs that wait", || waits() > JOBS / 2);
    server.app.supervisor.inject("device-0");
    stops_because(&server, "the thread device-0 panicked");
    eventually("an empty queue", || waits() == 0);
    drop(connection);
    server.drain().expect("what is left can be drained");
    drop(reader.join());
}

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[test]
fn a_clock_that_dies_stops_the_server_and_a_drain_still_ends() {
    let server = server();
    server.app.supervisor.inject("clock");
    assert!(is_served(&server));
    stops_because(&server, "the thread clock panicked");
    server.drain().expect("what is left can be drained");
}

#[test]
fn a_step_that_panics_tells_whoever_waits_and_stops_the_server() {
    let server = server();
    server.app.supervisor.inject("step");
    let (status, job) = submit(&server).expect("an answer");
    assert_eq!((status, &job["state"]), (200, &json!("failed")), "{job}");
    assert!(job["reason"].as_str().expect("a reason").contains("a step of the scheduler panicked"), "{job}");
    stops_because(&server, "a step of the scheduler panicked");
    let (status, body) = get(&server, "/v1/models");
    assert!(status == 503 && code(&body) == "failed", "{body}");
    // looking at what is known works until the very end
    assert_eq!(get(&server, &format!("/v1/jobs/{}", job["id"].as_str().expect("an id"))).0, 200);
    let stopped = server.drain().expect("it stops");
    assert!(stopped.failure.is_some() && stopped.exit_code() == 1, "{stopped:?}");
}

/// Ready, and why not.
fn readiness(server: &Server) -> (u16, Value) {
    let (status, body) = get(server, "/readyz");
    (status, serde_json::from_str(&body).expect("JSON"))
}

fn is_stuck(server: &Server, thread: &str) -> bool {
    let (status, body) = readiness(server);
    let reasons = body["reasons"].as_array().expect("a list");
    let is_it = |reason: &Value| reason["code"] == "thread_stuck" && reason["thread"] == thread;
    status == 503 && body["error"]["code"] == "not_ready" && reasons.iter().any(is_it)
}

#[test]
fn a_planner_that_hangs_costs_readiness_and_no_job() {
    let server = server();
    assert_eq!(readiness(&server).1["ready"], true);
    server.app.supervisor.inject_hang("planner");
    let install = std::thread::scope(|scope| {
        let change = scope.spawn(|| ask(&server, "PUT", "/v1/policy", r#"{"name":"greedy"}"#));
        eventually("a planner that is stuck", || is_stuck(&server, "planner"));
        assert!(is_served(&server));
        assert!(get(&server, "/metrics").1.contains("mosel_thread_stuck{thread=\"planner\"} 1"));
        server.app.supervisor.release("planner");
        change.join().expect("it answers").expect("an answer").0
    });
    assert_eq!(install, 200);
    eventually("a server that is ready again", || readiness(&server).0 == 200);
    server.drain().expect("it can be stopped");
}

#[test]
fn a_clock_that_hangs_is_stood_in_for_and_then_stops_the_server() {
    let server = server();
    server.app.supervisor.inject_hang("clock");
    assert!(is_served(&server));
    eventually("a clock that is stuck", || is_stuck(&server, "clock"));
    stops_because(&server, "the thread clock gives no sign of life");
    let stopped = server.drain().expect("what is left can be drained");
    assert_eq!(stopped.exit_code(), 1);
}

#[test]
fn a_server_that_leaves_says_so_and_still_takes_jobs() {
    let server = server_with(|config| {
        config.models.null = true;
        config.drain.announce_ms = 200;
    });
    std::thread::scope(|scope| {
        let begin = std::time::Instant::now();
        let leaves = scope.spawn(|| server.announce());
        eventually("a server that says that it leaves", || code(&get(&server, "/readyz").1) == "draining");
        assert!(is_served(&server));
        leaves.join().expect("it ends");
        assert!(begin.elapsed() >= Duration::from_millis(200));
    });
    assert_eq!(server.drain().expect("it can be stopped").exit_code(), 0);
}

#[test]
fn results_stay_until_they_are_fetched() {
    let server = server_with(|config| {
        config.models.null = true;
        config.drain.linger_ms = 60_000;
        config.watch.suspect_grace_ms = 60_000;
        config.watch.lost_grace_ms = 60_000;
    });
    // the job ends after its client was answered, or the answer would show its result
    server.app.supervisor.inject_hang("device-0");
    let job = json!({ "model": "null", "deadline_ms": 60_000, "requests": [{ "text": "hi" }] }).to_string();
    let head = "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json";
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{job}", job.len()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let job: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    let (address, path) = (server.address(), format!("/v1/jobs/{}", job["id"].as_str().expect("an id")));
    let app = server.app.clone();
    let drain = std::thread::spawn(move || server.drain().expect("it can be stopped"));
    let fetch = |path: &str| {
        let mut stream = TcpStream::connect(address).expect("it still listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer).expect("an answer")
    };
    eventually("a server that drains", || fetch("/readyz").contains("draining"));
    app.supervisor.release("device-0");
    let service = app.service().expect("it serves");
    eventually("a result", || service.jobs.has_unfetched());
    std::thread::sleep(Duration::from_millis(100));
    assert!(!drain.is_finished());
    assert!(fetch(&path).contains("\"served\""));
    assert_eq!(drain.join().expect("it ends").exit_code(), 0);
}

#[test]
fn a_batch_that_hangs_fails_its_job_with_words_and_the_lane_is_started_again() {
    let server = server();
    server.app.supervisor.inject_hang("device-0");
    let (status, job) = submit(&server).expect("an answer");
    assert_eq!((status, &job["state"]), (200, &json!("failed")), "{job}");
    assert_eq!(job["reason"], "a batch on lane 0 did not end, and its device is given up", "{job}");
    eventually("a lane that is there again", || readiness(&server).0 == 200);
    assert!(is_served(&server));
    assert!(get(&server, "/metrics").1.contains("mosel_lanes_lost_total{lane=\"0\"} 1"));
    // what the thread that was given up reports is of no interest, and that it ends harms nobody
    server.app.supervisor.release("device-0");
    assert!(is_served(&server));
    assert_eq!(readiness(&server).0, 200);
    assert_eq!(server.drain().expect("it can be stopped").exit_code(), 0);
}

#[test]
fn a_lane_that_hangs_harms_no_job_of_another() {
    let server = server_with(|config| {
        config.models.null = true;
        config.queue.lanes = 2;
        config.watch.lane_restarts = 0;
    });
    server.app.supervisor.inject_hang("device-0");
    let (_, job) = submit(&server).expect("an answer");
    assert_eq!(job["state"], "failed", "{job}");
    assert!((0..10).all(|_| is_served(&server)));
    let (status, body) = readiness(&server);
    assert_eq!((status, &body["warnings"][0]["code"]), (200, &json!("lane_lost")), "{body}");
    server.app.supervisor.release("device-0");
    eventually("a lane that is started again once there is room", || readiness(&server).1["warnings"] == json!([]));
    server.drain().expect("it can be stopped");
}

#[test]
fn a_server_whose_only_lane_hangs_for_good_stops() {
    let server = server_with(|config| {
        config.models.null = true;
        config.watch.lane_restarts = 0;
    });
    server.app.supervisor.inject_hang("device-0");
    let (_, job) = submit(&server).expect("an answer");
    assert_eq!(job["state"], "failed", "{job}");
    stops_because(&server, "lane 0 hangs, and is not started again");
    assert_eq!(server.drain().expect("what is left can be drained").exit_code(), 1);
}
