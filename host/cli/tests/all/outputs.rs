//! A log that nobody reads and files that may not grow cost a server lines, and no job.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mosel_testkit::client::{Client, until};
use serde_json::json;

struct Server {
    child: Child,
    client: Client,
}

impl Server {
    /// Runs it by a shell that does this before.
    fn start(before: &str, arguments: &[&str], log: Stdio) -> Server {
        let program = format!("{before} exec \"$0\" serve --null --listen 127.0.0.1:0 \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &program, env!("CARGO_BIN_EXE_mosel")]).args(arguments);
        command.env("MOSEL_POLICY__CACHE_DIR", "").env("MOSEL_LOG", "trace").env("MOSEL_DRAIN__ANNOUNCE_MS", "0");
        command.env("MOSEL_DRAIN__LINGER_MS", "0").stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("mosel starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("it says where it is");
        let address = line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let client = Client(address.unwrap_or_else(|| panic!("expected an address, got {line:?}")), None);
        until("the server is ready", || client.get("/readyz").status == 200);
        Server { child, client }
    }

    fn serves(&self, jobs: usize) {
        let job = json!({ "model": "null", "deadline_ms": 60_000, "requests": [{ "text": "a" }] });
        for _ in 0..jobs {
            let headers = ["content-type: application/json", "prefer: wait"];
            let answer = self.client.send("POST", "/v1/jobs", &headers, job.to_string().as_bytes());
            assert_eq!((answer.status, &answer.json["state"]), (200, &json!("served")));
        }
    }

    fn stops(mut self) {
        // SAFETY: the child was not waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let mut status = None;
        until("the server has stopped", || {
            status = self.child.try_wait().expect("it can be looked after");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_log_whose_reader_is_gone_costs_lines_and_no_job() {
    let (reader, writer) = std::io::pipe().expect("there are pipes");
    let server = Server::start("", &[], writer.into());
    drop(reader);
    server.serves(20);
    assert_eq!(server.client.get("/healthz").status, 200);
    server.stops();
}

#[test]
fn a_log_that_nobody_reads_costs_lines_and_no_job() {
    // a pipe that is full from the start
    let (_reader, writer) = std::io::pipe().expect("there are pipes");
    let server = Server::start("head -c 65536 /dev/zero >&2;", &[], writer.into());
    server.serves(20);
    server.stops();
}

#[test]
fn files_that_may_not_grow_cost_lines_of_the_journal_and_no_job() {
    let folder = tempfile::tempdir().expect("there is room");
    let journal = folder.path().join("journal");
    let log = File::create(folder.path().join("log")).expect("there is room");
    let path = journal.to_str().expect("it is text");
    // what a policy's memory begins with is a file to the system, too, and has to fit
    let server = Server::start("ulimit -f 1024;", &["--journal", path], log.into());
    let mut jobs = 0;
    until("a file that grew too large", || {
        server.serves(50);
        jobs += 50;
        server.client.metric("mosel_journal_failures_total") > 0.0 || jobs > 5000
    });
    until("a journal that goes on", || {
        server.serves(5);
        files(&journal) > 1
    });
    server.stops();
    let replay = Command::new(env!("CARGO_BIN_EXE_mosel")).arg("replay").arg(&journal).output().expect("mosel starts");
    assert!(replay.status.success(), "{replay:?}");
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}
