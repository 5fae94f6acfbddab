//! Whose a job is: tokens, tenants, and what each of them sees of the others.

use std::collections::BTreeSet;

use mosel_server::{Config, NewToken, Right, Server, TokenPurpose};
use mosel_testkit::client::{Answer, Client, eventually, so};
use serde_json::{Value, json};

use super::fixture::{Fixture, Folder, job, with};

/// A server with tokens, and what is known of them.
struct Tenants {
    server: Fixture,
    tokens: Vec<(&'static str, String)>,
    _folder: Folder,
}

impl Tenants {
    /// Alice and Bob may submit and read, Eve may read for Alice, the operator may everything.
    fn start() -> Tenants {
        Tenants::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Tenants {
        let folder = Folder::new("tokens");
        let file = folder.0.join("tokens.toml");
        let of = [
            ("alice", Some("alice"), vec![Right::Submit, Right::Read]),
            ("bob", Some("bob"), vec![Right::Submit, Right::Read]),
            ("eve", Some("alice"), vec![Right::Read]),
            ("operator", None, vec![Right::Admin]),
        ];
        let tokens = of.map(|(name, tenant, rights)| {
            let tenant = tenant.map(str::to_owned);
            let purpose = TokenPurpose { name: Some(name.into()), tenant, rights, weight: None, rate: None };
            let new = NewToken::new(&purpose).expect("it makes sense");
            new.add_to(&file).expect("it is writable");
            (name, new.token)
        });
        let server = Fixture::with(|config| {
            config.auth.tokens_file = file;
            change(config);
        });
        Tenants { server, tokens: tokens.into(), _folder: folder }
    }

    fn send(&self, who: &str, method: &str, path: &str, headers: &[&str], body: &Value) -> Answer {
        let token = self.tokens.iter().find(|(name, _)| *name == who).map(|(_, token)| token);
        let bearer = token.map(|token| format!("authorization: Bearer {token}"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [headers, &["content-type: application/json"]].concat();
        let headers: Vec<&str> = headers.into_iter().chain(bearer.as_deref()).collect();
        Client(self.server.client.0, None).send(method, path, &headers, body.as_bytes())
    }

    fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, "GET", path, &[], &Value::Null)
    }

    fn submit(&self, who: &str, headers: &[&str], job: &Value) -> Answer {
        self.send(who, "POST", "/v1/jobs", headers, job)
    }

    fn listed(&self, who: &str) -> Vec<String> {
        let listed = self.get(who, "/v1/jobs").expect(200).json;
        let jobs = listed["jobs"].as_array().expect("a list").iter();
        jobs.map(|job| job["id"].as_str().expect("an id").to_owned()).collect()
    }
}

#[test]
fn every_path_takes_a_token_but_health_and_readiness() {
    let tenants = Tenants::start();
    for path in ["/v1/jobs", "/v1/models", "/v1/policy", "/v1/policies", "/v1/nothing", "/metrics"] {
        let missing = tenants.get("nobody", path);
        assert_eq!(missing.refusal(), (401, "token_missing"), "{path}");
        assert_eq!(missing.header("www-authenticate"), Some("bearer realm=\"mosel\""), "{path}");
        assert_ne!(tenants.get("eve", path).status, 401, "{path}");
    }
    assert_eq!(tenants.submit("nobody", &[], &job(1)).refusal(), (401, "token_missing"));
    let wrong = ["authorization: Bearer mosel_0123456789", "content-type: application/json"];
    let client = Client(tenants.server.client.0, None);
    assert_eq!(client.send("GET", "/v1/jobs", &wrong, b"").refusal(), (401, "token_wrong"));
    assert_eq!(client.send("PUT", "/v1/policy", &wrong, b"").refusal(), (401, "admin_token_wrong"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(tenants.get("nobody", path).status, 200, "{path}");
    }
}

#[test]
fn a_token_does_what_its_rights_say() {
    let tenants = Tenants::start();
    assert_eq!(tenants.submit("eve", &[], &job(1)).refusal(), (403, "forbidden"));
    let change = json!({ "name": "greedy" });
    for who in ["alice", "eve"] {
        assert_eq!(tenants.send(who, "PUT", "/v1/policy", &[], &change).refusal(), (403, "forbidden"), "{who}");
    }
    tenants.send("operator", "PUT", "/v1/policy", &[], &change).expect(200);
}

#[test]
fn a_job_is_its_tenants_and_nobody_else_knows_that_it_is_there() {
    let tenants = Tenants::start();
    let alices = tenants.submit("alice", &["prefer: wait"], &job(1)).expect(200);
    let bobs = tenants.submit("bob", &[], &job(40)).expect(202);
    assert_eq!((&alices.json["tenant"], &bobs.json["tenant"]), (&json!("alice"), &json!("bob")));
    let (alices, bobs) = (alices.id().to_owned(), bobs.id().to_owned());
    let paths = |id: &str| [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/explain")];
    let unknown = "j-aaaaaaaaaaaaaaaaaaaa";
    for (who, others) in [("alice", &bobs), ("eve", &bobs), ("bob", &alices)] {
        for (path, nothing) in paths(others).iter().zip(paths(unknown)) {
            let answer = tenants.get(who, path);
            assert_eq!(answer.refusal(), (404, "unknown_job"), "{who} {path}");
            assert_eq!(
                answer.text.replace(others, unknown),
                tenants.get(who, &nothing).text,
                "they cannot be told apart"
            );
        }
    }
    assert_eq!(tenants.send("alice", "DELETE", &paths(&bobs)[0], &[], &Value::Null).refusal(), (404, "unknown_job"));
    assert_eq!((tenants.listed("alice"), tenants.listed("bob")), (vec![alices.clone()], vec![bobs.clone()]));
    assert_eq!(tenants.listed("operator"), [alices.clone(), bobs.clone()]);
    for path in paths(&alices) {
        for who in ["alice", "eve", "operator"] {
            tenants.get(who, &path).expect(200);
        }
    }
    assert_eq!(tenants.send("eve", "DELETE", &paths(&alices)[0], &[], &Value::Null).refusal(), (403, "forbidden"));
    tenants.send("bob", "DELETE", &paths(&bobs)[0], &[], &Value::Null).expect(200);
}

#[test]
fn whoever_has_a_token_submits_for_its_tenant_only() {
    let tenants = Tenants::start();
    let of = |tenant: &str| with(job(1), "tenant", tenant);
    assert_eq!(tenants.submit("alice", &[], &of("alice")).expect(202).json["tenant"], "alice");
    assert_eq!(tenants.submit("alice", &[], &of("bob")).refusal(), (403, "forbidden"));
    let for_bob = tenants.submit("operator", &[], &of("bob")).expect(202);
    tenants.get("bob", &format!("/v1/jobs/{}", for_bob.id())).expect(200);
    let nobodys = tenants.submit("operator", &[], &job(1)).expect(202);
    assert_eq!(tenants.get("bob", &format!("/v1/jobs/{}", nobodys.id())).status, 404);
}

#[test]
fn keys_of_tenants_do_not_meet() {
    let tenants = Tenants::start();
    let key = ["idempotency-key: order-1"];
    let alices = tenants.submit("alice", &key, &job(1)).expect(202);
    let bobs = tenants.submit("bob", &key, &with(job(1), "min_accuracy", 0.5)).expect(202);
    assert_ne!(alices.id(), bobs.id());
    let conflict = tenants.submit("bob", &key, &job(1));
    assert_eq!(
        (conflict.refusal(), &conflict.json["error"]["details"]["job"]),
        ((409, "idempotency_conflict"), &json!(bobs.id()))
    );
    let again = tenants.submit("alice", &key, &with(job(1), "deadline_ms", 5000));
    assert_eq!(again.id(), alices.id(), "a retry has less time left");
}

#[test]
fn what_one_tenant_floods_the_others_keep() {
    let tenants = Tenants::with(|config| config.finished.max_bytes = 20_000);
    let key = ["idempotency-key: k", "prefer: wait"];
    let alices = tenants.submit("alice", &key, &job(1)).expect(200).id().to_owned();
    let first = tenants.submit("bob", &key, &job(1)).expect(200).id().to_owned();
    for _ in 0..30 {
        tenants.submit("bob", &["prefer: wait"], &job(1)).expect(200);
    }
    tenants.get("alice", &format!("/v1/jobs/{alices}")).expect(200);
    assert_eq!(tenants.get("bob", &format!("/v1/jobs/{first}")).refusal(), (410, "result_evicted"));
    assert_eq!(tenants.get("alice", &format!("/v1/jobs/{first}")).refusal(), (404, "unknown_job"));
    assert_eq!(tenants.submit("bob", &key, &job(1)).refusal(), (410, "result_evicted"));
    assert_eq!(tenants.submit("alice", &key, &job(1)).expect(200).id(), alices);
}

#[test]
fn a_rate_holds_for_each_tenant() {
    let tenants = Tenants::with(|config| {
        config.fairness.rate = 0.01;
        config.fairness.burst = 3.0;
    });
    (0..3).for_each(|_| drop(tenants.submit("alice", &[], &job(1)).expect(202)));
    let refused = tenants.submit("alice", &[], &job(1));
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert!(refused.json["error"]["details"]["retry_after_ms"].as_u64() > Some(10_000), "{}", refused.json);
    assert!(refused.header("retry-after").is_some());
    tenants.submit("bob", &[], &job(1)).expect(202);
    tenants.get("alice", "/v1/jobs").expect(200);
}

#[test]
fn wrong_tokens_are_throttled_and_right_ones_are_not() {
    let tenants = Tenants::with(|config| config.auth.max_failures = 3);
    let client = Client(tenants.server.client.0, None);
    let wrong = || client.send("GET", "/v1/jobs", &["authorization: Bearer mosel_nobody"], b"");
    (0..3).for_each(|_| assert_eq!(wrong().refusal(), (401, "token_wrong")));
    assert_eq!(wrong().refusal(), (429, "token_throttled"));
    assert!(wrong().header("retry-after").is_some());
    tenants.get("alice", "/v1/jobs").expect(200);
}

#[test]
fn no_id_is_there_twice_over_restarts_and_only_whole_ids_are_known() {
    let mut ids = BTreeSet::new();
    let mut last = String::new();
    for _ in 0..3 {
        let server = Fixture::start();
        if !last.is_empty() {
            assert_eq!(server.client.get(&format!("/v1/jobs/{last}")).refusal(), (404, "unknown_job"));
        }
        for _ in 0..20 {
            last = server.client.submit(&job(1)).expect(202).id().to_owned();
            assert!(ids.insert(last.clone()), "{last} is there twice");
        }
        let digits = last.strip_prefix("j-").expect("an id");
        let others = ["j-1", "j-0001", "j-+1", "J-1", digits, &last.to_uppercase(), &format!("{last}a"), &last[..21]];
        for other in others {
            assert_eq!(server.client.get(&format!("/v1/jobs/{other}")).refusal(), (404, "unknown_job"), "{other}");
        }
        server.client.get(&format!("/v1/jobs/{last}")).expect(200);
    }
}

#[test]
fn whoever_asks_again_while_the_server_stops_finds_its_job() {
    let server = Fixture::start();
    let client = server.client;
    let key = ["idempotency-key: k"];
    let running = client.submit_with(&job(40), &key).expect(202);
    let server = server.into_server();
    let stopping = std::thread::spawn(move || server.drain().expect("it can be stopped"));
    eventually(|| so(client.submit(&job(1)).refusal() == (503, "draining")));
    assert_eq!(client.submit_with(&job(40), &key).id(), running.id());
    assert_eq!(client.submit_with(&job(1), &["idempotency-key: new"]).refusal(), (503, "draining"));
    assert_eq!(stopping.join().expect("it stops").given_up, 0);
}

#[test]
fn a_job_of_a_client_that_is_gone_is_cancelled_if_it_wished_so() {
    let server = Fixture::start();
    let client = server.client;
    let ended = |wish: &str, state: &str| {
        let body = with(job(100), "on_disconnect", wish).to_string();
        let length = body.len();
        let head = "POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nprefer: wait\r\ncontent-type: application/json\r\n";
        let known = client.get_as_operator("/v1/jobs").json["jobs"].as_array().map_or(0, Vec::len);
        let stream = client.begin(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes());
        let mut id = String::new();
        eventually(|| {
            let listed = client.get_as_operator("/v1/jobs").json;
            id = listed["jobs"][known]["id"].as_str().unwrap_or_default().to_owned();
            so(!id.is_empty())
        });
        client.await_state(&id, "running");
        drop(stream);
        client.await_state(&id, state);
    };
    ended("cancel", "cancelled");
    ended("keep", "served");
    assert_eq!(client.submit(&with(job(1), "on_disconnect", "explode")).refusal(), (400, "wrong_type"));
}

#[test]
fn a_server_that_strangers_reach_needs_tokens_or_a_word() {
    let bind = |change: fn(&mut Config)| {
        let mut config = Config::default();
        config.http.listen = "0.0.0.0:0".into();
        change(&mut config);
        Server::bind(config).map(|_| ()).map_err(|error| error.to_string())
    };
    let refused = bind(|_| {}).expect_err("it is refused");
    assert!(refused.contains("auth.tokens_file") && refused.contains("auth.none = true"), "{refused}");
    assert_eq!(bind(|config| config.auth.none = true), Ok(()));
}
