//! What a page's blocks are run in: a folder, a home, a server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::page::{Block, Mark};

/// One page's.
pub(crate) struct Session {
    repository: PathBuf,
    /// `home`, `page` (where the first block begins), and what is carried from block to block.
    folder: TempDir,
    server: Option<Server>,
}

/// A server in the background; ends with the session.
struct Server {
    child: Child,
    address: String,
}

/// Seconds for a block, for a slow one, and for a server to be ready.
const QUICK: u64 = 60;
const SLOW: u64 = 1200;
const READY: Duration = Duration::from_secs(120);
/// What `timeout` ends with when time is over.
const TIMED_OUT: i32 = 124;
/// Lines of output that a failure is told with.
const MOST_LINES: usize = 30;

impl Session {
    pub(crate) fn begin(repository: &Path) -> Result<Session, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
        let session = Session { repository: repository.into(), folder, server: None };
        session.furnish().map_err(|error| format!("making the page's folder and home: {error}"))?;
        Ok(session)
    }

    /// A home in which only the assets are the user's.
    fn furnish(&self) -> std::io::Result<()> {
        let cache = self.home().join(".cache/mosel");
        fs::create_dir_all(&cache)?;
        fs::create_dir_all(self.at("page"))?;
        if let Some(assets) = user_home().map(|home| home.join(".cache/mosel/assets")).filter(|assets| assets.exists())
        {
            std::os::unix::fs::symlink(assets, cache.join("assets"))?;
        }
        fs::write(self.at("variables"), "")?;
        fs::write(self.at("where"), self.at("page").display().to_string())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.at("home")
    }

    /// Runs a block, or starts the server that it names.
    pub(crate) fn run(&mut self, block: &Block) -> Result<(), String> {
        if block.has(Mark::Server) { self.serve(block) } else { self.execute(block) }
    }

    fn execute(&self, block: &Block) -> Result<(), String> {
        let seconds = if block.has(Mark::Slow) { SLOW } else { QUICK };
        let output = File::create(self.at("output")).map_err(|error| error.to_string())?;
        let status = self
            .bash(&self.script(block), Some(seconds))
            .and_then(|mut bash| bash.stdout(output.try_clone()?).stderr(output).status())
            .map_err(|error| format!("starting bash: {error}"))?;
        let told = |claim: &str| Err(format!("{claim}\n{}{}", block.text, self.last_lines("output")));
        match (status.code(), block.has(Mark::Fails)) {
            (Some(TIMED_OUT), _) => told(&format!("expected it to end within {seconds} s")),
            (Some(0), true) => told("expected a failure, got success"),
            (Some(0), false) | (Some(_), true) => Ok(()),
            _ => told(&format!("expected success, got {status}")),
        }
    }

    /// The block, between what it takes over from those before it and what it leaves to those after it.
    fn script(&self, block: &Block) -> String {
        let folder = self.folder.path().display();
        let place = match block.has(Mark::Root) {
            true => format!("cd '{}'", self.repository.display()),
            false => format!("cd \"$(cat '{folder}/where')\""),
        };
        let leave = match block.has(Mark::Root) {
            true => String::new(),
            false => format!("pwd > '{folder}/where'"),
        };
        let (server, text) = match &self.server {
            None => (String::new(), block.text.clone()),
            Some(Server { address, .. }) => {
                let text = block.text.replace("127.0.0.1:7070", address).replace("localhost:7070", address);
                (format!("MOSEL_SERVER=http://{address}"), text)
            }
        };
        format!(
            "set -a\n. '{folder}/variables'\n{server}\n{place}\n{text}\nexport -p > '{folder}/variables'\n{leave}\n"
        )
    }

    fn serve(&mut self, block: &Block) -> Result<(), String> {
        self.server = None;
        let errors = File::create(self.at("server")).map_err(|error| error.to_string())?;
        let text = block.text.replace("127.0.0.1:7070", "127.0.0.1:0").replace("localhost:7070", "localhost:0");
        let folder = self.folder.path().display();
        let place = match block.has(Mark::Root) {
            true => self.repository.display().to_string(),
            false => fs::read_to_string(self.at("where")).map_err(|error| error.to_string())?.trim().to_owned(),
        };
        let script = format!("set -a\n. '{folder}/variables'\nMOSEL_HTTP__LISTEN=127.0.0.1:0\ncd '{place}'\n{text}");
        let mut bash = self.bash(&script, None).map_err(|error| format!("starting bash: {error}"))?;
        let mut child = bash
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("starting the server: {error}"))?;
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let read = stdout.read_line(&mut line).map_err(|error| error.to_string())?;
        let mut server = Server { child, address: String::new() };
        let Some(address) = line.trim().strip_prefix("listening on http://").filter(|_| read > 0) else {
            return Err(format!("expected a server that listens, got {line:?}\n{}", self.last_lines("server")));
        };
        server.address = address.into();
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        if !server.is_ready() {
            return Err(format!("expected a server that gets ready\n{}", self.last_lines("server")));
        }
        self.server = Some(server);
        Ok(())
    }

    /// Bash with this script, in an environment of the page's own.
    fn bash(&self, script: &str, seconds: Option<u64>) -> std::io::Result<Command> {
        let file = self.at(if seconds.is_some() { "block.sh" } else { "server.sh" });
        fs::write(&file, script)?;
        let mut command = match seconds {
            Some(seconds) => {
                let mut timeout = Command::new("timeout");
                timeout.args(["--kill-after=10", &seconds.to_string(), "bash"]);
                timeout
            }
            None => Command::new("bash"),
        };
        command.args(["-euo", "pipefail"]).arg(file).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // what cargo tells a test, and what the user tells mosel, are not what a reader has
            if ["CARGO", "MOSEL_", "XDG_", "LD_LIBRARY_PATH"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let programs = Path::new(env!("CARGO_BIN_EXE_mosel")).parent().expect("it is in a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs.display()));
        command.env("CARGO_TARGET_DIR", self.repository.join("target/docs"));
        for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let given = std::env::var_os(variable).map(PathBuf::from);
            if let Some(folder) = given.or_else(|| user_home().map(|home| home.join(folder))) {
                command.env(variable, folder);
            }
        }
        command.env("HOME", self.home());
        Ok(command)
    }

    fn last_lines(&self, file: &str) -> String {
        let text = fs::read(self.at(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(MOST_LINES)..].join("\n")
    }
}

impl Server {
    /// Waits until its models are loaded.
    fn is_ready(&mut self) -> bool {
        let give_up = Instant::now() + READY;
        while Instant::now() < give_up && matches!(self.child.try_wait(), Ok(None)) {
            if self.says_ready().unwrap_or(false) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    fn says_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // the whole group: bash may have left the server to itself
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn user_home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}
