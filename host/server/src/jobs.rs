//! The job table: what clients sent, how far it is, what came out. The core knows none of it.
//!
//! Bounded in every direction: inputs by bytes, ended jobs by bytes and age; a live job is bounded by the scheduler's
//! queue. Everyone shares the records; each lock is short.
//!
//! The core knows a job by its number, clients by its [`WireId`]. An ended job that had to make room leaves its name and
//! key behind for as long as it would have been kept: else the same submission would run once more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mosel_core::{Accepted, DecisionId, Job, JobId, Mode, ModelId, OnLate, Outcome, Refusal, Tenant, Time};
use mosel_models::{Output, Request, Unanswered};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::byte_budget::{ByteBudget, HeldBytes};
use crate::kept_jobs::KeptJobs;
use crate::shares::ShareKey;
use crate::wire_id::WireId;

/// Every job the server can still tell something about.
#[derive(Debug)]
pub(crate) struct Jobs {
    next: AtomicU64,
    table: Mutex<Table>,
    input_bytes: Arc<ByteBudget>,
    keep: Keep,
}

/// What is kept of ended jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// How long.
    pub(crate) time: Duration,
    /// Bytes of all of them.
    pub(crate) bytes: u64,
    /// How many.
    pub(crate) jobs: usize,
}

#[derive(Debug, Default)]
struct Table {
    records: BTreeMap<JobId, Arc<JobRecord>>,
    /// Of all that there are records of, and of those that had to make room.
    ids: HashMap<WireId, JobId>,
    keys: HashMap<KeyName, JobId>,
    kept: KeptJobs,
    evicted: BTreeMap<JobId, EvictedJob>,
    evicted_by_time: BTreeSet<(Time, JobId)>,
    evicted_bytes: u64,
}

/// Keys of different tenants have nothing to do with each other.
type KeyName = (Option<Arc<str>>, String);

/// What is left of an ended job that had to make room.
#[derive(Debug)]
struct EvictedJob {
    id: WireId,
    tenant: Option<Arc<str>>,
    key: Option<Key>,
    ended: Time,
}

/// One job, from the moment its inputs are here.
#[derive(Debug)]
pub(crate) struct JobRecord {
    /// Its number, for the core.
    pub(crate) id: JobId,
    /// Its name, for clients.
    pub(crate) wire_id: WireId,
    /// What the client asked for.
    pub(crate) request: JobRequest,
    key: Option<Key>,
    holder: ShareKey,
    progress: Mutex<Progress>,
    /// Somebody was told how it ended.
    fetched: AtomicBool,
}

/// What a client sent.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// What it asks for.
    pub(crate) request: JobRequest,
    /// The inputs.
    pub(crate) requests: Arc<[Request]>,
    /// The room that they take.
    pub(crate) held: HeldBytes,
    /// Its own name for it.
    pub(crate) key: Option<Key>,
    /// Whose room the job takes once it has ended.
    pub(crate) holder: ShareKey,
}

/// What the client asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobRequest {
    /// The model.
    pub(crate) model: ModelId,
    /// How many requests.
    pub(crate) requests: u32,
    /// How long after its arrival it has to be finished.
    pub(crate) deadline: Duration,
    /// The floor.
    pub(crate) min_accuracy: f64,
    /// Importance relative to other jobs.
    pub(crate) weight: f64,
    /// The wish for the case that the deadline cannot be met.
    pub(crate) on_late: OnLate,
    /// Whose it is: by the token, or as the client says where there is none.
    pub(crate) tenant: Option<Arc<str>>,
}

/// A client's name for a submission, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// `Idempotency-Key`.
    pub(crate) name: String,
    /// Hash of everything submitted under it but the deadline, of which a retry may have less left.
    pub(crate) content: [u8; 32],
}

