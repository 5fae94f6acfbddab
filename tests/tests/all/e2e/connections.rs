//! Connections: who gives way when there are too many, and how long a client may take.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::fixture::{Fixture, job};
use mosel_testkit::client::{Client, eventually, read, so};

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection that was used and is kept.
fn idle(client: Client) -> TcpStream {
    let mut stream = client.begin(b"");
    assert!(serves(&mut stream), "a new connection is served");
    stream
}

/// Asks for health on it.
fn serves(stream: &mut TcpStream) -> bool {
    if stream.write_all(HEALTH).is_err() {
        return false;
    }
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    while !bytes.ends_with(b"\r\n\r\nok\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(came) => bytes.extend_from_slice(&buffer[..came]),
        }
    }
    true
}

fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket takes a time-out");
    match stream.read(&mut [0; 1024]) {
        Ok(came) => came == 0,
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
    }
}

fn closed(client: Client, reason: &str) -> f64 {
    client.metric(&format!("mosel_http_connections_closed_total{{reason=\"{reason}\"}}"))
}

/// A client whose job runs for three seconds.
fn waiting(client: Client) -> TcpStream {
    let body = job(200).to_string();
    let head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nprefer: wait\r\n\
                content-type: application/json\r\ncontent-length: ";
    let stream = client.begin(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes());
    std::thread::sleep(Duration::from_millis(200));
    stream
}

#[test]
fn the_connection_that_lies_idle_longest_gives_way() {
    let server = Fixture::with(|config| config.http.max_connections = 3);
    let [mut first, mut second, mut third] = [(); 3].map(|()| {
        let stream = idle(server.client);
        std::thread::sleep(Duration::from_millis(20));
        stream
    });
    let mut newcomer = idle(server.client);
    assert!(is_closed(&mut first), "it was idle longest");
    assert!(serves(&mut second) && serves(&mut third) && serves(&mut newcomer));
    drop((second, third));
    assert!(closed(server.client, "evicted") >= 1.0);
}

#[test]
fn connections_on_which_nothing_comes_give_way() {
    let server = Fixture::with(|config| config.http.max_connections = 2);
    let half = b"GET /healthz HTTP/1.1\r\nx: ";
    let mut silent: Vec<TcpStream> = (0..20).map(|number| server.client.begin(&half[..number])).collect();
    let begin = Instant::now();
    assert!(serves(&mut server.client.begin(b"")));
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(is_closed(&mut silent[0]));
}

#[test]
fn a_slow_body_gives_way_and_its_client_is_told() {
    let server = Fixture::with(|config| config.http.max_connections = 1);
    let head =
        "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{";
    let slow = server.client.begin(head.as_bytes());
    std::thread::sleep(Duration::from_millis(1200));
    assert!(serves(&mut server.client.begin(b"")));
    assert_eq!(read(slow).expect("an answer").refusal(), (503, "connections_full"));
}

#[test]
fn a_connection_in_use_keeps_its_place_and_health_is_answered_beside_it() {
    let server = Fixture::with(|config| config.http.max_connections = 1);
    let in_use = waiting(server.client);
    let refused = server.client.get("/v1/models");
    assert_eq!(refused.refusal(), (503, "connections_full"));
    assert!(refused.header("retry-after").is_some());
    for path in ["/healthz", "/metrics"] {
        server.client.get(path).expect(200);
    }
    eventually(|| so(server.client.get("/readyz").text.contains("connections_full")));
    assert_eq!(read(in_use).expect("an answer").json["state"], "served");
    eventually(|| so(server.client.get("/v1/models").status == 200));
    eventually(|| so(server.client.get("/readyz").status == 200));
}

#[test]
fn one_address_has_a_bound_of_its_own() {
    let server = Fixture::with(|config| config.http.max_connections_per_peer = 2);
    let [mut first, mut second] = [(); 2].map(|()| {
        let stream = idle(server.client);
        std::thread::sleep(Duration::from_millis(20));
        stream
    });
    let mut third = idle(server.client);
    assert!(is_closed(&mut first));
    assert!(serves(&mut second) && serves(&mut third));
}

#[test]
fn an_idle_connection_is_kept_longer_than_a_head_may_take_and_not_for_ever() {
    let server = Fixture::with(|config| {
        config.http.header_timeout_ms = 50;
        config.http.keep_alive_ms = 60_000;
    });
    let mut kept = idle(server.client);
    std::thread::sleep(Duration::from_millis(300));
    assert!(serves(&mut kept));

    let server = Fixture::with(|config| config.http.keep_alive_ms = 50);
    let mut stream = idle(server.client);
    eventually(|| so(is_closed(&mut stream)));
    assert!(closed(server.client, "idle") >= 1.0);
}

