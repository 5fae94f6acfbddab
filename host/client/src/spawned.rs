//! A server of one's own: `mosel serve` as a child process on a free port, stopped when dropped.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// A running server.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub url: String,
    words: Option<Words>,
}

/// The last lines that a server wrote to its standard error.
#[derive(Debug)]
struct Words {
    lines: Arc<Mutex<VecDeque<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// Lines that are kept of what a muted server says.
const MOST_LINES: usize = 20;
/// Bytes that are kept of a line.
const MOST_LINE_BYTES: u64 = 1000;

impl Spawned {
    /// Starts this very program with `arguments` and waits until it says where it listens.
    pub fn start(arguments: &[String]) -> Result<Spawned> {
        Spawned::launch(&this_program()?, arguments, &[], false)
    }

    /// The same with these variables in its environment, and with its standard error kept instead of shown: the last
    /// lines of it come with the error if it ends early.
    pub fn start_muted(arguments: &[String], variables: &[(&str, String)]) -> Result<Spawned> {
        Spawned::launch(&this_program()?, arguments, variables, true)
    }

    /// The same with another program.
    pub fn start_program(program: &Path, arguments: &[String], variables: &[(&str, String)]) -> Result<Spawned> {
        Spawned::launch(program, arguments, variables, true)
    }

    fn launch(program: &Path, arguments: &[String], variables: &[(&str, String)], muted: bool) -> Result<Spawned> {
        let mut child = Command::new(program)
            .args(arguments)
            // nobody else sends it jobs: nobody has to turn to others before it stops
            .envs([("MOSEL_DRAIN__ANNOUNCE_MS", "0"), ("MOSEL_DRAIN__LINGER_MS", "0")])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(if muted { Stdio::piped() } else { Stdio::inherit() })
            .spawn()
            .with_context(|| format!("starting mosel {}", arguments.join(" ")))?;
        let words = child.stderr.take().map(Words::listen);
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut spawned = Spawned { child, url: String::new(), words };
        let mut line = String::new();
        loop {
            line.clear();
            if stdout.read_line(&mut line).context("reading what the server says")? == 0 {
                let status = spawned.child.wait().context("waiting for the server")?;
                bail!("the server stopped before it listened ({status}){}", spawned.last_words());
            }
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                spawned.url = url.to_owned();
                // Whatever else it says is read, so that it never waits for a full pipe.
                std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
                return Ok(spawned);
            }
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("looking after the server")
    }

    /// The last lines that it said, each on a line of its own below a colon; nothing if it said nothing or is not muted.
    /// To be asked once it has ended: else it may be about to say more.
    pub fn last_words(&mut self) -> String {
        let Some(words) = &mut self.words else { return String::new() };
        if let Some(reader) = words.reader.take_if(|_| matches!(self.child.try_wait(), Ok(Some(_)))) {
            let _ = reader.join();
        }
        let lines = words.lines.lock().expect("nobody panics while keeping a line");
        lines.iter().fold(String::new(), |words, line| {
            let before = if words.is_empty() { ", and said last:" } else { "" };
            format!("{words}{before}\n  {line}")
        })
    }

    /// Processor time the server has used so far, in user and kernel mode.
    pub fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("reading /proc")?;
        // The second field is the program's name, in parentheses, and may hold blanks.
        let after_name = stat.rsplit_once(')').context("/proc has another format")?.1;
        let ticks: Vec<u64> =
            after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        // SAFETY: sysconf reads a constant of the system.
        let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
        Ok(Duration::from_secs_f64(ticks.iter().sum::<u64>() as f64 / per_second))
    }

    /// Keeps those threads of the server that have this name on one core.
    pub fn pin(&self, thread: &str, core: usize) -> Result<()> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let mut found = 0;
        for task in std::fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
            let task = task.with_context(|| format!("reading {tasks}"))?.path();
            // a thread may end meanwhile
            let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
            let id = task.file_name().and_then(|id| id.to_str()?.parse().ok());
            if let Some(id) = id.filter(|_| name.trim_end() == thread) {
                pin(id, core).with_context(|| format!("keeping the server's thread {thread} on core {core}"))?;
                found += 1;
            }
        }
        ensure!(found > 0, "the server has no thread {thread}");
        Ok(())
    }

    /// Sends it this signal. It must not have been waited for.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: the call only sends a signal, to a child that is not reaped before this is dropped.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Asks the server to finish what it accepted and to stop, and waits until it has. Returns its last words.
    pub fn stop(mut self) -> Result<String> {
        self.terminate();
        let status = self.wait()?;
        if !status.success() {
            bail!("the server ended with {status}, expected success{}", self.last_words());
        }
        Ok(self.last_words())
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("waiting for the server")
    }

    /// Asks the server to finish what it accepted and to stop; asked again, it stops at once.
    pub fn terminate(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // SAFETY: the child has not been waited for, so its id is still its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        }
    }
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("finding this program")
}

/// The first core that this thread may run on.
pub fn first_core() -> std::io::Result<usize> {
    // SAFETY: a set is a plain array of bits, for which zeros are valid; the calls write and read it, and keep nothing.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let first = (0..libc::CPU_SETSIZE as usize).find(|&core| libc::CPU_ISSET(core, &set));
        Ok(first.expect("a thread that runs has a core"))
    }
}

/// Keeps a thread of this user on one core; 0 stands for the calling one.
pub fn pin(thread: libc::pid_t, core: usize) -> std::io::Result<()> {
    // SAFETY: a set is a plain array of bits, for which zeros are valid; the call reads it and keeps nothing.
    let answer = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(thread, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if answer == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Words {
    /// Keeps the last lines that come from here, until nothing more does.
    fn listen(from: impl Read + Send + 'static) -> Words {
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = lines.clone();
        let reader = std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            while let Some(line) = next_line(&mut from) {
                let mut lines = kept.lock().expect("nobody panics while keeping a line");
                if lines.len() == MOST_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        });
        Words { lines, reader: Some(reader) }
    }
}

/// The next line, of which the rest beyond the most bytes is skipped.
fn next_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    let read = from.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if !line.ends_with(b"\n") {
        from.skip_until(b'\n').ok()?;
    }
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: String) -> Vec<String> {
        let mut words = Words::listen(std::io::Cursor::new(text));
        words.reader.take().unwrap().join().unwrap();
        let lines = words.lines.lock().unwrap();
        lines.iter().cloned().collect()
    }

    #[test]
    fn the_last_lines_are_kept() {
        assert_eq!(kept("one\ntwo".into()), ["one", "two"]);
        let many: String = (0..25).map(|number| format!("line {number}\n")).collect();
        let kept = kept(many);
        assert_eq!((kept.len(), kept[0].as_str(), kept[19].as_str()), (20, "line 5", "line 24"));
    }

    #[test]
    fn a_line_is_cut_and_the_next_one_is_whole() {
        let kept = kept(format!("{}\nnext\n", "x".repeat(5000)));
        assert_eq!((kept[0].len(), kept[1].as_str()), (1000, "next"));
    }
}