/// How far a job is.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the whole of it was here; [`Time::START`] where that is not known yet.
    pub(crate) arrival: Time,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// Answers by request; `None` where there is none (yet).
    pub(crate) outputs: Vec<Option<Answer>>,
    /// Time that went into decoding and scaling its inputs.
    pub(crate) prepare: Duration,
    /// Why a batch failed, the last time one did.
    pub(crate) failure: Option<String>,
    requests: Option<Arc<[Request]>>,
    held: Option<HeldBytes>,
    waiters: Vec<Waiter>,
}

/// Where a job stands.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// The scheduler has not answered yet.
    Offered,
    /// Accepted, no batch was started.
    Queued(Accepted),
    /// A batch was started.
    Running(Accepted),
    /// Not accepted.
    Refused(Rejection),
    /// Nothing more will come.
    Ended(Arc<Completion>),
}

/// Why a job was turned away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rejection {
    /// By the scheduler, at this time.
    Core(Refusal, Time),
    /// The server is stopping.
    Draining,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Completion {
    /// When the job arrived.
    pub(crate) arrival: Time,
    /// The core's account.
    pub(crate) outcome: Outcome,
    /// The policy in place at that time.
    pub(crate) policy: Arc<PolicyTag>,
    /// The policies behind the outcome's decisions.
    pub(crate) planned_by: Vec<(DecisionId, Arc<PolicyTag>)>,
    /// Why it failed, if the server knows more than the core.
    pub(crate) reason: Option<String>,
}

/// Which policy, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PolicyTag {
    /// Its name.
    pub(crate) name: String,
    /// SHA-256 of its component, in hex.
    pub(crate) hash: String,
    /// Which installation of a policy on this server, counting from 1.
    pub(crate) generation: u64,
    /// JSON text it was configured with; for journals.
    #[serde(skip)]
    pub(crate) settings: String,
}

/// One request's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// What the request was run on, and with which numbers.
    pub(crate) mode: Mode,
    /// What came out, or why nothing did.
    pub(crate) output: Result<Output, Unanswered>,
}

/// How far a waiter wants a job to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Accepted or refused.
    Answered,
    /// Refused or ended.
    Ended,
}

#[derive(Debug)]
struct Waiter {
    until: Until,
    wake: oneshot::Sender<()>,
}

/// Clients that are woken when this is dropped: not before the locks are free.
#[derive(Debug, Default)]
pub(crate) struct DeferredWakeups(Vec<oneshot::Sender<()>>);

/// What became of a submission under its key.
#[derive(Debug)]
pub(crate) enum SubmitResult {
    /// A new job; the driver does not know it yet.
    New(Arc<JobRecord>),
    /// The same submission is here already.
    Same(Arc<JobRecord>),
    /// The key stands for another submission, which became this job.
    Conflict(WireId),
    /// The same submission was served under this name; what came out is not here any more.
    Evicted(WireId),
}

/// What is known of a job's name.
#[derive(Debug)]
pub(crate) enum Found {
    /// The job.
    Job(Arc<JobRecord>),
    /// The job of this tenant has ended and had to make room.
    Evicted(Option<Arc<str>>),
    /// There is no such job.
    Nothing,
}

impl Jobs {
    /// An empty table that keeps so much.
    pub(crate) fn new(keep: Keep, input_bytes: Arc<ByteBudget>) -> Jobs {
        Jobs { next: AtomicU64::new(1), table: Mutex::default(), input_bytes, keep }
    }

    /// Room for inputs; shared with bodies that are still being received.
    pub(crate) fn input_bytes(&self) -> &Arc<ByteBudget> {
        &self.input_bytes
    }

    /// How long ended jobs are kept.
    pub(crate) fn keep(&self) -> Duration {
        self.keep.time
    }

