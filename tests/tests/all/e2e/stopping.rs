//! Stopping: what was accepted ends, nothing new begins, everybody is told.

use std::thread;

use super::fixture::{Fixture, job};
use mosel_testkit::client::{Answer, Client, eventually, so};

#[test]
fn a_server_that_stops_ends_what_it_accepted_and_takes_nothing_new() {
    let server = Fixture::start();
    let client = server.client;
    let (id, waiting) = wait_for_a_job(client, 16);
    let server = server.into_server();
    let stopping = thread::spawn(move || server.drain().expect("it can be stopped"));
    eventually(|| so(client.get("/readyz").status == 503));
    assert_eq!(client.get("/readyz").refusal(), (503, "draining"));
    assert_eq!(client.submit(&job(1)).refusal(), (503, "draining"));
    assert_eq!(client.get(&format!("/v1/jobs/{id}")).expect(200).json["state"], "running");
    assert_eq!(waiting.join().expect("it waits").expect(200).json["state"], "served");
    assert_eq!(stopping.join().expect("it stops").given_up, 0);
}

#[test]
fn a_job_that_takes_too_long_is_ended_and_its_client_told() {
    let server = Fixture::with(|config| config.http.drain_timeout_ms = 100);
    let (_, waiting) = wait_for_a_job(server.client, 200);
    let drained = server.into_server().drain().expect("it can be stopped");
    assert_eq!(drained.given_up, 1);
    let ended = waiting.join().expect("it waits").expect(200).json;
    assert_eq!(ended["state"], "failed");
    assert_eq!(ended["reason"], "the server stopped before the job was served");
}

/// Submits a job on a thread that waits for its end; returns once it runs.
fn wait_for_a_job(client: Client, requests: usize) -> (String, thread::JoinHandle<Answer>) {
    let waiting = thread::spawn(move || client.run(&job(requests)));
    let id = client.first_job();
    client.await_state(&id, "running");
    (id, waiting)
}
