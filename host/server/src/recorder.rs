//! What happened, on its way from the driver to a journal on disk and to the histories of jobs.
//!
//! The driver hands over every step under its lock and never waits: what there is no room for is lost, the journal is
//! told so by being begun anew with the scheduler's state as it is after the gap. A thread of its own, which wakes up a
//! few times a second, does the writing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context;
use mosel_core::{Action, Checkpoint, Event, JobId, Scheduler, StrategyMatrix, Time};
use mosel_journal::{Folder, Header, JobHistories, JobHistory, PolicyRecord, Written, policy_line, step_line};

use crate::config;
use crate::jobs::PolicyTag;
use crate::metrics::Metrics;
use crate::supervisor::Supervisor;

/// Where the driver leaves what happened.
pub(crate) struct EventRecorder {
    buffer: Mutex<RecordBuffer>,
    came: Condvar,
    /// The journal is full: the state is wanted with the next step.
    wants_state: AtomicBool,
    writer: Mutex<JournalWriter>,
    metrics: Arc<Metrics>,
    supervisor: Arc<Supervisor>,
}

/// What waits to be written down.
#[derive(Default)]
struct RecordBuffer {
    records: Vec<Record>,
    /// Room that the records take, in rows of queues.
    rows: usize,
    /// Something was lost since the last record.
    gap: bool,
    /// The writer sleeps until it is woken.
    asleep: bool,
    closed: bool,
}

enum Record {
    Step(Time, Event, Vec<Action>),
    Policy(Time, Arc<PolicyTag>),
    /// What comes after this is about a scheduler in this state.
    State(Box<Checkpoint>, Vec<Arc<StrategyMatrix>>, Why),
}

impl Record {
    fn policy(&self) -> Option<Arc<PolicyTag>> {
        if let Record::Policy(_, tag) = self { Some(tag.clone()) } else { None }
    }

    fn state(scheduler: &Scheduler, why: Why) -> Record {
        Record::State(scheduler.checkpoint().into(), scheduler.models().to_vec(), why)
    }
}

/// Why a state is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The journal is full, or could not be written.
    Full,
    /// Steps before it are missing.
    Gap,
}

/// Rows of queues (of a few hundred bytes) that may wait to be written down.
const MOST_ROWS: usize = 200_000;
/// How often the writer looks, while something happens.
const PACE: Duration = Duration::from_millis(25);

struct JournalWriter {
    /// The last policy that was put in place, once there was another than at the start.
    policy: Option<Arc<PolicyTag>>,
    folder: Option<Folder>,
    header: Header,
    histories: JobHistories,
    /// A state was asked for and has not come.
    asked: bool,
    metrics: Arc<Metrics>,
}