    /// Makes a record of this name, or finds the one the key stands for.
    ///
    /// Makes room for it among the ended jobs: here, because this thread has time to free what they held.
    pub(crate) fn open(&self, submitted: Submitted, wire_id: WireId) -> SubmitResult {
        let Submitted { request, requests, held, key, holder } = submitted;
        let _freed_after_the_lock;
        let mut table = self.lock();
        _freed_after_the_lock = table.make_room(self.keep);
        if let Some(known) = key.as_ref().and_then(|key| table.known(&request.tenant, key)) {
            return known;
        }
        let id = JobId(self.next.fetch_add(1, Ordering::Relaxed));
        if let Some(key) = &key {
            table.keys.insert((request.tenant.clone(), key.name.clone()), id);
        }
        table.ids.insert(wire_id, id);
        let progress = Mutex::new(Progress::offered(requests, held));
        let fetched = AtomicBool::new(false);
        let record = Arc::new(JobRecord { id, wire_id, request, key, holder, progress, fetched });
        table.records.insert(id, record.clone());
        SubmitResult::New(record)
    }

    /// What the key of this tenant stands for, if it stands for something.
    pub(crate) fn known(&self, tenant: &Option<Arc<str>>, key: &Key) -> Option<SubmitResult> {
        self.lock().known(tenant, key)
    }

    /// What is known of the job of this name.
    pub(crate) fn find(&self, wire_id: WireId) -> Found {
        let table = self.lock();
        let Some(id) = table.ids.get(&wire_id) else { return Found::Nothing };
        let evicted = || table.evicted.get(id).map(|evicted| Found::Evicted(evicted.tenant.clone()));
        table.records.get(id).cloned().map(Found::Job).or_else(evicted).unwrap_or(Found::Nothing)
    }

    /// The job of this number, if it is still known.
    pub(crate) fn numbered(&self, id: JobId) -> Option<Arc<JobRecord>> {
        self.lock().records.get(&id).cloned()
    }

