//! The journal on disk: a bounded queue, and a thread of its own that writes what is in it.
//!
//! Whoever puts something in waits for nobody. A disk that is slow, frozen, full, read-only or gone costs lines of the
//! journal, which are counted, and nothing else: as soon as it takes lines again, another file is begun with the
//! scheduler's state as it is then. Both are said once.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Context;
use mosel_core::{Action, Checkpoint, Config, Event, JobId, StrategyMatrix, Time};
use mosel_journal::{Folder, Header, PolicyRecord, Written, name_line, policy_line, step_line};

use crate::metrics::Metrics;
use crate::supervisor::Supervisor;
use crate::wire_id::WireId;

/// The way to the disk.
pub(crate) struct Journal {
    queue: Mutex<Queue>,
    came: Condvar,
    written: Condvar,
    /// The state is wanted with the next step.
    wants_state: AtomicBool,
    metrics: Arc<Metrics>,
    supervisor: Arc<Supervisor>,
}

/// Where lines go: a [`Folder`], but for tests.
pub(crate) trait JournalFiles: Send {
    /// See [`Folder::begin`].
    fn begin(&mut self, header: &Header) -> std::io::Result<PathBuf>;
    /// See [`Folder::write`].
    fn write(&mut self, line: String) -> std::io::Result<Written>;
    /// See [`Folder::flush`].
    fn flush(&mut self) -> std::io::Result<()>;
    /// See [`Folder::is_open`].
    fn is_open(&self) -> bool;
    /// See [`Folder::is_lost`].
    fn is_lost(&self) -> bool;
    /// See [`Folder::close`].
    fn close(&mut self);
}

/// A step, on its way into the journal.
pub(crate) struct StepRecord {
    /// When it was taken.
    pub(crate) at: Time,
    /// What happened.
    pub(crate) event: Event,
    /// What was done about it.
    pub(crate) actions: Vec<Action>,
    /// What the job that it brings is called by its client.
    pub(crate) name: Option<(JobId, WireId)>,
    /// Room that it takes, in rows of queues.
    pub(crate) rows: usize,
}

/// What waits to be written.
struct Queue {
    records: Vec<Record>,
    rows: usize,
    /// Something was lost since the last record: only a state can follow.
    gap: bool,
    /// When a gap was said last.
    said: Option<Instant>,
    /// What a file that is begun says of the server.
    header: Header,
    asleep: bool,
    closing: bool,
    /// All was written that ever will be.
    closed: bool,
}

enum Record {
    Step(StepRecord),
    Policy(Time, PolicyRecord),
    /// Another file is begun.
    State(Box<Header>),
}

/// Rows of queues (of a few hundred bytes) that may wait for the disk.
const MOST_ROWS: usize = 100_000;
/// How often the thread looks whether its file is still there.
const LOOK: Duration = Duration::from_millis(500);
/// After a failure it is tried again so much later, then after twice as long, and so on up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A state that was asked for and has not come by then is lost.
const STATE_COMES_WITHIN: Duration = Duration::from_secs(1);
/// Gaps are said no more often.
const SAID_EVERY: Duration = Duration::from_secs(60);
/// How long a server that stops waits for the disk.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