impl EventRecorder {
    /// Begins with this scheduler; so many jobs that have ended keep their stories.
    pub(crate) fn start(
        scheduler: &Scheduler,
        tag: &PolicyTag,
        journal: &config::Journal,
        most_ended: usize,
        supervisor: &Arc<Supervisor>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Arc<EventRecorder>> {
        let header = Header::of(scheduler, in_place(tag), env!("CARGO_PKG_VERSION"));
        let histories =
            JobHistories::new(scheduler.models().to_vec(), scheduler.config().clone(), tag.name.clone(), most_ended);
        let folder = (!journal.dir.as_os_str().is_empty()).then(|| open(journal, &header)).transpose()?;
        let recorder = Arc::new(EventRecorder {
            buffer: Mutex::default(),
            came: Condvar::new(),
            wants_state: AtomicBool::new(false),
            writer: Mutex::new(JournalWriter {
                policy: None,
                folder,
                header,
                histories,
                asked: false,
                metrics: metrics.clone(),
            }),
            metrics,
            supervisor: supervisor.clone(),
        });
        let writer = Arc::downgrade(&recorder);
        let threads = supervisor.clone();
        let write = move || {
            while let Some(recorder) = writer.upgrade() {
                if !recorder.run_once() {
                    return;
                }
            }
        };
        threads.spawn("journal", write).context("starting the journal thread")?;
        Ok(recorder)
    }

    /// A step was taken.
    pub(crate) fn step(&self, scheduler: &Scheduler, now: Time, event: Event, actions: &[Action]) {
        let rows = 1 + answered(&event) + actions.iter().map(rows).sum::<usize>();
        let mut buffer = self.buffer();
        // an empty buffer takes whatever comes: else a queue that is large enough could never be written down
        if buffer.rows > 0 && buffer.rows + rows > MOST_ROWS {
            if !std::mem::replace(&mut buffer.gap, true) {
                self.metrics.journal_missed();
            }
            return;
        }
        buffer.rows += rows;
        // the state is the one after this step
        if std::mem::take(&mut buffer.gap) {
            buffer.records.push(Record::state(scheduler, Why::Gap));
        } else {
            buffer.records.push(Record::Step(now, event, actions.to_vec()));
            if self.wants_state.swap(false, Ordering::Relaxed) {
                buffer.records.push(Record::state(scheduler, Why::Full));
            }
        }
        self.wake(buffer);
    }

    /// Another policy is about to be put in place.
    pub(crate) fn policy(&self, now: Time, tag: Arc<PolicyTag>) {
        let mut buffer = self.buffer();
        buffer.records.push(Record::Policy(now, tag));
        self.wake(buffer);
    }

    /// A job's history, up to date, if there is one. Blocks while what is left is written down.
    pub(crate) fn history(&self, job: JobId) -> Option<JobHistory> {
        let mut writer = self.writer();
        self.catch_up(&mut writer);
        writer.histories.history(job).cloned()
    }

    /// Writes down what is left. Nothing may happen after it.
    pub(crate) fn close(&self) {
        let mut writer = self.writer();
        self.catch_up(&mut writer);
        let mut buffer = self.buffer();
        buffer.closed = true;
        drop(buffer);
        self.came.notify_one();
    }

    /// Waits until something came, and a while longer, and writes it down; not so, once nothing will come any more.
    fn run_once(&self) -> bool {
        let mut buffer = self.buffer();
        while buffer.records.is_empty() && !buffer.closed {
            buffer.asleep = true;
            // whoever drops the last strong reference notifies nobody
            let (woken, timeout) = self.came.wait_timeout(buffer, Duration::from_secs(1)).expect(SOUND);
            buffer = woken;
            buffer.asleep = false;
            if timeout.timed_out() {
                return !buffer.closed;
            }
        }
        let closed = buffer.closed;
        drop(buffer);
        if !closed {
            std::thread::sleep(PACE);
        }
        self.catch_up(&mut self.writer());
        !closed
    }

    fn catch_up(&self, writer: &mut JournalWriter) {
        let mut buffer = self.buffer();
        buffer.rows = 0;
        let records = std::mem::take(&mut buffer.records);
        drop(buffer);
        // whatever becomes of the records, the writer knows who is in place after them
        let policy = records.iter().rev().find_map(Record::policy);
        writer.policy = policy.or(writer.policy.take());
        for record in records {
            self.supervisor.checkpoint("journal");
            if writer.write_down(record) {
                self.wants_state.store(true, Ordering::Relaxed);
            }
        }
        writer.flush();
    }

    fn wake(&self, buffer: MutexGuard<'_, RecordBuffer>) {
        let asleep = buffer.asleep;
        drop(buffer);
        if asleep {
            self.came.notify_one();
        }
    }

    fn buffer(&self) -> MutexGuard<'_, RecordBuffer> {
        self.buffer.lock().expect(SOUND)
    }

