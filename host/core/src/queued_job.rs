//! A job in a queue: what is left of it, on which strategy, and what was already served.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::CheckpointError;
use crate::{
    Decider, End, Job, JobRow, Mode, Outcome, Profile, QueuedJobState, Step, StrategyMatrix, StrategyTable, TableId,
    Time, at_least,
};

/// The most decisions an entry remembers; older ones are forgotten.
const DECISIONS_KEPT: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct QueuedJob {
    pub(crate) job: Job,
    pub(crate) arrival: Time,
    pub(crate) started: Option<Time>,
    /// Cannot meet its deadline any more.
    pub(crate) given_up: bool,
    /// A batch of it failed once; a second failure ends it.
    pub(crate) failed_once: bool,
    /// Taken in to find out whether the device is as fast again as the profile says: judged by the profile alone.
    pub(crate) probe: bool,
    pub(crate) device_time: Duration,
    /// What `device_time` should have been, by the estimates at each batch's start.
    pub(crate) expected_time: Duration,
    decisions: VecDeque<Decider>,
    matrix: Arc<StrategyMatrix>,
    /// The rest of the current strategy, in execution order.
    steps: VecDeque<Step>,
    /// The strategy's index in the table of what is left; `None` once batches were taken from it.
    choice: Option<u32>,
    /// The last strategy that was chosen, with the table it is in.
    last_choice: (TableId, u32),
    /// Requests that no batch was started for.
    pending: VecDeque<Range<u32>>,
    /// Requests that were started (answered, or on the device), by mode.
    mix: BTreeMap<Mode, u32>,
    /// Requests that were run and have no answer.
    unanswered: u32,
    /// Profiled time of `steps`.
    latency: Duration,
    /// Profiled time of the fastest legal way to serve what is left.
    fastest: Duration,
}

/// A batch taken from an entry.
pub(crate) struct Start {
    pub(crate) first: u32,
    pub(crate) requests: u32,
    pub(crate) batch_size: u32,
    pub(crate) mode: Mode,
    pub(crate) profiled: Duration,
}

impl QueuedJob {
    /// An accepted job, on its most accurate strategy. The matrix has a table for its size.
    pub(crate) fn new(job: Job, arrival: Time, matrix: Arc<StrategyMatrix>) -> QueuedJob {
        let mut entry = QueuedJob {
            job,
            arrival,
            started: None,
            given_up: false,
            failed_once: false,
            probe: false,
            device_time: Duration::ZERO,
            expected_time: Duration::ZERO,
            decisions: VecDeque::new(),
            matrix,
            steps: VecDeque::new(),
            choice: None,
            last_choice: (TableId(0), 0),
            pending: std::iter::once(0..job.requests).collect(),
            mix: BTreeMap::new(),
            unanswered: 0,
            latency: Duration::ZERO,
            fastest: Duration::ZERO,
        };
        let best = entry.table().expect("an admitted job has a strategy table").most_accurate();
        entry.choose(best);
        entry
    }

    /// The state as plain facts.
    pub(crate) fn state(&self) -> QueuedJobState {
        QueuedJobState {
            job: self.job,
            arrival: self.arrival,
            started: self.started,
            given_up: self.given_up,
            failed_once: self.failed_once,
            probe: self.probe,
            device_time: self.device_time,
            expected_time: self.expected_time,
            decisions: self.decisions.iter().copied().collect(),
            steps: self.steps.iter().copied().collect(),
            choice: self.choice,
            last_choice: self.last_choice,
            pending: self.pending.iter().cloned().collect(),
            mix: self.mix.iter().map(|(&mode, &requests)| (mode, requests)).collect(),
            unanswered: self.unanswered,
        }
    }

    /// The job of this state, if that fits the models.
    pub(crate) fn resume(state: &QueuedJobState, models: &[Arc<StrategyMatrix>]) -> Result<QueuedJob, CheckpointError> {
        let id = state.job.id;
        let matrix =
            models.get(state.job.model.0 as usize).ok_or(CheckpointError::Job(id, "there is no such model"))?;
        state.check(matrix).map_err(|what| CheckpointError::Job(id, what))?;
        Ok(QueuedJob::from_state(state, matrix.clone()))
    }

