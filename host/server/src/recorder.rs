//! What happened, on its way from the driver to the histories of jobs, which are in memory, and to the journal on disk.
//!
//! The driver hands over every step under its lock and never waits: what there is no room for is lost, the histories and
//! the journal are told so by the scheduler's state as it is after the gap. A thread of its own, which wakes up a few times
//! a second, keeps the histories, and hands on what is to be written ([`crate::journal`]): no disk is ever waited for here.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use mosel_core::{Action, Checkpoint, Config, Event, JobId, Scheduler, StrategyMatrix, Time};
use mosel_journal::{Folder, Header, JobHistories, JobHistory, PolicyRecord};

use crate::config;
use crate::jobs::PolicyTag;
use crate::journal::{Journal, StepRecord};
use crate::metrics::Metrics;
use crate::supervisor::Supervisor;
use crate::wire_id::WireId;

/// Where the driver leaves what happened.
pub(crate) struct EventRecorder {
    buffer: Mutex<RecordBuffer>,
    came: Condvar,
    recorded: Mutex<Recorded>,
    journal: Option<Arc<Journal>>,
    metrics: Arc<Metrics>,
    supervisor: Arc<Supervisor>,
}

/// What waits to be recorded.
#[derive(Default)]
struct RecordBuffer {
    records: Vec<Record>,
    /// What the job that the next step brings is called by its client.
    name: Option<(JobId, WireId)>,
    /// Room that the records take, in rows of queues.
    rows: usize,
    /// Something was lost since the last record.
    gap: bool,
    /// The thread sleeps until it is woken.
    asleep: bool,
    closed: bool,
}

enum Record {
    Step(StepRecord),
    Policy(Time, Arc<PolicyTag>),
    /// What comes after this is about a scheduler in this state.
    State(Box<Checkpoint>, Vec<Arc<StrategyMatrix>>, Box<Config>, Why),
}

impl Record {
    fn policy(&self) -> Option<Arc<PolicyTag>> {
        if let Record::Policy(_, tag) = self { Some(tag.clone()) } else { None }
    }

    fn state(scheduler: &Scheduler, why: Why) -> Record {
        let config = scheduler.config().clone().into();
        Record::State(scheduler.checkpoint().into(), scheduler.models().to_vec(), config, why)
    }
}

/// Why a state is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The journal wants one, to begin another file.
    Journal,
    /// Steps before it are missing.
    Gap,
}

/// Rows of queues (of a few hundred bytes) that may wait to be recorded.
const MOST_ROWS: usize = 100_000;
/// How often the thread looks, while something happens.
const PACE: Duration = Duration::from_millis(25);