impl Journal {
    /// Starts the thread that writes to these files; the first begins with this header. Nothing is waited for.
    pub(crate) fn start(
        files: impl JournalFiles + 'static,
        header: Header,
        supervisor: &Arc<Supervisor>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Arc<Journal>> {
        let first = Record::State(Box::new(Header { written: Some(now()), ..header.clone() }));
        let queue = Queue {
            records: vec![first],
            rows: 0,
            gap: false,
            said: None,
            header,
            asleep: false,
            closing: false,
            closed: false,
        };
        let journal = Arc::new(Journal {
            queue: Mutex::new(queue),
            came: Condvar::new(),
            written: Condvar::new(),
            wants_state: AtomicBool::new(false),
            metrics: metrics.clone(),
            supervisor: supervisor.clone(),
        });
        let weak = Arc::downgrade(&journal);
        let mut writer = Writer::new(Box::new(files), metrics);
        let write = move || {
            writer.recover();
            while let Some(journal) = weak.upgrade() {
                if !journal.run_once(&mut writer) {
                    return;
                }
            }
        };
        supervisor.spawn("journal-disk", write).context("starting the thread that writes the journal")?;
        Ok(journal)
    }

    /// A state should come with the next step; says so once.
    pub(crate) fn wants_state(&self) -> bool {
        self.wants_state.load(Ordering::Relaxed) && self.wants_state.swap(false, Ordering::Relaxed)
    }

    /// A step was taken.
    pub(crate) fn step(&self, step: StepRecord) {
        let mut queue = self.queue();
        // an empty queue takes whatever comes: else a step that is large enough could never be written
        let full = queue.rows > 0 && queue.rows + step.rows > MOST_ROWS;
        if queue.gap || full {
            self.metrics.journal_lines_lost(1);
            return self.gap(queue);
        }
        queue.rows += step.rows;
        queue.records.push(Record::Step(step));
        self.wake(queue);
    }

    /// Another policy is in place.
    pub(crate) fn policy(&self, at: Time, policy: PolicyRecord) {
        let mut queue = self.queue();
        queue.header.policy = policy.clone();
        if !queue.gap {
            queue.records.push(Record::Policy(at, policy));
            self.wake(queue);
        }
    }

    /// The policy that is in place now, in case that nobody said so when it was put there.
    pub(crate) fn policy_in_place(&self, policy: PolicyRecord) {
        self.queue().header.policy = policy;
    }

    /// What comes after this is about a scheduler in this state, with what has become of its models and configuration; another
    /// file is begun.
    pub(crate) fn state(&self, checkpoint: Checkpoint, models: Vec<Arc<StrategyMatrix>>, config: Config) {
        let mut queue = self.queue();
        queue.header.models = models;
        queue.header.config = config;
        let rows = 1 + checkpoint.lanes.iter().map(|lane| lane.entries.len()).sum::<usize>();
        if queue.rows > 0 && queue.rows + rows > MOST_ROWS {
            return self.gap(queue);
        }
        queue.gap = false;
        queue.rows += rows;
        let header = Header { checkpoint: Some(checkpoint), written: Some(now()), ..queue.header.clone() };
        queue.records.push(Record::State(Box::new(header)));
        self.wake(queue);
    }

    /// Writes what is left, unless the disk takes too long over it. Nothing may come after it.
    pub(crate) fn close(&self) {
        self.close_within(CLOSE_WITHIN);
    }

    fn close_within(&self, within: Duration) {
        let mut queue = self.queue();
        queue.closing = true;
        self.came.notify_one();
        let (queue, _) = self.written.wait_timeout_while(queue, within, |queue| !queue.closed).expect(SOUND);
        let (closed, left) = (queue.closed, queue.records.len());
        drop(queue);
        if !closed {
            tracing::error!(left, "the journal's disk does not answer: the end of the journal is not written");
        }
    }

    /// Nothing more fits in.
    fn gap(&self, mut queue: MutexGuard<'_, Queue>) {
        if std::mem::replace(&mut queue.gap, true) {
            return;
        }
        let say = queue.said.is_none_or(|said| said.elapsed() >= SAID_EVERY);
        if say {
            queue.said = Some(Instant::now());
        }
        drop(queue);
        self.metrics.journal_missed();
        if say {
            tracing::warn!("the journal's disk is too slow: what happens is left out until it has caught up");
        }
    }

    /// Writes what came; not so, once nothing will come any more.
    fn run_once(&self, writer: &mut Writer) -> bool {
        let mut queue = self.queue();
        if queue.records.is_empty() && !queue.closing {
            queue.asleep = true;
            // whoever drops the last strong reference notifies nobody, and files are looked after though nothing comes
            queue = self.came.wait_timeout(queue, LOOK).expect(SOUND).0;
            queue.asleep = false;
        }
        let records = std::mem::take(&mut queue.records);
        let (gap, closing) = (queue.gap, queue.closing);
        queue.rows = 0;
        drop(queue);
        writer.busy = true;
        for record in records {
            self.supervisor.checkpoint("journal-disk");
            writer.write_down(record);
        }
        writer.flush();
        if gap {
            writer.files.close();
        }
        writer.busy = false;
        if writer.needs_state(self.wants_state.load(Ordering::Relaxed)) {
            self.wants_state.store(true, Ordering::Relaxed);
        }
        if closing {
            let mut queue = self.queue();
            queue.closed = queue.records.is_empty();
            self.written.notify_all();
            return !queue.closed;
        }
        true
    }

    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let asleep = queue.asleep;
        drop(queue);
        if asleep {
            self.came.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect(SOUND)
    }
}

const SOUND: &str = "nobody panics while holding the journal's queue";

/// The disk's side of the queue.
struct Writer {
    files: Box<dyn JournalFiles>,
    metrics: Arc<Metrics>,
    trouble: Option<Trouble>,
    /// The file is full.
    full: bool,
    /// When a state was last known to be on its way.
    asked: Option<Instant>,
    looked: Instant,
    /// It writes. If it finds so at its start, it has panicked.
    busy: bool,
}

/// The journal cannot be written.
struct Trouble {
    since: Instant,
    pause: Duration,
    retry: Instant,
    lost: u64,
}

impl Writer {
    fn new(files: Box<dyn JournalFiles>, metrics: Arc<Metrics>) -> Writer {
        Writer { files, metrics, trouble: None, full: false, asked: None, looked: Instant::now(), busy: false }
    }