    /// The job of this state, which fits the matrix.
    fn from_state(state: &QueuedJobState, matrix: Arc<StrategyMatrix>) -> QueuedJob {
        let mut entry = QueuedJob {
            job: state.job,
            arrival: state.arrival,
            started: state.started,
            given_up: state.given_up,
            failed_once: state.failed_once,
            probe: state.probe,
            device_time: state.device_time,
            expected_time: state.expected_time,
            decisions: state.decisions.iter().rev().take(DECISIONS_KEPT).rev().copied().collect(),
            matrix,
            steps: state.steps.iter().copied().collect(),
            choice: state.choice,
            last_choice: state.last_choice,
            pending: state.pending.iter().cloned().collect(),
            mix: state.mix.iter().copied().collect(),
            unanswered: state.unanswered,
            latency: Duration::ZERO,
            fastest: Duration::ZERO,
        };
        entry.estimate();
        entry
    }

    /// The same job on another lane, whose device has this matrix: nothing changes on one of the same kind; on another one a
    /// job of which nothing was started begins anew on its most accurate strategy there.
    pub(crate) fn on(self, matrix: Arc<StrategyMatrix>) -> QueuedJob {
        if matrix.variant() == self.matrix.variant() {
            return QueuedJob { probe: false, ..self };
        }
        let job = Job { model: matrix.variant(), ..self.job };
        QueuedJob {
            given_up: self.given_up,
            failed_once: self.failed_once,
            decisions: self.decisions,
            ..QueuedJob::new(job, self.arrival, matrix)
        }
    }

    /// The model as jobs name it.
    pub(crate) fn model(&self) -> crate::ModelId {
        self.matrix.model()
    }

    /// No batch of it was ever started.
    pub(crate) fn is_untouched(&self) -> bool {
        self.started.is_none()
    }

    /// What the profile says of a batch of it, for the request count that it really has.
    pub(crate) fn profile(&self) -> &Profile {
        self.matrix.profile()
    }

    /// Requests that were started in this mode.
    pub(crate) fn started_on(&self, mode: Mode) -> u32 {
        self.mix.get(&mode).copied().unwrap_or(0)
    }

    /// Requests that no batch was started for.
    pub(crate) fn left(&self) -> u32 {
        self.pending.iter().map(|range| range.end - range.start).sum()
    }

    /// Profiled time of what is left on the current strategy.
    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// Profiled time of what is left, if it were served by `choice`; on the current strategy for `None`.
    pub(crate) fn latency_on(&self, choice: Option<u32>) -> Duration {
        let strategy = choice.and_then(|choice| self.table()?.strategies.get(choice as usize));
        strategy.map_or(self.latency, |strategy| strategy.latency)
    }

    /// Profiled time of what is left on the fastest strategy that keeps the floor.
    pub(crate) fn fastest(&self) -> Duration {
        self.fastest
    }

    /// The strategy table for what is left; `None` when nothing is.
    pub(crate) fn table(&self) -> Option<&Arc<StrategyTable>> {
        self.matrix.table(self.left())
    }

    /// Requests that have an answer, or may have one yet.
    fn answerable(&self) -> u32 {
        self.job.requests.saturating_sub(self.unanswered)
    }

    /// The mean accuracy that what is left must keep so that the answers keep the floor; may be below 0.
    pub(crate) fn floor_left(&self) -> f64 {
        let asked = self.job.min_accuracy * f64::from(self.answerable());
        (asked - self.correct_so_far()) / f64::from(self.left().max(1))
    }

    /// The fastest strategy of [`QueuedJob::table`] that keeps the floor; the most accurate one where none does, as when too
    /// many requests have no answer.
    fn fastest_legal(&self, table: &StrategyTable) -> u32 {
        table.fastest_legal(self.floor_left()).unwrap_or(table.most_accurate())
    }

