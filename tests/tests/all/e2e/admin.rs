//! Who may change policies and models: whoever shows an admin's token, and nobody else from anywhere.

use serde_json::json;

use super::fixture::{Fixture, Folder, job};
use mosel_server::local_admin_token;
use mosel_testkit::client::{Answer, Client, read};

const TOKEN: &str = "0123456789abcdef";

/// Every request that changes policies or models, and none of which gets as far as doing it.
const CHANGES: [(&str, &str); 8] = [
    ("PUT", "/v1/policies/mine"),
    ("DELETE", "/v1/policies/mine"),
    ("PUT", "/v1/policy"),
    ("POST", "/v1/policy/rollback"),
    ("PUT", "/v1/policy/shadow"),
    ("DELETE", "/v1/policy/shadow"),
    ("PUT", "/v1/models/mine"),
    ("DELETE", "/v1/models/mine"),
];

/// Sends it with no header but this one, if it is one.
fn send(server: &Fixture, (method, path): (&str, &str), header: &str) -> Answer {
    let headers: Vec<&str> = Some(header).into_iter().filter(|header| !header.is_empty()).collect();
    Client(server.client.0, None).send(method, path, &headers, b"")
}

#[test]
fn with_a_token_file_nothing_changes_without_the_token() {
    let folder = Folder::new("token");
    std::fs::write(folder.0.join("token"), format!("{TOKEN}\n")).expect("it is writable");
    let server = Fixture::with(|config| config.http.admin_token_file = folder.0.join("token"));
    for change in CHANGES {
        let missing = send(&server, change, "");
        assert_eq!(missing.refusal(), (401, "admin_token_missing"), "{change:?}");
        assert_eq!(missing.header("www-authenticate"), Some("bearer realm=\"mosel\""));
        let wrong = send(&server, change, "authorization: Bearer 0123456789abcdeF");
        assert_eq!(wrong.refusal(), (401, "admin_token_wrong"), "{change:?}");
    }
    for path in ["/v1/policies", "/v1/policy", "/metrics"] {
        server.client.get(path).expect(200);
    }
    let bearer = format!("authorization: Bearer {TOKEN}");
    let change = |origin: &str| {
        let origin = format!("origin: {origin}");
        let headers = [bearer.as_str(), "content-type: application/json", &origin];
        server.client.send("PUT", "/v1/policy", &headers, json!({ "name": "greedy" }).to_string().as_bytes())
    };
    assert_eq!(change("http://elsewhere.example").refusal(), (403, "admin_foreign_origin"));
    assert_eq!(change("http://localhost").expect(200).json["name"], "greedy");
    assert!(local_admin_token(&format!("http://{}", server.client.0)).is_none(), "one that was configured is enough");
}

#[test]
fn without_a_token_file_the_server_makes_a_token_for_its_own_user() {
    let (server, other) = (Fixture::start(), Fixture::start());
    let token = |server: &Fixture| local_admin_token(&format!("http://{}", server.client.0));
    assert_eq!(token(&server).as_deref(), server.client.1);
    assert_ne!(token(&server), token(&other), "two servers on one machine do not collide");
    let by_name = format!("http://localhost:{}", server.client.0.port());
    assert_eq!(local_admin_token(&by_name), token(&server));
    for change in CHANGES {
        assert_eq!(send(&server, change, "").refusal(), (401, "admin_token_missing"), "{change:?}");
        let others = format!("authorization: Bearer {}", token(&other).expect("it made one"));
        assert_eq!(send(&server, change, &others).refusal(), (401, "admin_token_wrong"), "{change:?}");
    }
    server.client.put("/v1/policy", &json!({ "name": "greedy" })).expect(200);
    let url = format!("http://{}", server.client.0);
    drop(server);
    assert!(local_admin_token(&url).is_none(), "it goes with the server");
    assert!(token(&other).is_some());
}

#[test]
fn a_proxy_on_this_machine_has_no_rights_whatever_it_says() {
    let server = Fixture::start();
    for change in CHANGES {
        // as nginx sends it with `proxy_pass` and nothing else
        let bare = format!("{} {} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", change.0, change.1);
        let bare = read(server.client.begin(bare.as_bytes())).expect("an answer");
        assert_eq!(bare.refusal(), (401, "admin_token_missing"), "{change:?}");
        for mark in ["x-forwarded-for: 127.0.0.1", "forwarded: for=127.0.0.1", "x-real-ip: ::1", "via: 1.1 proxy"] {
            assert_eq!(send(&server, change, mark).refusal(), (401, "admin_token_missing"), "{change:?} {mark}");
        }
    }
    assert_eq!(server.client.get("/v1/policy").json["generation"], 1);
}

#[test]
fn a_page_in_a_browser_does_nothing_at_all() {
    let server = Fixture::start();
    let id = server.client.run(&job(1)).expect(200).id().to_owned();
    let (show, explain) = (format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/explain"));
    let reads =
        ["/v1/jobs", &show, &explain, "/v1/models", "/v1/policy", "/metrics", "/healthz", "/readyz", "/nothing"];
    let requests = reads.iter().map(|path| ("GET", *path));
    let requests: Vec<(&str, &str)> = requests.chain([("POST", "/v1/jobs"), ("DELETE", &show)]).collect();
    for (method, path) in requests {
        for header in ["origin: http://evil.example", "origin: null", "sec-fetch-site: cross-site"] {
            let page =
                server.client.send(method, path, &[header, "content-type: multipart/form-data; boundary=x"], b"");
            assert_eq!(page.refusal(), (403, "foreign_origin"), "{method} {path} {header}");
        }
        let rebound = format!("{method} {path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
        let rebound = read(server.client.begin(rebound.as_bytes())).expect("an answer");
        assert_eq!(rebound.refusal(), (403, "foreign_host"), "{method} {path}");
    }
    for change in CHANGES {
        assert_eq!(send(&server, change, "origin: http://evil.example").refusal(), (403, "admin_foreign_origin"));
    }
    let own = ["content-type: application/json", "origin: http://localhost", "sec-fetch-site: same-origin"];
    server.client.send("PUT", "/v1/policy", &own, json!({ "name": "greedy" }).to_string().as_bytes()).expect(200);
    server.client.send("POST", "/v1/jobs", &own, job(1).to_string().as_bytes()).expect(202);
}

#[test]
fn what_admins_do_is_written_down() {
    let folder = Folder::new("audit");
    let server = Fixture::with(|config| config.journal.dir = folder.0.clone());
    server.client.put("/v1/policy", &json!({ "name": "greedy" })).expect(200);
    server.client.delete("/v1/policies/nobody");
    let lines = || std::fs::read_to_string(folder.0.join("audit.log")).unwrap_or_default();
    mosel_testkit::client::until("both are written", || lines().lines().count() == 2);
    let lines: Vec<serde_json::Value> = lines().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["who"], &lines[0]["what"]), (&json!("admin"), &json!("PUT /v1/policy")));
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&json!(200), &json!(404)));
    assert!(lines[0]["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:")), "{}", lines[0]);
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