/// What is known of jobs, in memory.
struct Recorded {
    /// The last policy that was put in place, once there was another than at the start.
    policy: Option<Arc<PolicyTag>>,
    histories: JobHistories,
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
        let folder = (!journal.dir.as_os_str().is_empty())
            .then(|| Folder::new(&journal.dir, journal.max_file_bytes, journal.max_files));
        let journal = folder.map(|folder| Journal::start(folder, header, supervisor, metrics.clone())).transpose()?;
        let recorder = Arc::new(EventRecorder {
            buffer: Mutex::default(),
            came: Condvar::new(),
            recorded: Mutex::new(Recorded { policy: None, histories }),
            journal,
            metrics,
            supervisor: supervisor.clone(),
        });
        let weak = Arc::downgrade(&recorder);
        let record = move || {
            while let Some(recorder) = weak.upgrade() {
                if !recorder.run_once() {
                    return;
                }
            }
        };
        supervisor.spawn("journal", record).context("starting the journal thread")?;
        Ok(recorder)
    }

    /// A step was taken.
    pub(crate) fn step(&self, scheduler: &Scheduler, now: Time, event: Event, actions: &[Action]) {
        let rows = 1 + answered(&event) + actions.iter().map(rows).sum::<usize>();
        let mut buffer = self.buffer();
        let name = buffer.name.take().filter(|_| matches!(event, Event::Submit(_)));
        // an empty buffer takes whatever comes: else a queue that is large enough could never be recorded
        if buffer.rows > 0 && buffer.rows + rows > MOST_ROWS {
            if !std::mem::replace(&mut buffer.gap, true) {
                self.metrics.journal_missed();
            }
            self.metrics.journal_lines_lost(1);
            return;
        }
        buffer.rows += rows;
        // the state is the one after this step
        if std::mem::take(&mut buffer.gap) {
            buffer.records.push(Record::state(scheduler, Why::Gap));
        } else {
            buffer.records.push(Record::Step(StepRecord { at: now, event, actions: actions.to_vec(), name, rows }));
            if self.journal.as_ref().is_some_and(|journal| journal.wants_state()) {
                buffer.records.push(Record::state(scheduler, Why::Journal));
            }
        }
        self.wake(buffer);
    }

    /// The next step brings the job of this number; its client calls it so.
    pub(crate) fn named(&self, job: JobId, id: WireId) {
        self.buffer().name = Some((job, id));
    }

    /// Another policy is about to be put in place.
    pub(crate) fn policy(&self, now: Time, tag: Arc<PolicyTag>) {
        let mut buffer = self.buffer();
        buffer.records.push(Record::Policy(now, tag));
        self.wake(buffer);
    }

    /// A job's history, up to date, if there is one. Waits for no disk.
    pub(crate) fn history(&self, job: JobId) -> Option<JobHistory> {
        let mut recorded = self.recorded();
        self.catch_up(&mut recorded);
        recorded.histories.history(job).cloned()
    }

    /// Records what is left, and waits a little while for the journal's disk. Nothing may happen after it.
    pub(crate) fn close(&self) {
        self.catch_up(&mut self.recorded());
        let mut buffer = self.buffer();
        buffer.closed = true;
        drop(buffer);
        self.came.notify_one();
        if let Some(journal) = &self.journal {
            journal.close();
        }
    }

    /// Waits until something came, and a while longer, and records it; not so, once nothing will come any more.
    fn run_once(&self) -> bool {
        let mut buffer = self.buffer();
        while buffer.records.is_empty() && !buffer.closed {
            buffer.asleep = true;
            // whoever drops the last strong reference notifies nobody
            let (woken, timeout) =
                self.came.wait_timeout(buffer, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner);
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
        self.catch_up(&mut self.recorded());
        !closed
    }

    fn catch_up(&self, recorded: &mut Recorded) {
        let mut buffer = self.buffer();
        buffer.rows = 0;
        let records = std::mem::take(&mut buffer.records);
        drop(buffer);
        // whatever becomes of the records, it is known who is in place after them
        let policy = records.iter().rev().find_map(Record::policy);
        recorded.policy = policy.or(recorded.policy.take());
        for record in records {
            self.supervisor.checkpoint("journal");
            self.record(recorded, record);
        }
    }

    fn record(&self, recorded: &mut Recorded, record: Record) {
        let Recorded { policy, histories } = recorded;
        match record {
            Record::Step(step) => {
                histories.handle(step.at, &step.event, &step.actions);
                if let Some(journal) = &self.journal {
                    journal.step(step);
                }
            }
            Record::Policy(at, tag) => {
                histories.policy_changed(&tag.name);
                if let Some(journal) = &self.journal {
                    journal.policy(at, in_place(&tag));
                }
            }
            Record::State(checkpoint, models, config, why) => {
                // some may have come in a gap
                histories.models_loaded(&models);
                if why == Why::Gap {
                    histories.catch_up(&checkpoint);
                    if let Some(tag) = policy {
                        histories.policy_changed(&tag.name);
                        if let Some(journal) = &self.journal {
                            journal.policy_in_place(in_place(tag));
                        }
                    }
                }
                if let Some(journal) = &self.journal {
                    journal.state(*checkpoint, models, *config);
                }
            }
        }
    }

    fn wake(&self, buffer: MutexGuard<'_, RecordBuffer>) {
        let asleep = buffer.asleep;
        drop(buffer);
        if asleep {
            self.came.notify_one();
        }
    }

    fn buffer(&self) -> MutexGuard<'_, RecordBuffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever panicked with it has lost what he had in hand: it goes on with the next step, as after any gap.
    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(|poisoned| {
            self.recorded.clear_poison();
            tracing::error!("some of what happened is lost: whoever recorded it panicked");
            self.metrics.journal_missed();
            let mut buffer = self.buffer();
            buffer.records.retain(|record| matches!(record, Record::Policy(..)));
            buffer.rows = 0;
            buffer.gap = true;
            poisoned.into_inner()
        })
    }
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