    /// Up to `limit` jobs that came after the one of this name, oldest first, of those that `wanted` picks, and where to go on;
    /// `None` if there is no such name. So many are looked at at most, since the driver takes this lock too.
    pub(crate) fn page(
        &self,
        after: Option<WireId>,
        limit: usize,
        wanted: impl Fn(&JobRecord) -> bool,
    ) -> Option<(Vec<Arc<JobRecord>>, Option<WireId>)> {
        let table = self.lock();
        let after = after.map_or(Some(JobId(0)), |after| table.ids.get(&after).copied())?;
        let later = table.records.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, record)| record);
        let mut page = Vec::new();
        for (looked_at, record) in (1..).zip(later) {
            if wanted(record) {
                page.push(record.clone());
            }
            if page.len() == limit || looked_at == LOOKED_AT {
                return Some((page, Some(record.wire_id)));
            }
        }
        Some((page, None))
    }

    /// Some job has ended of whose end nobody was told.
    pub(crate) fn has_unfetched(&self) -> bool {
        let table = self.lock();
        let mut records = table.records.values();
        records.any(|record| !record.fetched.load(Ordering::Relaxed) && record.progress().completion().is_some())
    }

    /// A job was turned away: nothing of it is kept.
    pub(crate) fn reject(&self, record: &JobRecord, why: Rejection) -> DeferredWakeups {
        self.lock().forget(record);
        record.advance(Phase::Refused(why))
    }

    /// A job has ended: its inputs are freed, its outputs kept for a while.
    pub(crate) fn end(&self, record: &JobRecord, completion: Completion) -> DeferredWakeups {
        let now = completion.outcome.finish;
        let bytes = record.kept_bytes(&completion);
        self.lock().kept.add(record.holder.clone(), now, record.id, bytes);
        record.advance(Phase::Ended(Arc::new(completion)))
    }

    /// Forgets ended jobs that were kept long enough; says when the next one will have been.
    pub(crate) fn forget_old(&self, now: Time) -> Option<Time> {
        let _freed_after_the_lock;
        let mut table = self.lock();
        _freed_after_the_lock = table.forget_while(|ended| ended + self.keep.time <= now);
        let evicted = table.evicted_by_time.first().map(|(ended, _)| *ended);
        [table.kept.oldest(), evicted].into_iter().flatten().min().map(|ended| ended + self.keep.time)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs that are looked at for one page of a list.
const LOOKED_AT: usize = 2000;
/// What a name and a key that were left behind take, beside the key's own bytes.
const EVICTED_BYTES: u64 = 256;
/// What is left behind may take so large a part of what ended jobs may.
const EVICTED_PART: u64 = 4;

impl Table {
    fn known(&self, tenant: &Option<Arc<str>>, key: &Key) -> Option<SubmitResult> {
        let id = self.keys.get(&(tenant.clone(), key.name.clone()))?;
        if let Some(record) = self.records.get(id) {
            let same = record.key.as_ref() == Some(key);
            return Some(if same {
                SubmitResult::Same(record.clone())
            } else {
                SubmitResult::Conflict(record.wire_id)
            });
        }
        let evicted = self.evicted.get(id)?;
        let same = evicted.key.as_ref() == Some(key);
        Some(if same { SubmitResult::Evicted(evicted.id) } else { SubmitResult::Conflict(evicted.id) })
    }

    /// Lets ended jobs go that there is no room for; their names and keys stay.
    fn make_room(&mut self, keep: Keep) -> Vec<Arc<JobRecord>> {
        let mut freed = Vec::new();
        while self.kept.len() > keep.jobs || self.kept.bytes() > keep.bytes {
            let Some((ended, id)) = self.kept.take_of_the_largest() else { break };
            if let Some(record) = self.records.remove(&id) {
                self.leave_behind(&record, ended);
                freed.push(record);
            }
        }
        while self.evicted_bytes > keep.bytes / EVICTED_PART {
            let Some((_, id)) = self.evicted_by_time.pop_first() else { break };
            self.forget_evicted(id);
        }
        freed
    }

    fn leave_behind(&mut self, record: &JobRecord, ended: Time) {
        let JobRecord { id, wire_id, ref request, ref key, .. } = *record;
        let evicted = EvictedJob { id: wire_id, tenant: request.tenant.clone(), key: key.clone(), ended };
        self.evicted_bytes += evicted.bytes();
        self.evicted_by_time.insert((evicted.ended, id));
        self.evicted.insert(id, evicted);
    }

    /// Forgets ended jobs, oldest first, while this holds of the time they ended.
    fn forget_while(&mut self, old: impl Fn(Time) -> bool) -> Vec<Arc<JobRecord>> {
        let mut forgotten = Vec::new();
        while self.kept.oldest().is_some_and(&old)
            && let Some((_, id)) = self.kept.take_oldest()
        {
            if let Some(record) = self.records.get(&id).cloned() {
                self.forget(&record);
                forgotten.push(record);
            }
        }
        while self.evicted_by_time.first().is_some_and(|(ended, _)| old(*ended))
            && let Some((_, id)) = self.evicted_by_time.pop_first()
        {
            self.forget_evicted(id);
        }
        forgotten
    }

    fn forget(&mut self, record: &JobRecord) {
        self.records.remove(&record.id);
        self.ids.remove(&record.wire_id);
        if let Some(key) = &record.key {
            self.keys.remove(&(record.request.tenant.clone(), key.name.clone()));
        }
    }

    fn forget_evicted(&mut self, id: JobId) {
        let Some(evicted) = self.evicted.remove(&id) else { return };
        self.evicted_bytes -= evicted.bytes();
        self.ids.remove(&evicted.id);
        if let Some(key) = evicted.key {
            self.keys.remove(&(evicted.tenant, key.name));
        }
    }
}

impl EvictedJob {
    fn bytes(&self) -> u64 {
        EVICTED_BYTES + self.key.as_ref().map_or(0, |key| 2 * key.name.len() as u64)
    }
}

/// Bytes of a job's records in all tables, beside what differs from job to job.
const OF_A_JOB: usize = 1024;
/// Bytes of the words about a broken input.
const OF_AN_ERROR: usize = 256;

impl JobRecord {
    /// The whole of it was here at this time, before it was read.
    pub(crate) fn arrived(&self, at: Time) {
        self.progress().arrival = at;
    }

    /// The job as the core knows it, which takes it in now. Its deadline counts from when it arrived, which is now if
    /// nobody said otherwise.
    pub(crate) fn arrive(&self, now: Time) -> Job {
        let arrival = {
            let mut progress = self.progress();
            if progress.arrival == Time::START {
                progress.arrival = now;
            }
            progress.arrival
        };
        let JobRequest { model, requests, deadline, min_accuracy, weight, on_late, ref tenant } = self.request;
        let tenant = tenant.as_deref().map(Tenant::named).unwrap_or_default();
        Job { id: self.id, model, requests, deadline: arrival + deadline, min_accuracy, weight, tenant, on_late }
    }

    /// Roughly what the job takes once it has ended so.
    fn kept_bytes(&self, completion: &Completion) -> u64 {
        let text = |answer: &Answer| match &answer.output {
            Ok(output) => output.name.len(),
            Err(_) => OF_AN_ERROR,
        };
        let progress = self.progress();
        let answers = progress.outputs.len() * size_of::<Option<Answer>>();
        let texts: usize = progress.outputs.iter().flatten().map(text).sum();
        let Completion { outcome, planned_by, reason, .. } = completion;
        let lists = size_of_val(&outcome.mix[..]) + size_of_val(&outcome.decisions[..]) + size_of_val(&planned_by[..]);
        let key = self.key.as_ref().map_or(0, |key| 2 * key.name.len());
        let reason = reason.as_ref().map_or(0, String::len);
        (OF_A_JOB + answers + texts + lists + key + reason) as u64
    }

    /// How far the job is. Short looks only: the driver takes this lock too.
    pub(crate) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody was told how the job ended.
    pub(crate) fn fetched(&self) {
        self.fetched.store(true, Ordering::Relaxed);
    }

    /// The scheduler took the job.
    pub(crate) fn accept(&self, accepted: Accepted) -> DeferredWakeups {
        self.advance(Phase::Queued(accepted))
    }

    /// A batch of the job starts: its requests, unless the job has ended meanwhile.
    pub(crate) fn start(&self) -> Option<Arc<[Request]>> {
        let mut progress = self.progress();
        if let Phase::Queued(accepted) = progress.phase {
            progress.phase = Phase::Running(accepted);
        }
        progress.requests.clone()
    }

    /// A batch of the job is done: its answers, from request `first` on.
    /// `prepare` went into its inputs.
    pub(crate) fn answer(&self, first: usize, prepare: Duration, answers: impl Iterator<Item = Answer>) {
        let mut progress = self.progress();
        progress.prepare += prepare;
        if progress.requests.is_some() {
            for (slot, answer) in progress.outputs.iter_mut().skip(first).zip(answers) {
                *slot = Some(answer);
            }
        }
    }

    /// Resolves once the job is as far as that. Registered at once, not at the first poll.
    pub(crate) fn wait(&self, until: Until) -> impl Future<Output = ()> + use<> {
        let (wake, woken) = oneshot::channel();
        let mut progress = self.progress();
        if progress.phase.reached(until) {
            let _ = wake.send(());
        } else {
            // not at every one: a thousand clients may wait for one job
            if progress.waiters.len().is_power_of_two() {
                progress.waiters.retain(|waiter| !waiter.wake.is_closed());
            }
            progress.waiters.push(Waiter { until, wake });
        }
        async {
            let _ = woken.await;
        }
    }

    /// Some client waits for it.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.progress().waiters.iter().any(|waiter| !waiter.wake.is_closed())
    }

    fn advance(&self, phase: Phase) -> DeferredWakeups {
        let mut progress = self.progress();
        if matches!(progress.phase, Phase::Ended(_) | Phase::Refused(_)) {
            return DeferredWakeups::default();
        }
        if phase.reached(Until::Ended) {
            progress.requests = None;
            progress.held = None;
        }
        let reached = |waiter: &mut Waiter| phase.reached(waiter.until);
        let woken = progress.waiters.extract_if(.., reached).map(|waiter| waiter.wake).collect();
        progress.phase = phase;
        DeferredWakeups(woken)
    }
}