    /// Whoever panicked with it has lost what he had in hand, and the journal may end in half a line: it is begun anew
    /// with the next step, as after any gap.
    fn writer(&self) -> MutexGuard<'_, JournalWriter> {
        self.writer.lock().unwrap_or_else(|poisoned| {
            self.writer.clear_poison();
            tracing::error!("some of what happened is lost: whoever wrote it down panicked");
            self.metrics.journal_missed();
            let mut buffer = self.buffer();
            buffer.records.retain(|record| matches!(record, Record::Policy(..)));
            buffer.rows = 0;
            buffer.gap = true;
            drop(buffer);
            let mut writer = poisoned.into_inner();
            writer.asked = false;
            self.wants_state.store(false, Ordering::Relaxed);
            writer
        })
    }
}

const SOUND: &str = "nobody panics while writing down what happened";

impl JournalWriter {
    /// Another state is wanted if it says so.
    fn write_down(&mut self, record: Record) -> bool {
        match record {
            Record::Step(at, event, actions) => {
                self.histories.handle(at, &event, &actions);
                self.line(|| step_line(at, &event, &actions))
            }
            Record::Policy(at, tag) => {
                self.histories.policy_changed(&tag.name);
                self.header.policy = in_place(&tag);
                let policy = self.header.policy.clone();
                self.line(|| policy_line(at, &policy))
            }
            Record::State(checkpoint, models, why) => {
                // some may have come in a gap
                self.histories.models_loaded(&models);
                self.header.models = models;
                if why == Why::Gap {
                    self.histories.catch_up(&checkpoint);
                    if let Some(tag) = &self.policy {
                        self.histories.policy_changed(&tag.name);
                        self.header.policy = in_place(tag);
                    }
                }
                self.begin(*checkpoint);
                false
            }
        }
    }

    fn line(&mut self, line: impl FnOnce() -> String) -> bool {
        let Some(folder) = &mut self.folder else { return false };
        if !folder.is_open() {
            return self.ask();
        }
        match folder.write(&line()) {
            Ok(Written::Line) => false,
            Ok(Written::Full) => self.ask(),
            Err(error) => {
                self.metrics.journal_failed();
                tracing::error!("the journal cannot be written, and is begun anew: {error}");
                self.ask()
            }
        }
    }

    /// Asks for a state, unless one is on its way.
    fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }

    fn begin(&mut self, checkpoint: Checkpoint) {
        self.asked = false;
        self.header.checkpoint = Some(checkpoint);
        self.header.written = Some(written());
        let Some(folder) = &mut self.folder else { return };
        if let Err(error) = folder.begin(&self.header) {
            self.metrics.journal_failed();
            tracing::error!("no journal can be begun, and it is tried again: {error}");
        }
    }

    fn flush(&mut self) {
        let Some(folder) = &mut self.folder else { return };
        if let Err(error) = folder.flush() {
            self.metrics.journal_failed();
            tracing::error!("the journal cannot be written: {error}");
        }
    }
}

fn open(journal: &config::Journal, header: &Header) -> anyhow::Result<Folder> {
    let path: &Path = &journal.dir;
    let begin = || {
        let mut folder = Folder::open(path, journal.max_file_bytes, journal.max_files)?;
        folder.begin(&Header { written: Some(written()), ..header.clone() })?;
        std::io::Result::Ok(folder)
    };
    begin().with_context(|| format!("beginning a journal in {}", path.display()))
}

fn written() -> String {
    jiff::Timestamp::now().round(jiff::Unit::Second).map_or_else(|_| String::new(), |now| now.to_string())
}

fn in_place(tag: &PolicyTag) -> PolicyRecord {
    PolicyRecord { name: tag.name.clone(), hash: tag.hash.clone(), settings: tag.settings.clone() }
}

/// Rows of a policy's answer.
fn answered(event: &Event) -> usize {
    match event {
        Event::Decided(_, Ok(decision)) => decision.assignments.len() + decision.order.len(),
        _ => 0,
    }
}

fn rows(action: &Action) -> usize {
    match action {
        Action::Decide(snapshot) => snapshot.jobs.len(),
        Action::Adopt(_, jobs) => jobs.len(),
        Action::Fallback(_, moves) => moves.len(),
        _ => 0,
    }
}
