//! A small HTTP client: one server, pooled keep-alive connections, JSON in and out.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// No answer of a server is read beyond this.
const MAX_ANSWER_BYTES: usize = 64 << 20;

const JSON: (&str, &str) = ("content-type", "application/json");

/// A server to talk to. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Connection {
    base: String,
    /// Sent with everything, as a header's value.
    authorization: Option<String>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A job as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What the body is written in.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body; null if it was empty, text if it was not JSON.
    pub body: Value,
}

impl Connection {
    /// A client of the server at `base`, such as `http://127.0.0.1:7070`. Nothing is sent yet.
    pub fn new(base: &str) -> Result<Connection> {
        let base = base.trim_end_matches('/').to_owned();
        let uri: Uri =
            base.parse().with_context(|| format!("expected a URL such as http://127.0.0.1:7070, got {base:?}"))?;
        ensure!(uri.scheme_str() == Some("http"), "expected a URL that begins with http://, got {base:?}");
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(Duration::from_secs(5)));
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1024).build(connector);
        Ok(Connection { base, authorization: None, client })
    }

    /// Shows this token with everything that is sent from here on.
    pub fn with_token(self, token: &str) -> Connection {
        Connection { authorization: Some(format!("Bearer {token}")), ..self }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Waits until the server has loaded its models.
    pub async fn ready(&self) -> Result<()> {
        let give_up = Instant::now() + Duration::from_secs(120);
        while self.get("/readyz").await?.status != StatusCode::OK {
            ensure!(Instant::now() < give_up, "the server was not ready within 120 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// PUT of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, &[JSON], body.to_string().into()).await
    }

    /// PUT of a component.
    pub async fn put_component(&self, path: &str, component: Bytes) -> Result<Answer> {
        self.send(Method::PUT, path, &[("content-type", "application/wasm")], component).await
    }

    /// POST of nothing.
    pub async fn post(&self, path: &str) -> Result<Answer> {
        self.send(Method::POST, path, &[], Bytes::new()).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// Submits a job; waits for its end if `wait` says so.
    pub async fn submit(&self, job: Submission, wait: bool) -> Result<Answer> {
        let Submission { content_type, body } = job;
        let headers = [("content-type", content_type), ("prefer", "wait")];
        self.send(Method::POST, "/v1/jobs", if wait { &headers } else { &headers[..1] }, body).await
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let authorization = self.authorization.as_deref().map(|value| ("authorization", value));
        for (name, value) in headers.iter().copied().chain(authorization) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).context("making a request")?;
        let response =
            self.client.request(request).await.with_context(|| format!("asking the server at {}", self.base))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let bytes = body.map_err(|error| anyhow::anyhow!("reading the answer of {}: {error}", self.base))?.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body =
            if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or_else(|_| text()) };
        Ok(Answer { status, body })
    }
}

impl Submission {
    /// A job written as JSON.
    pub fn json(body: impl Into<Bytes>) -> Submission {
        Submission { content_type: JSON.1, body: body.into() }
    }
}

impl Answer {
    /// The body, if the server did what it was asked to; else its own words.
    pub fn success(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let error = &self.body["error"];
        let details = if error["details"].is_null() { String::new() } else { format!(" {}", error["details"]) };
        bail!(
            "{} {}: {}{details}",
            self.status.as_u16(),
            error["code"].as_str().unwrap_or("?"),
            error["message"].as_str().unwrap_or("?")
        )
    }
}

/// A name as a part of a path; which names there may be is for the server to say.
pub fn escaped(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        assert_eq!(escaped("my-policy"), "my-policy");
        assert_eq!(escaped("../policy?x"), "..%2Fpolicy%3Fx");
    }
}