impl DeferredWakeups {
    /// Wakes these clients together with those of `more`.
    pub(crate) fn extend(&mut self, mut more: DeferredWakeups) {
        if self.0.is_empty() {
            std::mem::swap(&mut self.0, &mut more.0);
        }
        self.0.append(&mut more.0);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for DeferredWakeups {
    fn drop(&mut self) {
        for wake in self.0.drain(..) {
            // a client that has gone away is no matter
            let _ = wake.send(());
        }
    }
}

impl Progress {
    /// How the job ended, if it has.
    pub(crate) fn completion(&self) -> Option<&Arc<Completion>> {
        match &self.phase {
            Phase::Ended(completion) => Some(completion),
            _ => None,
        }
    }

    /// How many requests of a job that has run have no answer, and why the first of them has none.
    pub(crate) fn unanswered(&self) -> Option<String> {
        let mut errors = self.outputs.iter().flatten().filter_map(|answer| answer.output.as_ref().err());
        let first = errors.next()?;
        let (requests, none) = (self.outputs.len(), errors.count() + 1);
        let have = if none == 1 { "has" } else { "have" };
        Some(format!("{none} of {requests} requests {have} no answer: {first}"))
    }

    fn offered(requests: Arc<[Request]>, held: HeldBytes) -> Progress {
        Progress {
            arrival: Time::START,
            phase: Phase::Offered,
            outputs: vec![None; requests.len()],
            prepare: Duration::ZERO,
            failure: None,
            requests: Some(requests),
            held: Some(held),
            waiters: Vec::new(),
        }
    }
}

impl Phase {
    fn reached(&self, until: Until) -> bool {
        match self {
            Phase::Offered => false,
            Phase::Queued(_) | Phase::Running(_) => until == Until::Answered,
            Phase::Refused(_) | Phase::Ended(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::{Full, ShareKey};
    use mosel_core::{End, ModalitySet};

    fn jobs(max_ended: usize) -> Jobs {
        let keep = Keep { time: Duration::from_secs(60), bytes: 1 << 20, jobs: max_ended };
        Jobs::new(keep, ByteBudget::new(100, 100))
    }

    fn open(jobs: &Jobs, key: Option<(&str, u8)>) -> SubmitResult {
        open_for(jobs, "acme", key)
    }

    fn open_for(jobs: &Jobs, tenant: &str, key: Option<(&str, u8)>) -> SubmitResult {
        let request = JobRequest {
            model: ModelId(0),
            requests: 1,
            deadline: Duration::from_millis(50),
            min_accuracy: 0.5,
            weight: 1.0,
            on_late: OnLate::Run,
            tenant: Some(tenant.into()),
        };
        let mut held = jobs.input_bytes().hold(ShareKey::Anybody, 1.0);
        held.take(10).expect("there is room");
        let key = key.map(|(name, content)| Key { name: name.into(), content: [content; 32] });
        let requests = [Request::new(vec![])].into();
        jobs.open(
            Submitted { request, requests, held, key, holder: ShareKey::Tenant(tenant.into()) },
            WireId::random().unwrap(),
        )
    }

    fn new(jobs: &Jobs) -> Arc<JobRecord> {
        match open(jobs, None) {
            SubmitResult::New(record) => record,
            other => panic!("a job without a key is new, got {other:?}"),
        }
    }

    fn completion(job: JobId, finish: Time) -> Completion {
        let outcome = Outcome {
            job,
            end: End::Served,
            finish,
            deadline: finish,
            min_accuracy: 0.0,
            mix: vec![],
            accuracy: None,
            answered: 0,
            requests: 1,
            started: None,
            device_time: Duration::ZERO,
            expected_time: Duration::ZERO,
            last_choice: (mosel_core::TableId(0), 0),
            decisions: vec![],
        };
        Completion { arrival: Time::START, outcome, policy: Arc::default(), planned_by: vec![], reason: None }
    }

    #[test]
    fn the_same_key_and_content_is_the_same_job_until_it_is_forgotten() {
        let jobs = jobs(1);
        let SubmitResult::New(first) = open(&jobs, Some(("k", 1))) else { panic!("expected a new job") };
        assert!(matches!(open(&jobs, Some(("k", 1))), SubmitResult::Same(record) if record.id == first.id));
        assert!(matches!(open(&jobs, Some(("k", 2))), SubmitResult::Conflict(id) if id == first.wire_id));
        jobs.end(&first, completion(first.id, Time::START));
        assert!(matches!(open(&jobs, Some(("k", 1))), SubmitResult::Same(_)));
        assert_eq!(jobs.forget_old(Time::START + Duration::from_secs(60)), None);
        assert!(matches!(open(&jobs, Some(("k", 2))), SubmitResult::New(_)));
    }

    #[test]
    fn a_key_is_its_tenants_own() {
        let jobs = jobs(9);
        let SubmitResult::New(first) = open_for(&jobs, "alice", Some(("k", 1))) else { panic!("expected a new job") };
        let SubmitResult::New(second) = open_for(&jobs, "bob", Some(("k", 2))) else { panic!("expected a new job") };
        assert!(matches!(open_for(&jobs, "bob", Some(("k", 2))), SubmitResult::Same(job) if job.id == second.id));
        assert!(matches!(open_for(&jobs, "alice", Some(("k", 1))), SubmitResult::Same(job) if job.id == first.id));
    }

    #[test]
    fn the_key_of_a_job_that_made_room_runs_nothing_again_until_its_time_is_over() {
        let jobs = jobs(1);
        let SubmitResult::New(first) = open(&jobs, Some(("k", 1))) else { panic!("expected a new job") };
        jobs.end(&first, completion(first.id, Time::START));
        let second = new(&jobs);
        jobs.end(&second, completion(second.id, Time::from_millis(1)));
        assert!(matches!(open(&jobs, Some(("k", 1))), SubmitResult::Evicted(id) if id == first.wire_id));
        assert!(matches!(open(&jobs, Some(("k", 2))), SubmitResult::Conflict(id) if id == first.wire_id));
        assert!(matches!(jobs.find(first.wire_id), Found::Evicted(Some(tenant)) if &*tenant == "acme"));
        assert!(matches!(jobs.find(second.wire_id), Found::Job(_)));
        jobs.forget_old(Time::START + Duration::from_secs(60));
        assert!(matches!(jobs.find(first.wire_id), Found::Nothing));
        assert!(matches!(open(&jobs, Some(("k", 1))), SubmitResult::New(_)));
        let table = jobs.lock();
        assert_eq!((table.evicted.len(), table.evicted_by_time.len(), table.evicted_bytes), (0, 0, 0));
    }

    #[test]
    fn bytes_bound_what_is_kept_and_a_flood_evicts_its_own() {
        let keep = Keep { time: Duration::from_secs(60), bytes: 50_000, jobs: 1_000_000 };
        let jobs = Jobs::new(keep, ByteBudget::new(1 << 20, 1 << 20));
        let SubmitResult::New(alices) = open_for(&jobs, "alice", None) else { panic!("expected a new job") };
        jobs.end(&alices, completion(alices.id, Time::START));
        for millis in 1..1000 {
            let SubmitResult::New(bobs) = open_for(&jobs, "bob", None) else { panic!("expected a new job") };
            jobs.end(&bobs, completion(bobs.id, Time::from_millis(millis)));
        }
        new(&jobs);
        assert!(matches!(jobs.find(alices.wire_id), Found::Job(_)));
        let table = jobs.lock();
        assert!(table.kept.bytes() <= 50_000 && table.kept.len() > 10, "{} bytes", table.kept.bytes());
        assert!(table.evicted_bytes <= 50_000 / EVICTED_PART && !table.evicted.is_empty());
        assert_eq!(table.ids.len(), table.records.len() + table.evicted.len());
    }

    #[test]
    fn the_core_knows_a_tenant_by_its_hash() {
        let jobs = jobs(1);
        assert_eq!(new(&jobs).arrive(Time::START).tenant, Tenant::named("acme"));
        assert_ne!(Tenant::named("acme"), Tenant::default());
    }

    #[test]
    fn a_job_that_was_turned_away_leaves_nothing_behind() {
        let jobs = jobs(1);
        let SubmitResult::New(record) = open(&jobs, Some(("k", 1))) else { panic!("expected a new job") };
        jobs.reject(&record, Rejection::Draining);
        assert_eq!(jobs.input_bytes().used(), 0);
        assert!(matches!(jobs.find(record.wire_id), Found::Nothing));
        assert!(matches!(open(&jobs, Some(("k", 2))), SubmitResult::New(_)));
    }

    #[test]
    fn ended_jobs_are_kept_by_number_and_age_and_their_inputs_are_freed() {
        let jobs = jobs(2);
        let records: Vec<Arc<JobRecord>> = (0..3).map(|_| new(&jobs)).collect();
        assert_eq!(jobs.input_bytes().used(), 30);
        for (seconds, record) in records.iter().enumerate() {
            jobs.end(record, completion(record.id, Time::from_millis(seconds as u64 * 1000)));
        }
        assert_eq!(jobs.input_bytes().used(), 0);
        let page = |after| jobs.page(after, 9, |_| true);
        let known = |after| page(after).unwrap().0.iter().map(|job| job.id.0).collect::<Vec<u64>>();
        new(&jobs);
        assert_eq!(known(None), [2, 3, 4]);
        assert_eq!(known(Some(records[0].wire_id)), [2, 3, 4], "after one that made room");
        assert_eq!(known(Some(records[1].wire_id)), [3, 4]);
        assert_eq!(jobs.forget_old(Time::from_millis(61_000)), Some(Time::from_millis(62_000)));
        assert_eq!(known(None), [3, 4]);
        assert!(page(Some(records[1].wire_id)).is_none(), "after one that is forgotten");
    }

    #[test]
    fn bytes_beyond_the_budget_are_refused_and_given_back() {
        let jobs = jobs(1);
        let mut held = jobs.input_bytes().hold(ShareKey::Anybody, 1.0);
        assert_eq!((held.take(60), held.take(41)), (Ok(()), Err(Full::Pool)));
        drop(held);
        assert_eq!(jobs.input_bytes().used(), 0);
    }

    #[test]
    fn waiters_are_woken_when_the_job_is_as_far_as_they_want() {
        let jobs = jobs(1);
        let record = new(&jobs);
        type Wait = std::pin::Pin<Box<dyn Future<Output = ()>>>;
        let mut answered: Wait = Box::pin(record.wait(Until::Answered));
        let mut ended: Wait = Box::pin(record.wait(Until::Ended));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut ready = |future: &mut Wait| future.as_mut().poll(&mut context).is_ready();
        assert!(!ready(&mut answered) && !ready(&mut ended));
        record.accept(Accepted { job: record.id, lane: mosel_core::LaneId(0), predicted_finish: Time::NEVER });
        assert!(ready(&mut answered) && !ready(&mut ended));
        jobs.end(&record, completion(record.id, Time::START));
        assert!(ready(&mut ended));
    }

    #[test]
    fn the_first_of_several_reasons_is_told() {
        let record = new(&jobs(1));
        let answer = |output| Answer { mode: Mode::full(ModalitySet::all(1)), output };
        let failed = |why: &str| answer(Err(Unanswered::Failed(why.into())));
        assert_eq!(record.progress().unanswered(), None);
        record.answer(0, Duration::ZERO, std::iter::once(failed("torn")));
        let expected = "1 of 1 requests has no answer: the model fails on this request: torn";
        assert_eq!(record.progress().unanswered().as_deref(), Some(expected));
    }

    #[test]
    fn answers_that_come_after_the_end_are_dropped() {
        let jobs = jobs(1);
        let record = new(&jobs);
        assert!(record.start().is_some());
        jobs.end(&record, completion(record.id, Time::START));
        assert!(record.start().is_none());
        let answer = Answer { mode: Mode::full(ModalitySet::all(1)), output: Err(Unanswered::Failed("late".into())) };
        record.answer(0, Duration::ZERO, std::iter::once(answer));
        assert_eq!(record.progress().outputs, [None]);
    }
}
