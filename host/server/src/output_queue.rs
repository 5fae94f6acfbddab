//! Lines on their way to a pipe, a terminal or a file that nobody may have to wait for: a log must never stop a server.
//!
//! A bounded queue and a thread of its own that writes. What finds no room, or cannot be written, is lost and counted
//! (`mosel_log_lines_lost_total`), which is said in the log once it works again. (`tracing-appender` has such a queue too; it
//! counts no line that could not be written, bounds no bytes, and prints to standard output when it is dropped.)

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

/// The way to one output. Every write is one line, or some that belong together.
#[derive(Clone, Debug)]
pub struct OutputQueue {
    lines: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that wait.
    bytes: AtomicUsize,
    /// Lines that were lost and not spoken of.
    unsaid: AtomicU64,
    /// Lines that were put in, and those that the thread is done with.
    put: AtomicU64,
    done: Mutex<u64>,
    was_done: Condvar,
}

/// Lines, and bytes of them, that may wait.
const MOST_LINES: usize = 8192;
const MOST_BYTES: usize = 4 << 20;
/// An output that takes nothing just now, though it does not block, is asked again so much later.
const ASK_AGAIN: Duration = Duration::from_millis(10);
/// Lost lines are spoken of no more often.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// Lines of all outputs of this process that are lost.
pub(crate) static LINES_LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

impl OutputQueue {
    /// Starts the thread that writes to this output.
    pub fn start(thread: &str, output: impl Write + Send + 'static) -> std::io::Result<OutputQueue> {
        let (lines, waiting) = sync_channel(MOST_LINES);
        let shared = Arc::new(Shared::default());
        let writer = OutputWriter { output, torn: false, said: None, shared: shared.clone() };
        std::thread::Builder::new().name(thread.into()).spawn(move || writer.run(&waiting))?;
        Ok(OutputQueue { lines, shared })
    }

    /// Puts a line in, if there is room for it. Waits for nobody.
    pub fn put(&self, line: Vec<u8>) {
        let Shared { bytes, put, .. } = &*self.shared;
        let length = line.len();
        let room = bytes.fetch_add(length, Ordering::Relaxed) + length <= MOST_BYTES;
        if room && self.lines.try_send(line).is_ok() {
            put.fetch_add(1, Ordering::Relaxed);
        } else {
            bytes.fetch_sub(length, Ordering::Relaxed);
            self.shared.lost();
        }
    }

    /// Waits until what was put in so far is written or lost, but no longer than this; says whether it is.
    pub fn flush(&self, within: Duration) -> bool {
        let put = self.shared.put.load(Ordering::Relaxed);
        let done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.shared.was_done.wait_timeout_while(done, within, |done| *done < put);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Write for OutputQueue {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lost(&self) {
        LINES_LOST.inc();
        self.unsaid.fetch_add(1, Ordering::Relaxed);
    }
}

struct OutputWriter<W> {
    output: W,
    /// The last line was written in part.
    torn: bool,
    said: Option<Instant>,
    shared: Arc<Shared>,
}

impl<W: Write> OutputWriter<W> {
    /// Writes until the queue is gone.
    fn run(mut self, lines: &Receiver<Vec<u8>>) {
        while let Ok(line) = lines.recv() {
            let written = self.write(&line);
            let waiting = self.shared.bytes.fetch_sub(line.len(), Ordering::Relaxed) - line.len();
            if written.is_err() {
                self.shared.lost();
            } else if waiting == 0 {
                self.say_what_was_lost();
            }
            *self.shared.done.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.shared.was_done.notify_all();
        }
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.torn {
            self.write_whole(b"\n")?;
            self.torn = false;
        }
        self.write_whole(line)?;
        self.output.flush()
    }

    fn write_whole(&mut self, text: &[u8]) -> std::io::Result<()> {
        let mut left = text;
        while !left.is_empty() {
            match self.output.write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    left = &left[written..];
                    self.torn |= !left.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(ASK_AGAIN),
                Err(error) => return Err(error),
            }
        }
        self.torn = false;
        Ok(())
    }

    /// Into the log, which may be this queue.
    fn say_what_was_lost(&mut self) {
        let due = self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if due && self.shared.unsaid.load(Ordering::Relaxed) > 0 {
            self.said = Some(Instant::now());
            let lost = self.shared.unsaid.swap(0, Ordering::Relaxed);
            tracing::warn!(lost, "lines of the log were lost, since nobody took them");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// An output that does what it is told to, write by write, and then takes everything.
    struct TestOutput {
        answers: Receiver<std::io::Result<usize>>,
        written: Sender<Vec<u8>>,
    }

    impl Write for TestOutput {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            let count = self.answers.recv().unwrap_or(Ok(text.len()))?.min(text.len());
            let _ = self.written.send(text[..count].to_vec());
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (OutputQueue, Sender<std::io::Result<usize>>, Receiver<Vec<u8>>) {
        let (answer, answers) = channel();
        let (written, wrote) = channel();
        (OutputQueue::start("output", TestOutput { answers, written }).expect("there are threads"), answer, wrote)
    }

    fn text(wrote: &Receiver<Vec<u8>>) -> String {
        String::from_utf8(wrote.try_iter().flatten().collect()).expect("it is text")
    }

    fn lost(queue: &OutputQueue) -> u64 {
        queue.shared.unsaid.load(Ordering::Relaxed)
    }

    #[test]
    fn an_output_that_is_blocked_is_waited_for_by_nobody_and_what_has_no_room_is_lost() {
        let (queue, answer, wrote) = start();
        (0..MOST_LINES + 100).for_each(|_| queue.put(b"x\n".to_vec()));
        assert!((98..=100).contains(&lost(&queue)), "{}", lost(&queue));
        assert!(!queue.flush(Duration::from_millis(20)));
        drop(answer);
        assert!(queue.flush(SOON));
        assert!(text(&wrote).len() >= 2 * MOST_LINES);
    }

    #[test]
    fn bytes_that_wait_are_bounded() {
        let (queue, answer, _wrote) = start();
        (0..5).for_each(|_| queue.put(vec![b'x'; MOST_BYTES / 4]));
        assert_eq!(lost(&queue), 1);
        drop(answer);
        assert!(queue.flush(SOON));
        queue.put(vec![b'x'; MOST_BYTES + 1]);
        assert!(LINES_LOST.get() >= 2);
    }

    #[test]
    fn a_reader_that_went_away_costs_lines_and_a_line_that_was_torn_ends_before_the_next() {
        let (queue, answer, wrote) = start();
        for told in [Err(ErrorKind::BrokenPipe.into()), Ok(3), Err(ErrorKind::StorageFull.into())] {
            answer.send(told).expect("it is there");
        }
        for line in ["gone\n", "torn\n", "whole\n"] {
            queue.put(line.into());
        }
        drop(answer);
        assert!(queue.flush(SOON));
        assert_eq!(text(&wrote), "tor\nwhole\n");
        assert_eq!(lost(&queue), 0, "it was said");
    }

    #[test]
    fn an_output_that_would_block_or_is_interrupted_is_asked_again() {
        let (queue, answer, wrote) = start();
        for told in [ErrorKind::WouldBlock, ErrorKind::Interrupted] {
            answer.send(Err(told.into())).expect("it is there");
        }
        queue.put(b"line\n".to_vec());
        drop(answer);
        assert!(queue.flush(SOON));
        assert_eq!((text(&wrote), lost(&queue)), ("line\n".into(), 0));
    }
}
