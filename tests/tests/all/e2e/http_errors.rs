//! Errors as clients see them: JSON with a code whatever is wrong, also while they still send.

use std::io::{Read, Write};
use std::time::Duration;

use super::fixture::{Fixture, job};
use mosel_testkit::client::{Answer, Client, read};

fn raw(client: Client, bytes: &[u8]) -> Answer {
    read(client.begin(bytes)).unwrap_or_else(|| panic!("expected an answer to {:?}", String::from_utf8_lossy(bytes)))
}

#[test]
fn what_is_no_request_is_answered_with_a_code() {
    let server = Fixture::start();
    let long = "x".repeat(70_000);
    let many = "a: b\r\n".repeat(101);
    let cases = [
        ("GARBAGE\r\n\r\n".to_owned(), (400, "bad_request")),
        ("GET /healthz HTTP/3.0\r\n\r\n".to_owned(), (400, "bad_request")),
        ("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), (400, "bad_request")),
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: minus\r\n\r\n".to_owned(), (400, "bad_request")),
        (format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"), (431, "headers_too_large")),
        (format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"), (431, "headers_too_large")),
        ("GET /v1/jobs/%ff HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_owned(), (400, "bad_path")),
    ];
    for (bytes, refusal) in cases {
        let answer = raw(server.client, bytes.as_bytes());
        assert_eq!(answer.refusal(), refusal, "{}: {}", &bytes[..bytes.len().min(60)], answer.text);
        assert_eq!(answer.header("connection"), Some("close"), "{bytes:.60}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{bytes:.60}");
    }
    assert!(server.client.metric("mosel_http_errors_total{code=\"bad_request\"}") >= 4.0);
    assert!(server.client.metric("mosel_http_requests_total{class=\"4xx\"}") >= 7.0);
}

#[test]
fn a_path_as_long_as_a_head_may_be_is_too_long() {
    let server = Fixture::with(|config| config.http.max_header_bytes = 1 << 20);
    let long = "x".repeat(70_000);
    let answer = raw(server.client, format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes());
    assert_eq!(answer.refusal(), (414, "uri_too_long"));
}

#[test]
fn a_bad_request_after_a_good_one_is_answered_behind_it() {
    let server = Fixture::start();
    let answer = raw(server.client, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\nGARBAGE\r\n\r\n");
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("HTTP/1.1 400 Bad Request") && answer.text.contains("bad_request"), "{}", answer.text);
}

#[test]
fn a_broken_chunk_is_a_broken_body() {
    let server = Fixture::start();
    let head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(raw(server.client, format!("{head}zz\r\n").as_bytes()).refusal(), (400, "broken_body"));
}

/// What a client gets that sends everything before it reads.
fn after_everything(client: Client, head: &str, bytes: usize) -> Answer {
    let mut stream = client.begin(head.as_bytes());
    let piece = vec![b' '; 1 << 16];
    for _ in 0..bytes >> 16 {
        stream.write_all(&piece).expect("the server reads on");
    }
    read(stream).expect("an answer")
}

#[test]
fn an_error_reaches_a_client_that_is_still_sending() {
    let server = Fixture::start();
    let length = 64 << 20;
    let cases = [
        ("POST", "/v1/jobs", "application/json", (413, "body_too_large")),
        ("POST", "/v1/jobs", "text/plain", (415, "unsupported_media_type")),
        ("POST", "/v1/nothing", "application/json", (404, "unknown_path")),
        ("PUT", "/v1/jobs", "application/json", (405, "method_not_allowed")),
    ];
    for (method, path, kind, refusal) in cases {
        let framing = format!("content-length: {length}");
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n");
        let answer = after_everything(server.client, &head, length);
        assert_eq!(answer.refusal(), refusal, "{method} {path}");
        assert_eq!(answer.header("connection"), Some("close"), "{method} {path}");
    }
}

#[test]
fn a_client_that_waits_for_leave_is_told_before_it_sends() {
    let server = Fixture::start();
    let head =
        "POST /v1/nothing HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 70000000\r\n\r\n";
    let mut stream = server.client.begin(head.as_bytes());
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while !text.contains("unknown_path") {
        let came = stream.read(&mut buffer).expect("an answer");
        assert!(came > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..came]));
    }
    assert!(text.starts_with("HTTP/1.1 404") && text.contains("connection: close"), "{text}");
}

#[test]
fn a_connection_goes_on_after_a_short_body_that_nobody_wanted() {
    let server = Fixture::start();
    let refused = "POST /v1/nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\n\r\n";
    let mut stream = server.client.begin(refused.as_bytes());
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(&[b' '; 5000]).expect("it reads");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("it reads");
    let answer = read(stream).expect("an answer");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("connection"), None);
    assert!(answer.text.contains("HTTP/1.1 200 OK"), "{}", answer.text);
    server.client.run(&job(1)).expect(200);
}

#[test]
fn a_path_says_which_methods_it_takes() {
    let server = Fixture::start();
    let refused = server.client.send("PUT", "/v1/jobs", &[], b"");
    assert_eq!(refused.refusal(), (405, "method_not_allowed"));
    assert_eq!(refused.header("allow"), Some("get,head,post"));
    let options = server.client.send("OPTIONS", "/v1/jobs", &[], b"");
    assert_eq!((options.status, options.header("allow")), (204, Some("get,head,post")));
    assert_eq!(server.client.send("HEAD", "/healthz", &[], b"").expect(200).text, "");
}