    /// Choosing this strategy of [`QueuedJob::table`] would keep the answers at the floor, or as near to it as can be.
    pub(crate) fn is_legal(&self, choice: u32) -> bool {
        let Some(table) = self.table() else { return false };
        let Some(strategy) = table.strategies.get(choice as usize) else { return false };
        choice == table.most_accurate() || self.keeps_floor(strategy.accuracy * f64::from(self.left()))
    }

    /// The answers are at the floor if so many of those that are left are right.
    fn keeps_floor(&self, correct_left: f64) -> bool {
        let correct = self.correct_so_far() + correct_left;
        at_least(correct / f64::from(self.answerable().max(1)), self.job.min_accuracy)
    }

    /// The index that stands for what is left of the current strategy in the table of what is left: itself, or for a
    /// started job the fastest legal strategy that takes at least as long, so that to keep it is not promised to be
    /// faster than it is.
    pub(crate) fn current(&self) -> Option<u32> {
        let table = self.table()?;
        Some(self.choice.unwrap_or_else(|| table.fastest_from(self.latency).max(self.fastest_legal(table))))
    }

    /// The next faster strategy that keeps the floor.
    pub(crate) fn next_faster(&self) -> Option<u32> {
        let faster = self.current()?.checked_sub(1)?;
        (self.is_legal(faster) && self.table()?.strategy(faster).latency < self.latency).then_some(faster)
    }

    /// Weighted right answers lost per second gained by moving to `choice`.
    pub(crate) fn loss_per_second(&self, choice: u32) -> f64 {
        let strategy = self.table().expect("it has a choice").strategy(choice);
        let gained = self.latency.saturating_sub(strategy.latency).as_secs_f64();
        let lost = self.correct_planned() - strategy.accuracy * f64::from(self.left());
        self.job.weight * lost / gained
    }

    /// There is a more accurate strategy for what is left.
    pub(crate) fn could_rise(&self) -> bool {
        self.table().is_some_and(|table| self.current() != Some(table.most_accurate()))
    }

    /// Serves what is left by this strategy of [`QueuedJob::table`].
    pub(crate) fn choose(&mut self, choice: u32) {
        let table = self.table().expect("only jobs with requests left are planned").clone();
        let strategy = table.strategy(choice);
        self.steps = strategy.steps.iter().copied().collect();
        self.choice = Some(choice);
        self.last_choice = (table.id, choice);
        self.estimate();
    }

    /// Remembers who changed the strategy.
    pub(crate) fn record(&mut self, decider: Decider) {
        if self.decisions.len() == DECISIONS_KEPT {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decider);
    }

    /// Profiled time of the next batch; `None` when nothing is left.
    pub(crate) fn next_batch(&self) -> Option<Duration> {
        Some(self.steps.front()?.batch_latency)
    }

    /// Takes the next batch: its requests are not left any more, and count as served until it fails.
    pub(crate) fn take_batch(&mut self) -> Option<Start> {
        let range = self.pending.front_mut()?;
        let step = self.steps.front_mut()?;
        let requests = step.batch_size.min(step.requests).min(range.end - range.start);
        let start = Start {
            first: range.start,
            requests,
            batch_size: step.batch_size,
            mode: step.mode,
            profiled: step.batch_latency,
        };
        range.start += requests;
        if range.start == range.end {
            self.pending.pop_front();
        }
        step.requests -= requests;
        step.batches = step.requests.div_ceil(step.batch_size);
        if step.requests == 0 {
            self.steps.pop_front();
        }
        self.choice = None;
        *self.mix.entry(start.mode).or_insert(0) += requests;
        self.estimate();
        Some(start)
    }

    /// Puts a failed batch back, to be run first and on the same selection.
    pub(crate) fn put_back(&mut self, batch: &crate::Batch, profiled: Duration) {
        let mut back = batch.first..batch.first + batch.requests;
        // What follows without a gap is one range again: a batch is never cut short where none was planned to be.
        if let Some(next) = self.pending.pop_front_if(|next| next.start == back.end) {
            back.end = next.end;
        }
        self.pending.push_front(back);
        self.steps.push_front(Step {
            mode: batch.mode,
            batch_size: batch.batch_size,
            batches: 1,
            requests: batch.requests,
            batch_latency: profiled,
        });
        self.forget(batch);
        self.choice = None;
        self.estimate();
    }

