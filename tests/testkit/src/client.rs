//! The HTTP client of tests: it can be as wrong as a test wants. Bytes out, status, headers and JSON in.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A way to one server.
#[derive(Clone, Copy, Debug)]
pub struct Client(
    /// Where it listens.
    pub SocketAddr,
    /// The token of its operator, which is shown with everything that is not about jobs.
    pub Option<&'static str>,
);

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    head: String,
    /// Its body.
    pub text: String,
    /// Its body as JSON; null if it is none.
    pub json: Value,
}

impl Client {
    /// A way to the server at this address, as this operator.
    pub fn operator(address: SocketAddr, token: Option<String>) -> Client {
        // as long as the test: a client is copied everywhere
        Client(address, token.map(|token| &*token.leak()))
    }

    /// GET, as the operator whatever it is about.
    pub fn get_as_operator(self, path: &str) -> Answer {
        self.send("GET", path, &[&format!("authorization: Bearer {}", self.1.expect("the server made a token"))], b"")
    }

    /// GET.
    pub fn get(self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// DELETE.
    pub fn delete(self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    /// PUT of JSON.
    pub fn put(self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &["content-type: application/json"], body.to_string().as_bytes())
    }

    /// Puts a component into the store.
    pub fn push(self, name: &str, component: &[u8]) -> Answer {
        self.send("PUT", &format!("/v1/policies/{name}"), &["content-type: application/wasm"], component)
    }

    /// POST of nothing.
    pub fn post(self, path: &str) -> Answer {
        self.send("POST", path, &[], b"")
    }

    /// The value of one series of `GET /metrics`, 0 if it is not there.
    pub fn metric(self, series: &str) -> f64 {
        let text = self.get("/metrics").expect(200).text;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// Asks until the answer is so.
    pub fn await_answer(self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut json = Value::Null;
        eventually(|| {
            json = self.get(path).json;
            if wanted(&json) { Ok(()) } else { Err(format!("{path} did not become as expected: {json}")) }
        });
        json
    }

    /// Submits a job without waiting for its end.
    pub fn submit(self, job: &Value) -> Answer {
        self.submit_with(job, &[])
    }

    /// Submits a job and waits for its end.
    pub fn run(self, job: &Value) -> Answer {
        self.submit_with(job, &["prefer: wait"])
    }

    /// Submits a job with these headers, each `name: value`.
    pub fn submit_with(self, job: &Value, headers: &[&str]) -> Answer {
        let headers = [headers, &["content-type: application/json"]].concat();
        self.send("POST", "/v1/jobs", &headers, job.to_string().as_bytes())
    }

    /// Sends this, with these headers, each `name: value`.
    pub fn send(self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        let shown = headers.iter().any(|header| header.to_ascii_lowercase().starts_with("authorization"));
        if let Some(token) = self.1.filter(|_| !shown && !path.starts_with("/v1/jobs")) {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        for header in headers {
            head += &format!("{header}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        read(self.begin(&[head.as_bytes(), body].concat())).expect("an answer")
    }

    /// Sends these bytes and leaves the connection open.
    pub fn begin(self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.0).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket takes a time-out");
        // a server that refuses a body early may close before all of it was sent
        let _ = stream.write_all(bytes);
        stream
    }

    /// Asks until there is a job, of which this is the id.
    pub fn first_job(self) -> String {
        let mut id = String::new();
        eventually(|| {
            let listed = self.get_as_operator("/v1/jobs?limit=1").json;
            id = listed["jobs"][0]["id"].as_str().unwrap_or_default().to_owned();
            so(!id.is_empty())
        });
        id
    }

    /// Asks until the job is in this state; fails when it ended in another.
    pub fn await_state(self, id: &str, state: &str) -> Answer {
        let ask = || self.get(&format!("/v1/jobs/{id}"));
        let mut answer = ask();
        eventually(|| {
            if answer.json["state"] == state {
                return Ok(());
            }
            let words = format!("expected {id} to become {state}: {}", answer.json);
            assert!(answer.json["certificate"].is_null(), "{words}");
            answer = ask();
            Err(words)
        });
        answer
    }
}

/// Looks again and again until it is so; fails after two minutes.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(|| if is_so() { Ok(()) } else { Err(format!("not so after two minutes: {what}")) });
}

/// Looks again and again until it is so; fails after two minutes, with the last words.
pub fn eventually<E: Display>(mut look: impl FnMut() -> Result<(), E>) {
    let begin = Instant::now();
    while let Err(words) = look() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{words}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// For [`eventually`], where there is nothing to say.
pub fn so(is_so: bool) -> Result<(), &'static str> {
    if is_so { Ok(()) } else { Err("it did not become so") }
}

/// Reads until the server closes; `None` if it closed without a word.
pub fn read(mut stream: TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("answers are text");
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let json = serde_json::from_str(body).unwrap_or(Value::Null);
    Some(Answer { status, head: head.to_lowercase(), text: body.to_owned(), json })
}

impl Answer {
    /// The status and the error's code.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.json["error"]["code"].as_str().unwrap_or("none"))
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The job's id.
    pub fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_else(|| panic!("expected a job: {}", self.json))
    }

    /// Expects this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.json);
        self
    }
}
