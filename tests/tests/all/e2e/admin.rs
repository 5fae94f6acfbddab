//! Who may change policies.

use std::net::{SocketAddr, UdpSocket};

use serde_json::json;

use super::fixture::{Fixture, Folder};
use mosel_testkit::client::{Answer, Client};

const TOKEN: &str = "0123456789abcdef";

/// Every request that changes policies, and none of which gets as far as doing it.
const CHANGES: [(&str, &str); 6] = [
    ("PUT", "/v1/policies/mine"),
    ("DELETE", "/v1/policies/mine"),
    ("PUT", "/v1/policy"),
    ("POST", "/v1/policy/rollback"),
    ("PUT", "/v1/policy/shadow"),
    ("DELETE", "/v1/policy/shadow"),
];

fn send(client: Client, (method, path): (&str, &str), header: &str) -> Answer {
    let headers: Vec<&str> = Some(header).into_iter().filter(|header| !header.is_empty()).collect();
    client.send(method, path, &headers, b"")
}

#[test]
fn with_a_token_file_nothing_changes_without_the_token() {
    let folder = Folder::new("token");
    std::fs::write(folder.0.join("token"), format!("{TOKEN}\n")).expect("it is writable");
    let server = Fixture::with(|config| config.http.admin_token_file = folder.0.join("token"));
    for change in CHANGES {
        let missing = send(server.client, change, "");
        assert_eq!(missing.refusal(), (401, "admin_token_missing"), "{change:?}");
        assert_eq!(missing.header("www-authenticate"), Some("bearer realm=\"mosel\""));
        let wrong = send(server.client, change, "authorization: Bearer 0123456789abcdeF");
        assert_eq!(wrong.refusal(), (401, "admin_token_wrong"), "{change:?}");
    }
    for path in ["/v1/policies", "/v1/policy", "/metrics"] {
        server.client.get(path).expect(200);
    }
    let bearer = format!("authorization: Bearer {TOKEN}");
    let headers = [bearer.as_str(), "content-type: application/json", "origin: http://elsewhere.example"];
    let wanted = json!({ "name": "greedy" }).to_string();
    let changed = server.client.send("PUT", "/v1/policy", &headers, wanted.as_bytes()).expect(200);
    assert_eq!(changed.json["name"], "greedy");
}

#[test]
fn without_a_token_pages_in_a_browser_change_nothing() {
    let server = Fixture::start();
    for change in CHANGES {
        let page = send(server.client, change, "origin: http://evil.example");
        assert_eq!(page.refusal(), (403, "admin_foreign_origin"), "{change:?}");
        let rebound = format!("{} {} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n", change.0, change.1);
        let rebound = mosel_testkit::client::read(server.client.begin(rebound.as_bytes())).expect("an answer");
        assert_eq!(rebound.refusal(), (403, "admin_foreign_host"), "{change:?}");
    }
    assert_eq!(server.client.get("/v1/policy").json["generation"], 1);
    let own = ["content-type: application/json", "origin: http://localhost"];
    let wanted = json!({ "name": "greedy" }).to_string();
    server.client.send("PUT", "/v1/policy", &own, wanted.as_bytes()).expect(200);
}

#[test]
fn without_a_token_other_machines_change_nothing() {
    let Some(ip) = address_of_this_machine() else {
        eprintln!("this machine has no address but loopback, so nobody else can be played");
        return;
    };
    let server = Fixture::with(|config| config.http.listen = "0.0.0.0:0".into());
    let other = Client(SocketAddr::new(ip, server.client.0.port()));
    for change in CHANGES {
        let answer = send(other, change, "");
        assert_eq!(answer.refusal(), (403, "admin_loopback_only"), "{change:?}");
        assert!(answer.json["error"]["message"].as_str().is_some_and(|words| words.contains("--admin-token-file")));
    }
    other.get("/v1/policy").expect(200);
}

#[test]
fn a_server_with_a_bad_token_file_does_not_start() {
    let folder = Folder::new("bad-token");
    std::fs::write(folder.0.join("token"), "short\n").expect("it is writable");
    let mut config = mosel_server::Config::default();
    config.http.listen = "127.0.0.1:0".into();
    config.http.admin_token_file = folder.0.join("token");
    let error = mosel_server::Server::bind(config).err().expect("it is refused").to_string();
    assert!(error.contains("at least 16 bytes") && error.contains("it has 5"), "{error}");
}

/// The address that packets to elsewhere would leave from; none is sent.
fn address_of_this_machine() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}
