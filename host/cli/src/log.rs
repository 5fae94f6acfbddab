//! The log on standard error, and what else a server says: neither a reader that goes away nor one that stops reading may
//! hold the server.
//!
//! A command writes as programs do. A server puts lines into queues ([`OutputQueue`]) that lose what nobody takes; what
//! writes to standard output or error by itself (libtorch warns there) finds them unable to block, where that can be had.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use mosel_server::OutputQueue;
use tracing_subscriber::EnvFilter;

/// The log of a server.
static QUEUE: OnceLock<OutputQueue> = OnceLock::new();

/// How long the end of a process waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The log of a command, which waits for its reader.
pub(crate) fn start() {
    let colors = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter()).with_writer(std::io::stderr).with_ansi(colors).init();
}

/// The log of a server, which waits for nobody. Panics are told there, too: the thread that panics may hold a lock.
pub(crate) fn start_queue() -> std::io::Result<()> {
    let colors = std::io::stderr().is_terminal();
    let output = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
    never_block(&std::io::stderr());
    let queue = OutputQueue::start("log", output)?;
    let queue = QUEUE.get_or_init(|| queue);
    let writer = move || LogLine { queue, colors };
    tracing_subscriber::fmt().with_env_filter(filter()).with_writer(writer).with_ansi(colors).init();
    std::panic::set_hook(Box::new(tell_panic));
    Ok(())
}

/// Where a server prints what is not its log. Started before anything is printed.
pub(crate) fn standard_output() -> std::io::Result<OutputQueue> {
    let output = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    never_block(&std::io::stdout());
    OutputQueue::start("stdout", output)
}

/// Prints a line on a server's standard output, and gives its reader a moment to take it.
pub(crate) fn print(output: &OutputQueue, line: &str) {
    output.put(format!("{line}\n").into_bytes());
    output.flush(LAST_LINES);
}

/// Why a command ends.
pub(crate) fn end(error: &anyhow::Error) {
    let line = format!("mosel: {error:#}\n");
    match QUEUE.get() {
        Some(queue) => queue.put(line.into_bytes()),
        // whoever does not read it does not want to know
        None => drop(std::io::stderr().write_all(line.as_bytes())),
    }
}

/// Gives the log's reader a moment to take what is there, before the process ends or becomes another.
pub(crate) fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_LINES);
    }
}

/// What the limits of files and readers that go away do to a process: nothing but errors where it writes.
pub(crate) fn ignore_signals_of_outputs() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: no handler is installed, so no code of ours can be run by a signal.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("MOSEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Puts a description of its own, which does not block, of the same pipe in this place. The one that was there may be shared
/// with other processes, who would be surprised. What is no pipe, or cannot be opened again, stays as it is.
fn never_block(place: &impl AsFd) {
    let place = place.as_fd().as_raw_fd();
    let path = format!("/proc/self/fd/{place}");
    let is_pipe = std::fs::metadata(&path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    let opened = is_pipe.then(|| File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&path).ok());
    if let Some(Some(opened)) = opened {
        // SAFETY: both are open; that what was in the place is closed is what is wanted.
        unsafe { libc::dup2(opened.as_raw_fd(), place) };
    }
}

/// One event, as one line: whatever a client or a policy put into it.
struct LogLine<'a> {
    queue: &'a OutputQueue,
    colors: bool,
}

impl Write for LogLine<'_> {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.queue.put(one_line(&String::from_utf8_lossy(text), self.colors).into_bytes());
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Without what could begin another line, or move a terminal's cursor. The formatter has escaped the escapes in what is
/// logged; those that are left are its own colors.
fn one_line(text: &str, colors: bool) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '\t' => line.push(c),
            '\x1b' if colors => line.push(c),
            _ if c.is_control() || is_invisible(c) => drop(write!(line, "{}", c.escape_default())),
            _ => line.push(c),
        }
    }
    line.push('\n');
    line
}

/// Separates lines, or turns the direction of what follows.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn tell_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = panic.location().map_or_else(String::new, ToString::to_string);
    tracing::error!(thread, place, "panicked: {}", panic.payload_as_str().unwrap_or("without a message"));
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        trace.to_string().lines().for_each(|line| tracing::error!("{line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_logged_begins_another_line_or_moves_a_cursor() {
        assert_eq!(one_line("INFO a policy says: hi\n", false), "INFO a policy says: hi\n");
        let forged = "x\n2026-01-01 ERROR mosel: forged\r\x1b[2K\x07\u{85}\u{2028}\u{202e}y\tz\n";
        let line = one_line(forged, false);
        assert_eq!(line, "x\\n2026-01-01 ERROR mosel: forged\\r\\u{1b}[2K\\u{7}\\u{85}\\u{2028}\\u{202e}y\tz\n");
        assert_eq!(one_line("\x1b[2mred\x1b[0m\n\n", true), "\x1b[2mred\x1b[0m\\n\n");
    }
}