#[test]
fn a_head_that_does_not_come_is_answered() {
    let server = Fixture::with(|config| config.http.header_timeout_ms = 50);
    let answer = read(server.client.begin(b"GET /healthz HTTP/1.1\r\nx: ")).expect("an answer");
    assert_eq!(answer.refusal(), (408, "slow_head"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(read(server.client.begin(b"")).is_none(), "who asked nothing is answered nothing");
    assert!(closed(server.client, "slow_head") >= 2.0);
}

#[test]
fn a_body_comes_at_a_rate() {
    let server = Fixture::with(|config| {
        config.http.body_timeout_ms = 1200;
        config.http.min_body_bytes_per_s = 1_000_000;
    });
    let head =
        "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{";
    let begin = Instant::now();
    let answer = read(server.client.begin(head.as_bytes())).expect("an answer");
    assert_eq!(answer.refusal(), (408, "slow_body"));
    assert!(
        answer.json["error"]["message"].as_str().is_some_and(|words| words.contains("a second")),
        "{}",
        answer.json
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    server.client.run(&job(1)).expect(200);
}

#[test]
fn an_answer_that_nobody_reads_is_not_held_for_ever() {
    let server = Fixture::with(|config| config.http.write_timeout_ms = 300);
    let mut stream = server.client.begin(b"");
    stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a socket takes a time-out");
    let ask = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    // until neither side takes more
    for _ in 0..100 {
        if stream.write_all(&ask).is_err() {
            break;
        }
    }
    eventually(|| so(closed(server.client, "unread") >= 1.0));
    server.client.run(&job(1)).expect(200);
}

#[test]
fn a_listener_for_health_answers_for_nothing_else() {
    let server = Fixture::with(|config| config.http.health_listen = "127.0.0.1:0".into());
    let client = server.client;
    let server = server.into_server();
    let health = Client(server.health_address().expect("it was asked for"), None);
    health.get("/healthz").expect(200);
    health.get("/metrics").expect(200);
    eventually(|| so(health.get("/readyz").status == 200));
    assert_eq!(health.get("/v1/models").refusal(), (404, "unknown_path"));
    client.get("/v1/models").expect(200);
    server.drain().expect("it can be stopped");
}

#[test]
fn what_is_not_in_use_does_not_hold_a_stop() {
    let server = Fixture::start();
    let halves: Vec<TcpStream> = (0..16).map(|_| server.client.begin(b"GET /healthz HTTP/1.1\r\nx: ")).collect();
    let idle: Vec<TcpStream> = (0..4).map(|_| idle(server.client)).collect();
    let begin = Instant::now();
    server.into_server().drain().expect("it can be stopped");
    assert!(begin.elapsed() < Duration::from_millis(1500), "{:?}", begin.elapsed());
    for stream in halves {
        assert_eq!(read(stream).expect("an answer").refusal(), (503, "draining"));
    }
    assert!(idle.into_iter().all(|stream| read(stream).is_none()));
}

#[test]
fn http_2_is_spoken_by_prior_knowledge() {
    let server = Fixture::start();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let (settings, headers) = (4, 1);
    let end_of_stream_and_headers = 5;
    // GET, http, the path and the authority as they are
    let head = [&[0x82, 0x86, 0x04, 8][..], b"/healthz", &[0x01, 9], b"localhost"].concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(settings, 0, 0, &[]));
    bytes.extend(frame(headers, end_of_stream_and_headers, 1, &head));
    let mut stream = server.client.begin(&bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"ok\n") {
        let came = stream.read(&mut buffer).expect("it answers");
        assert!(came > 0, "{answer:?}");
        answer.extend_from_slice(&buffer[..came]);
    }
    // the answer's headers, of which the first is the status 200
    assert!(answer.windows(6).any(|bytes| bytes[..2] == [0, 1] && bytes[5] == 0x88) || answer.contains(&0x88));
    stream.shutdown(Shutdown::Both).expect("it is open");
    // a first request in two pieces
    let mut slow = server.client.begin(&bytes[..10]);
    std::thread::sleep(Duration::from_millis(50));
    slow.write_all(&bytes[10..]).expect("it reads");
    assert!(slow.read(&mut buffer).is_ok_and(|came| came > 0));
}
