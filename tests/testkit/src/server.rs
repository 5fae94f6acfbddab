//! A server of a test's own: the program as a child process, on a free port, stopped when dropped.

use std::path::Path;
use std::process::{Command, ExitStatus};

use mosel_client::spawned::Spawned;

use crate::client::{Client, until};

/// A running server.
#[derive(Debug)]
pub struct ServerProcess {
    spawned: Spawned,
    /// A way to it.
    pub client: Client,
}

impl ServerProcess {
    /// Starts `program serve` with these arguments and waits until it listens; it keeps no compiled policies.
    pub fn start(program: &str, arguments: &[&str]) -> ServerProcess {
        let words = ["serve", "--listen", "127.0.0.1:0"].iter().chain(arguments);
        let words: Vec<String> = words.map(|word| (*word).to_owned()).collect();
        let no_cache = [("MOSEL_POLICY__CACHE_DIR", String::new())];
        let spawned = Spawned::start_program(Path::new(program), &words, &no_cache).expect("the server starts");
        let address = spawned.url.strip_prefix("http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("expected an address, got {}", spawned.url));
        let client = Client::operator(address, operator_token(program, &spawned.url));
        ServerProcess { spawned, client }
    }

    /// The same with a model of the zoo that only takes its time.
    pub fn start_timed(program: &str, model: &str, arguments: &[&str]) -> ServerProcess {
        let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/zoo");
        let profile = zoo.join(model).join("profile.json");
        let timed = ["--timed", profile.to_str().expect("a path of this repository is UTF-8")];
        ServerProcess::start(program, &[&timed, arguments].concat())
    }

    /// Waits until it has loaded its models.
    pub fn ready(self) -> ServerProcess {
        until("the server is ready", || self.client.get("/readyz").status == 200);
        self
    }

    /// Where it is, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.spawned.url
    }

    /// It has ended.
    pub fn has_ended(&mut self) -> bool {
        self.spawned.ended().expect("a child can be looked after").is_some()
    }

    /// Asks it to finish what it accepted and to stop; asked again, it stops at once.
    pub fn terminate(&mut self) {
        self.spawned.terminate();
    }

    /// Sends it this signal.
    pub fn signal(&self, signal: i32) {
        self.spawned.signal(signal);
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.spawned.wait().expect("a child can be waited for")
    }
}

/// What the server made for its operator, if it did.
fn operator_token(program: &str, url: &str) -> Option<String> {
    let printed = Command::new(program).args(["token", "local", "--server", url]).output().expect("the program starts");
    printed.status.success().then(|| String::from_utf8_lossy(&printed.stdout).trim().to_owned())
}