    /// After a panic: what was in hand is lost, and the file may end in half a line.
    fn recover(&mut self) {
        if std::mem::take(&mut self.busy) {
            tracing::error!("some of what happened is not in the journal: whoever wrote it panicked");
            self.metrics.journal_missed();
            self.files.close();
        }
    }

    fn write_down(&mut self, record: Record) {
        match record {
            Record::Step(StepRecord { at, event, actions, name, .. }) => {
                if let Some((job, id)) = name {
                    self.line(|| name_line(at, job, &id.to_string()));
                }
                self.line(|| step_line(at, &event, &actions));
            }
            Record::Policy(at, policy) => self.line(|| policy_line(at, &policy)),
            Record::State(header) => self.begin(&header),
        }
    }

    fn line(&mut self, line: impl FnOnce() -> String) {
        if !self.files.is_open() {
            return self.lost();
        }
        match self.files.write(line()) {
            Ok(Written::Line) => {}
            Ok(Written::Full) => self.full = true,
            Ok(Written::NoRoom) => {
                self.metrics.journal_missed();
                self.lost();
            }
            Err(error) => {
                self.lost();
                self.failed(&error, FIRST_PAUSE);
            }
        }
    }

    fn begin(&mut self, header: &Header) {
        self.asked = None;
        self.look_for_file();
        if self.trouble.as_ref().is_some_and(|trouble| Instant::now() < trouble.retry) {
            return;
        }
        match self.files.begin(header) {
            Ok(path) => self.goes_on(&path),
            Err(error) => self.failed(&error, FIRST_PAUSE),
        }
    }

    fn goes_on(&mut self, path: &std::path::Path) {
        self.full = false;
        if let Some(Trouble { since, lost, .. }) = self.trouble.take() {
            let after = since.elapsed().as_secs_f64();
            tracing::warn!(lost, "the journal goes on in {} after {after:.1} s", path.display());
        }
    }

    fn flush(&mut self) {
        if let Err(error) = self.files.flush() {
            self.failed(&error, FIRST_PAUSE);
        }
    }

    fn lost(&mut self) {
        self.metrics.journal_lines_lost(1);
        if let Some(trouble) = &mut self.trouble {
            trouble.lost += 1;
        }
    }

    /// Said once, until it goes on.
    fn failed(&mut self, error: &std::io::Error, pause: Duration) {
        self.metrics.journal_failed();
        let now = Instant::now();
        match &mut self.trouble {
            Some(trouble) => {
                trouble.pause = (2 * trouble.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                trouble.retry = now + trouble.pause;
            }
            None => {
                tracing::error!(
                    "the journal cannot be written; what happens is left out until it can, which is tried again and \
                     again: {error}"
                );
                self.trouble = Some(Trouble { since: now, pause, retry: now + pause, lost: 0 });
            }
        }
    }

    /// What was written to a file that nobody finds is lost.
    fn look_for_file(&mut self) {
        if self.files.is_lost() {
            self.files.close();
            self.failed(&std::io::Error::other("its file was removed, or its folder"), Duration::ZERO);
        }
    }

    /// Another file has to be begun, can be as far as is known, and no state for it is on its way.
    fn needs_state(&mut self, on_its_way: bool) -> bool {
        let now = Instant::now();
        if now - self.looked >= LOOK {
            self.looked = now;
            self.look_for_file();
        }
        let due = self.trouble.as_ref().is_none_or(|trouble| now >= trouble.retry);
        if self.files.is_open() && !self.full || !due {
            return false;
        }
        if on_its_way || self.asked.is_none() {
            self.asked = Some(now);
            return true;
        }
        let lost = self.asked.is_some_and(|asked| now - asked >= STATE_COMES_WITHIN);
        if lost {
            self.asked = Some(now);
        }
        lost
    }
}

impl JournalFiles for Folder {
    fn begin(&mut self, header: &Header) -> std::io::Result<PathBuf> {
        Folder::begin(self, header)
    }

    fn write(&mut self, line: String) -> std::io::Result<Written> {
        Folder::write(self, line)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Folder::flush(self)
    }

    fn is_open(&self) -> bool {
        Folder::is_open(self)
    }

    fn is_lost(&self) -> bool {
        Folder::is_lost(self)
    }

    fn close(&mut self) {
        Folder::close(self);
    }
}

fn now() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}

#[cfg(test)]
mod tests;
