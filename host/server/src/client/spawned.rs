//! A server of one's own: `mosel serve` as a child process on a free port, stopped when dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A running server.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    /// Where it listens, as `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Spawned {
    /// Starts this very program with `arguments` and waits until it says where it listens.
    pub fn start(arguments: &[String]) -> Result<Spawned> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting mosel {}", arguments.join(" ")))?;
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        loop {
            line.clear();
            if stdout.read_line(&mut line).context("reading what the server says")? == 0 {
                let status = child.wait().context("waiting for the server")?;
                bail!("the server stopped before it listened ({status})");
            }
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                let url = url.to_owned();
                // Whatever else it says is read, so that it never waits for a full pipe.
                std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
                return Ok(Spawned { child, url });
            }
        }
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

    /// Asks the server to finish what it accepted and to stop, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.terminate();
        let status = self.child.wait().context("waiting for the server")?;
        if !status.success() {
            bail!("the server ended with {status}, expected success");
        }
        Ok(())
    }

    fn terminate(&self) {
        // SAFETY: the child has not been waited for, so its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
