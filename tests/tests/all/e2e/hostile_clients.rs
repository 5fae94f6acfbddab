//! Clients that are slow, or die.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::fixture::{Fixture, job};
use mosel_testkit::client::{eventually, read, so};

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Fixture::with(|config| config.http.body_timeout_ms = 100);
    let begin = Instant::now();
    let head =
        "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{";
    let answer = read(server.client.begin(head.as_bytes())).expect("an answer");
    assert_eq!(answer.refusal(), (408, "slow_body"));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    server.client.run(&job(1)).expect(200);
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let server = Fixture::with(|config| config.http.header_timeout_ms = 100);
    let begin = Instant::now();
    for half in ["", "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: "] {
        let answer = read(server.client.begin(half.as_bytes()));
        assert!(answer.is_none_or(|answer| answer.status == 408), "a half head is no request");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    server.client.run(&job(1)).expect(200);
}

#[test]
fn a_client_killed_in_the_middle_of_a_body_leaves_nothing_behind() {
    let server = Fixture::with(|config| {
        config.http.max_body_bytes = 4096;
        config.queue.max_input_bytes = 4096;
    });
    let head = "POST /v1/jobs HTTP/1.1\\r\\nhost: localhost\\r\\ncontent-type: application/json\\r\\ncontent-length: 4000\\r\\n\\r\\n";
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf '{head}' >&3; head -c 3900 /dev/zero >&3; echo sent; sleep 60",
        server.client.0.port()
    );
    kill_once_sent(&script, || ());
    eventually(|| so(server.client.submit(&job(1)).status == 202));
}

#[test]
fn a_client_killed_while_it_waits_does_not_take_its_job_along() {
    let server = Fixture::start();
    let body = job(4).to_string();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{}; printf 'POST /v1/jobs HTTP/1.1\\r\\nhost: localhost\\r\\nprefer: wait\\r\\n\
         content-type: application/json\\r\\ncontent-length: {}\\r\\n\\r\\n%s' '{body}' >&3; echo sent; sleep 60",
        server.client.0.port(),
        body.len()
    );
    // Before that, the server may find the client gone and the job not wanted any more.
    kill_once_sent(&script, || drop(server.client.first_job()));
    server.client.await_state(&server.client.first_job(), "served");
}

/// Runs a client as a process of its own and ends it with SIGKILL when it has sent what it wanted to, and the server has
/// come so far.
fn kill_once_sent(script: &str, server_is_ready: impl FnOnce()) {
    let mut client = Command::new("bash").args(["-c", script]).stdout(Stdio::piped()).spawn().expect("bash runs");
    let mut word = [0; 5];
    std::io::Read::read_exact(client.stdout.as_mut().expect("it is piped"), &mut word).expect("it says `sent`");
    server_is_ready();
    client.kill().expect("it can be killed");
    client.wait().expect("it has ended");
}