    /// A batch that will not be served counts for nothing.
    pub(crate) fn forget(&mut self, batch: &crate::Batch) {
        self.take_from_mix(batch.mode, batch.requests);
    }

    fn take_from_mix(&mut self, mode: Mode, requests: u32) {
        let started = self.mix.get_mut(&mode).expect("a started batch is in the mix");
        *started -= requests;
        if *started == 0 {
            self.mix.remove(&mode);
        }
    }

    /// So many requests of a batch that ran have no answer: they count for nothing, and the floor is one of the others. Says
    /// which strategy what is left had to be put on for that, if on another one.
    pub(crate) fn leave_unanswered(&mut self, batch: &crate::Batch, unanswered: u32) -> Option<u32> {
        if unanswered == 0 {
            return None;
        }
        self.take_from_mix(batch.mode, unanswered);
        self.unanswered += unanswered;
        self.estimate();
        if self.keeps_floor(self.correct_planned()) {
            return None;
        }
        let choice = self.current()?.max(self.fastest_legal(self.table()?));
        self.choose(choice);
        Some(choice)
    }

    /// How the job ends once every request was run.
    pub(crate) fn end(&self) -> End {
        match (self.unanswered, self.mix.is_empty()) {
            (0, _) => End::Served,
            (_, false) => End::Partial,
            (_, true) => End::Failed,
        }
    }

    /// The row a policy sees; `None` when nothing is left.
    pub(crate) fn row(&self) -> Option<JobRow> {
        Some(JobRow {
            id: self.job.id,
            table: self.table()?.id,
            requests: self.left(),
            arrival: self.arrival,
            deadline: self.job.deadline,
            min_accuracy: self.floor_to_tell().clamp(0.0, 1.0),
            weight: self.job.weight,
            tenant: self.job.tenant,
            current: self.current()?,
            given_up: self.given_up,
        })
    }

    /// The floor of what is left as policies are told: where no strategy keeps it, what the most accurate one reaches.
    fn floor_to_tell(&self) -> f64 {
        let floor = self.floor_left();
        let best = self.table().map_or(floor, |table| table.strategy(table.most_accurate()).accuracy);
        if at_least(best, floor) { floor } else { best }
    }

    /// How the job ended.
    pub(crate) fn outcome(self, end: End, finish: Time) -> Outcome {
        let answered: u32 = self.mix.values().sum();
        let accuracy = (answered > 0).then(|| self.correct_so_far() / f64::from(answered));
        Outcome {
            job: self.job.id,
            end,
            finish,
            deadline: self.job.deadline,
            min_accuracy: self.job.min_accuracy,
            mix: self.mix.into_iter().collect(),
            accuracy,
            answered,
            requests: self.job.requests,
            started: self.started,
            device_time: self.device_time,
            expected_time: self.expected_time,
            last_choice: self.last_choice,
            decisions: self.decisions.into(),
        }
    }

    fn estimate(&mut self) {
        self.latency = self.steps.iter().map(Step::latency).sum();
        let fastest = self.table().map(|table| table.strategy(self.fastest_legal(table)).latency);
        self.fastest = fastest.map_or(self.latency, |fastest| fastest.min(self.latency));
    }

    /// Expected right answers among the requests that were started.
    fn correct_so_far(&self) -> f64 {
        let correct = |(&mode, &requests): (&Mode, &u32)| accuracy(self.matrix.profile(), mode) * f64::from(requests);
        self.mix.iter().map(correct).sum()
    }

    /// Expected right answers among the requests that are left.
    fn correct_planned(&self) -> f64 {
        let correct = |step: &Step| accuracy(self.matrix.profile(), step.mode) * f64::from(step.requests);
        self.steps.iter().map(correct).sum()
    }
}

fn accuracy(profile: &Profile, mode: Mode) -> f64 {
    profile.accuracy(mode).expect("strategies are made of measured modes").mean()
}
