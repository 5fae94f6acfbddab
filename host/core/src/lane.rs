//! A lane: one queue in front of one device. Owns the estimates; decides nothing about admission.
//!
//! The queue has two parts. Jobs that can still meet their deadline come first, in their order; jobs that
//! cannot come last and are outside every promise. A started job stays in the queue with what it has left,
//! as a job of its own size.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::is_measured;
use crate::estimate::{Estimate, RECENT};
use crate::fallback::{FallbackJob, speed_up};
use crate::late_share::{LateCredit, Turn};
use crate::queued_job::QueuedJob;
use crate::{
    Action, Batch, BatchId, CheckpointError, Decider, DecisionError, DecisionId, End, Job, JobId, JobRow,
    LaneCondition, LaneId, LaneState, Plan, Profile, RunningState, Snapshot, StrategyMatrix, Suspicion, TableId,
    Tenant, Time, Trigger, scale,
};

/// Who is taken in ahead of others is promised with so many times the margin, and they are promised again with it: a queue
/// in which every job is done just in time has more late ones than one that turned a job away.
const AHEAD_MARGIN: f64 = 2.0;

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) id: LaneId,
    /// In execution order; the first `on_time` can still meet their deadlines.
    pub(crate) entries: Vec<QueuedJob>,
    pub(crate) running: Option<Running>,
    /// What is learned of the device.
    pub(crate) estimate: Estimate,
    /// Measured time over profiled time by that, as of the last step.
    pub(crate) correction: f64,
    /// When a job was taken in last to find out whether the device is as fast again as its profile.
    pub(crate) last_probe: Option<Time>,
    pub(crate) condition: LaneCondition,
    /// Added to every promise, as a share.
    margin: f64,
    /// The share of a busy device that late jobs get.
    late_share: f64,
    /// What is saved for them.
    pub(crate) late: LateCredit,
    /// What the policy was asked and has not answered.
    pub(crate) question: Option<PendingDecision>,
    /// What changed the queue since the policy was last asked.
    pub(crate) changed: Option<Trigger>,
}

/// What the policy was asked.
#[derive(Clone, Debug)]
pub(crate) struct PendingDecision {
    pub(crate) snapshot: Snapshot,
    /// When the answer is no longer waited for.
    pub(crate) due: Time,
}

/// The batch on the device.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) batch: Batch,
    pub(crate) started: Time,
    /// What the profile says, without correction.
    pub(crate) profiled: Duration,
    /// On whose account it runs.
    pub(crate) turn: Turn,
    /// How long the whole process stood still meanwhile.
    pub(crate) paused: Duration,
    /// What the profile says of so many requests as it has, least and most.
    own: (Duration, Duration),
    /// 99 % of such batches took less when they were measured.
    pub(crate) p99: Duration,
}

impl Running {
    /// A batch whose profiled time, at its planned size, is this.
    pub(crate) fn new(batch: Batch, started: Time, profiled: Duration, turn: Turn, profile: &Profile) -> Running {
        let Batch { mode, requests, batch_size, .. } = batch;
        let own = profile.times_of(mode, requests).unwrap_or((profiled, profiled));
        let p99 = profile.p99(mode, batch_size).unwrap_or(profiled);
        Running { batch, started, profiled, turn, paused: Duration::ZERO, own, p99 }
    }

    /// When it has been on the device for so long, not counting what the process stood still.
    pub(crate) fn expected_by(&self, time: Duration) -> Time {
        self.started + self.paused + time
    }

    /// Measured over profiled time; 1 where it is as the profile may have it.
    fn ratio(&self, measured: Duration) -> f64 {
        let (least, most) = self.own;
        measured.as_secs_f64() / measured.clamp(least, most).as_secs_f64()
    }
}

impl Lane {
    pub(crate) fn new(id: LaneId, margin: f64, late_share: f64) -> Lane {
        Lane {
            id,
            entries: Vec::new(),
            running: None,
            estimate: Estimate::default(),
            correction: 1.0,
            last_probe: None,
            condition: LaneCondition::Sound,
            margin,
            late_share,
            late: LateCredit::default(),
            question: None,
            changed: None,
        }
    }

    /// Time has passed: some of what was learned of an idle device is forgotten.
    pub(crate) fn refresh(&mut self, now: Time) {
        self.correction = self.estimate.at(now);
    }

    /// A job of which the profile says that it takes this long may be taken in to find out whether the device is as fast again,
    /// though what was learned of it says otherwise: one at a time, on a device with nothing to do for anybody.
    pub(crate) fn may_probe(&self, now: Time, interval: Duration) -> bool {
        let known = matches!(self.condition, LaneCondition::Sound | LaneCondition::Suspect(Suspicion::Slow));
        let idle = self.running.is_none() && self.on_time() == 0;
        known && idle && self.correction > 1.0 && self.last_probe.is_none_or(|last| now.since(last) >= interval)
    }

    /// When work that takes so long by the profile is done on an idle device that is as fast as that.
    pub(crate) fn by_profile(&self, now: Time, work: Duration) -> Time {
        now.after(work, 1.0 + self.margin)
    }

    /// What to multiply profiled times by before promising anything.
    pub(crate) fn promise_factor(&self) -> f64 {
        self.correction * (1.0 + self.margin)
    }

    /// The same where somebody is taken in ahead of others, or a late job is.
    fn cautious_factor(&self) -> f64 {
        self.correction * (1.0 + AHEAD_MARGIN * self.margin)
    }

    /// When the device is expected to be free.
    pub(crate) fn free_at(&self, now: Time) -> Time {
        self.running.as_ref().map_or(now, |running| now.max(running.expected_by(running.batch.expected)))
    }

    /// How many entries can still meet their deadlines; they come first.
    pub(crate) fn on_time(&self) -> usize {
        self.entries.iter().take_while(|entry| !entry.given_up).count()
    }

    pub(crate) fn position(&self, job: JobId) -> Option<usize> {
        self.entries.iter().position(|entry| entry.job.id == job)
    }

    /// The job waits here, or a batch of it is on the device though it has ended.
    pub(crate) fn knows(&self, job: JobId) -> bool {
        self.position(job).is_some() || self.running.as_ref().is_some_and(|running| running.batch.job == job)
    }

    /// Places that the tenant's jobs hold.
    pub(crate) fn held_by(&self, tenant: Tenant) -> usize {
        self.entries.iter().filter(|entry| entry.job.tenant == tenant).count()
    }

    /// What the tenant is promised: the deadlines of its jobs that can be on time, with their times on their fastest legal
    /// strategies and what is left of the batch that runs. `None` if it has no job here that can be on time.
    pub(crate) fn promises_to(&self, now: Time, tenant: Tenant) -> Option<Vec<(Time, Duration)>> {
        let factor = self.promise_factor();
        let running = self.running.as_ref().map(|running| running.batch.job);
        let of_tenant = self.entries[..self.on_time()].iter().filter(|entry| entry.job.tenant == tenant);
        let promises: Vec<(Time, Duration)> = of_tenant
            .map(|entry| {
                let left = if running == Some(entry.job.id) { self.free_at(now).since(now) } else { Duration::ZERO };
                (entry.job.deadline, scale(entry.fastest(), factor) + left)
            })
            .collect();
        (!promises.is_empty()).then_some(promises)
    }

    /// Puts a new job where [`Lane::openings`] found room for it.
    pub(crate) fn insert(&mut self, position: usize, entry: QueuedJob) {
        self.entries.insert(position, entry);
    }

    /// Where a job that takes this long could be put, and when it would be done there, with every other job on its fastest
    /// legal strategy: behind all jobs that can be on time, and as far ahead as no job behind it would become late.
    /// From behind to the front.
    ///
    /// While a late batch is due its time comes before every newcomer's, and who has room for it keeps it. Only who is
    /// put in front of everybody does not wait for it, until it presses.
    pub(crate) fn openings(&self, now: Time, work: Duration) -> impl Iterator<Item = (usize, Time)> {
        let (start, factor, cautious) = (self.free_at(now), self.promise_factor(), self.cautious_factor());
        let on_time = &self.entries[..self.on_time()];
        let mut before: Duration = on_time.iter().map(QueuedJob::fastest).sum();
        let (reserve, presses) = (self.reserve(), self.late_is_pressing(now));
        let reserve_ahead = move |before: Duration| if before.is_zero() && !presses { Duration::ZERO } else { reserve };
        let pace = if reserve.is_zero() { factor } else { cautious };
        let behind_all = (on_time.len(), start.after(reserve_ahead(before) + before + work, pace));
        let further = on_time.iter().enumerate().rev().map_while(move |(position, entry)| {
            let deadline = entry.job.deadline;
            let late_after = |work: Duration, factor: f64| start.after(work, factor) > deadline;
            let harmed = !late_after(before, factor) && late_after(before + work, cautious)
                || !late_after(reserve + before, cautious) && late_after(reserve + before + work, cautious);
            before -= entry.fastest();
            // what is on the device stays in front
            let done = || start.after(reserve_ahead(before) + before + work, cautious);
            (!harmed && entry.left() > 0).then(|| (position, done()))
        });
        std::iter::once(behind_all).chain(further)
    }

    /// Where a job that takes this long is done by its deadline; as far behind as that is so.
    pub(crate) fn opening(&self, now: Time, work: Duration, deadline: Time) -> Option<usize> {
        self.openings(now, work).find(|&(_, done)| done <= deadline).map(|(position, _)| position)
    }

    /// The same, and from there on ahead of everybody who is due later, so that who is next to be in a hurry finds room too.
    pub(crate) fn opening_by_deadline(&self, now: Time, work: Duration, deadline: Time) -> Option<usize> {
        let mut openings = self.openings(now, work).skip_while(|&(_, done)| done > deadline);
        let (behind, _) = openings.next()?;
        let ahead = openings.take_while(|&(position, _)| self.entries[position].job.deadline > deadline);
        Some(ahead.last().map_or(behind, |(position, _)| position))
    }

    /// The finish of every entry, in queue order, on its current strategy; `factor` scales profiled times.
    pub(crate) fn finishes(&self, now: Time, factor: f64) -> Vec<Time> {
        finishes(self.free_at(now), factor, self.entries.iter().map(QueuedJob::latency))
    }

    /// Some job that can be on time would be late on the current strategies, and a faster legal
    /// strategy at or before it would save it.
    pub(crate) fn has_violator(&self, now: Time) -> bool {
        let factor = self.promise_factor();
        let start = self.free_at(now);
        let (mut current, mut fastest) = (Duration::ZERO, Duration::ZERO);
        self.entries.iter().take(self.on_time()).any(|entry| {
            current += entry.latency();
            fastest += entry.fastest();
            let deadline = entry.job.deadline;
            start.after(current, factor) > deadline && fastest < current
        })
    }

    /// Some job that can be on time has a more accurate strategy than its present one.
    pub(crate) fn could_rise(&self) -> bool {
        self.entries.iter().take(self.on_time()).any(QueuedJob::could_rise)
    }

    /// The question that is out is this one.
    pub(crate) fn awaits(&self, decision: DecisionId) -> bool {
        self.question.as_ref().is_some_and(|question| question.snapshot.decision == decision)
    }

    /// Why the policy should be asked now; `None` if there is no reason, or a question is out.
    pub(crate) fn reason_to_ask(&self, now: Time, eager: bool) -> Option<Trigger> {
        let changed = self.changed.filter(|_| self.question.is_none())?;
        if self.has_violator(now) {
            return Some(Trigger::Violation);
        }
        (eager && self.could_rise()).then_some(changed)
    }

    /// Moves every job that cannot meet its deadline whatever is chosen behind all that can.
    ///
    /// The estimate is without the margin: a job is given up only when the best guess says so.
    pub(crate) fn give_up_hopeless(&mut self, now: Time) -> Vec<JobId> {
        // whether the device stood still with the process nobody knows: to be given up is for good
        let start = self.running.as_ref().map_or(now, |running| now.max(running.started + running.batch.expected));
        let mut work = Duration::ZERO;
        let mut hopeless = Vec::new();
        let correction = self.correction;
        for entry in self.entries.iter().take_while(|entry| !entry.given_up) {
            let with_it = work + entry.fastest();
            let factor = if entry.probe { correction.min(1.0) } else { correction };
            if entry.left() > 0 && start.after(with_it, factor) > entry.job.deadline {
                hopeless.push(entry.job.id);
            } else {
                work = with_it;
            }
        }
        for &job in &hopeless {
            let position = self.position(job).expect("it was just seen");
            let mut entry = self.entries.remove(position);
            entry.given_up = true;
            self.entries.push(entry);
        }
        hopeless
    }

    /// The entry whose next batch is due.
    pub(crate) fn next(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.left() > 0)
    }

    /// The entry of the oldest late job that has a batch left.
    fn next_late(&self) -> Option<usize> {
        let on_time = self.on_time();
        Some(on_time + self.entries[on_time..].iter().position(|entry| entry.left() > 0)?)
    }

    /// How long the next batch of the oldest late job should take.
    fn late_need(&self) -> Option<Duration> {
        Some(scale(self.entries[self.next_late()?].next_batch()?, self.correction))
    }

    /// Notices that late jobs wait, or none does any more, and whether their next batch is due.
    pub(crate) fn look_at_late(&mut self, now: Time) {
        if self.late_share > 0.0 {
            let need = self.late_need();
            self.late.look(now, need);
        }
    }

    /// A batch has left the device: late jobs get their share of its time, or pay for theirs.
    ///
    /// Besides two batches they save for the queue in front of them, as every job in it has room for no more than was
    /// saved when it came.
    pub(crate) fn account_late(&mut self, now: Time, running: &Running) {
        let took = now.since(running.started);
        match running.turn {
            Turn::LateShare if self.late.waiting_since.is_some() => self.late.settle(running.batch.expected, took),
            Turn::OnTime => {
                let Some(need) = self.late_need() else { return };
                let queue: Duration = self.entries[..self.on_time()].iter().map(QueuedJob::fastest).sum();
                let most = need * 2 + scale(queue, self.correction * self.late_share);
                self.late.save(self.late_share, running.started, now, most);
            }
            _ => {}
        }
    }

    /// Profiled time that is kept for late batches that are due.
    fn reserve(&self) -> Duration {
        if !self.late.is_due() {
            return Duration::ZERO;
        }
        let late: Duration = self.entries[self.on_time()..].iter().map(QueuedJob::latency).sum();
        scale(self.late.saved(), 1.0 / self.correction).min(late)
    }

    /// A late batch has been due for so long that nobody is put in front of it any more.
    fn late_is_pressing(&self, now: Time) -> bool {
        self.late_need().is_some_and(|need| self.late.is_pressing(now, self.late_share, need))
    }

    /// The late job whose batch is due and makes no job late that can be on time, each on its fastest legal strategy.
    fn due_late(&self, now: Time) -> Option<usize> {
        let next = self.next_late().filter(|_| self.late.is_due())?;
        let batch = self.entries[next].next_batch()?;
        let (factor, cautious) = (self.promise_factor(), self.cautious_factor());
        let mut before = Duration::ZERO;
        let harms = self.entries[..self.on_time()].iter().any(|entry| {
            before += entry.fastest();
            let deadline = entry.job.deadline;
            now.after(before, factor) <= deadline && now.after(batch + before, cautious) > deadline
        });
        (!harms).then_some(next)
    }

    /// Starting the next batch as planned would cost some job its last chance to be on time.
    pub(crate) fn starting_would_harm(&self, now: Time) -> bool {
        let Some(next) = self.next() else { return false };
        let mut after = self.entries[next].clone();
        let Some(start) = after.take_batch() else { return false };
        let factor = self.promise_factor();
        let free = now.after(start.profiled, factor);
        let (mut before, mut with) = (Duration::ZERO, Duration::ZERO);
        self.entries.iter().take(self.on_time()).enumerate().any(|(index, entry)| {
            before += entry.fastest();
            with += if index == next { after.fastest() } else { entry.fastest() };
            let deadline = entry.job.deadline;
            now.after(before, factor) <= deadline && free.after(with, factor) > deadline
        })
    }

    /// Starts the next batch, if the device is free and a job waits.
    pub(crate) fn start_next(&mut self, now: Time, id: BatchId) -> Option<Batch> {
        if self.running.is_some() || self.condition == LaneCondition::Lost {
            return None;
        }
        let first = self.next()?;
        let next = self.due_late(now).unwrap_or(first);
        let turn = match (next == first, self.entries[next].given_up) {
            (false, _) => Turn::LateShare,
            (true, true) => Turn::Spare,
            (true, false) => Turn::OnTime,
        };
        self.estimate.begin(now);
        let correction = self.correction;
        let entry = &mut self.entries[next];
        let start = entry.take_batch().expect("an entry with requests left has a batch");
        entry.started.get_or_insert(now);
        let batch = Batch {
            id,
            lane: self.id,
            job: entry.job.id,
            model: entry.job.model,
            first: start.first,
            requests: start.requests,
            batch_size: start.batch_size,
            mode: start.mode,
            expected: scale(start.profiled, correction),
        };
        entry.expected_time += batch.expected;
        self.running = Some(Running::new(batch, now, start.profiled, turn, entry.profile()));
        if turn == Turn::LateShare {
            self.late.spend(batch.expected);
            // those it was put before may need faster strategies now
            self.changed.get_or_insert(Trigger::Completion);
        }
        Some(batch)
    }

    /// Takes the running batch off the device if it is this one.
    pub(crate) fn take_running(&mut self, now: Time, id: BatchId) -> Option<Running> {
        let running = self.running.take_if(|running| running.batch.id == id)?;
        self.estimate.rest(now);
        Some(running)
    }

    /// Learns from a batch whose every request was computed, unless the process stood still meanwhile.
    pub(crate) fn learn(&mut self, running: &Running, measured: Duration) {
        if running.paused.is_zero() {
            self.estimate.learn(running.ratio(measured));
            self.correction = self.estimate.correction;
        }
    }

    /// Takes a checked plan over, whole, or leaves everything as it is.
    ///
    /// Jobs that started a batch since the snapshot was taken are skipped: what they have left is another
    /// job. Jobs that came since then follow in their order. Returns the jobs whose strategy changed.
    pub(crate) fn adopt(&mut self, now: Time, question: &Snapshot, plan: &Plan) -> Result<Vec<JobId>, DecisionError> {
        let order = self.order_under(plan);
        let seen: BTreeMap<JobId, TableId> = question.jobs.iter().map(|row| (row.id, row.table)).collect();
        let choice = |&at: &usize| choice_under(&self.entries[at], &seen, plan);
        let choices: Vec<Option<u32>> = order.iter().map(choice).collect();
        self.check_promises(now, &order, &choices)?;
        let mut entries: Vec<Option<QueuedJob>> = self.entries.drain(..).map(Some).collect();
        let mut changed = Vec::new();
        for (at, choice) in order.into_iter().zip(choices) {
            let mut entry = entries[at].take().expect("an order names every entry once");
            if let Some(choice) = choice {
                entry.choose(choice);
                entry.record(Decider::Policy(question.decision));
                changed.push(entry.job.id);
            }
            self.entries.push(entry);
        }
        Ok(changed)
    }

    /// The entries' positions in the plan's order: what is on the device first, newcomers behind, and late ones after all
    /// others, wherever their last batch is: that the first `on_time` are those that can be on time must stay true.
    fn order_under(&self, plan: &Plan) -> Vec<usize> {
        let rank = |entry: &QueuedJob| match plan.order.get(&entry.job.id) {
            // the oldest comes first, whatever a policy prefers
            _ if entry.given_up && self.late_share > 0.0 => (true, 0),
            _ if entry.left() == 0 => (entry.given_up, 0),
            Some(&rank) => (entry.given_up, rank + 1),
            None if plan.order.is_empty() => (entry.given_up, 0),
            None => (entry.given_up, usize::MAX),
        };
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|&at| rank(&self.entries[at]));
        order
    }

    /// No job that is on time as things are may be late under the plan. Those that were given up are promised nothing.
    fn check_promises(&self, now: Time, order: &[usize], choices: &[Option<u32>]) -> Result<(), DecisionError> {
        let factor = self.promise_factor();
        let before = self.finishes(now, factor);
        let latencies = order.iter().zip(choices).map(|(&at, &choice)| self.entries[at].latency_on(choice));
        let after = finishes(self.free_at(now), factor, latencies);
        let on_time = order.iter().zip(after).filter(|&(&at, _)| !self.entries[at].given_up);
        keep_promises(on_time.map(|(&at, after)| {
            let Job { id, deadline, .. } = self.entries[at].job;
            (id, deadline, before[at], after)
        }))
    }

    /// What a policy is shown of the jobs; those with nothing left to decide are not among them.
    pub(crate) fn rows(&self) -> Vec<JobRow> {
        self.entries.iter().filter_map(QueuedJob::row).collect()
    }

    /// Moves jobs to faster legal strategies, least loss of accuracy for the time gained first, until every
    /// job that can be saved is on time. The answer of last resort: deterministic, no policy involved.
    ///
    /// Returns the jobs it moved, and where to.
    pub(crate) fn speed_up(&mut self, now: Time) -> Vec<(JobId, u32)> {
        let (start, factor, on_time) = (self.free_at(now), self.promise_factor(), self.on_time());
        let moved = speed_up(&mut self.entries[..on_time], start, factor);
        let decided = |at: usize| {
            let entry = &mut self.entries[at];
            entry.record(Decider::Fallback);
            (entry.job.id, entry.current().expect("only jobs with requests left are moved"))
        };
        moved.into_iter().map(decided).collect()
    }

    /// Takes a job off the lane and says how it ended.
    pub(crate) fn end(&mut self, now: Time, job: JobId, end: End) -> Option<Action> {
        let mut entry = self.entries.remove(self.position(job)?);
        self.changed = Some(Trigger::Completion);
        if let Some(running) = self.running.as_ref().filter(|running| running.batch.job == job) {
            entry.forget(&running.batch);
        }
        Some(Action::Finish(entry.outcome(end, now)))
    }

    /// The fallback, where the policy gave nothing that can be used.
    pub(crate) fn fall_back(&mut self, now: Time) -> Option<Action> {
        let moved = self.speed_up(now);
        (!moved.is_empty()).then_some(Action::Fallback(self.id, moved))
    }

    /// The state as plain facts.
    pub(crate) fn state(&self) -> LaneState {
        let running = |running: &Running| {
            let Running { batch, started, profiled, turn, paused, .. } = *running;
            RunningState { batch, started, profiled, turn, paused }
        };
        LaneState {
            correction: self.estimate.correction,
            recent: self.estimate.recent.to_vec(),
            idle_since: self.estimate.idle_since,
            last_probe: self.last_probe,
            condition: self.condition,
            running: self.running.as_ref().map(running),
            question: self.question.as_ref().map(|question| (question.snapshot.clone(), question.due)),
            changed: self.changed,
            late: self.late,
            entries: self.entries.iter().map(QueuedJob::state).collect(),
        }
    }

    /// Takes this state up, if it fits the models.
    pub(crate) fn resume(&mut self, state: &LaneState, models: &[Arc<StrategyMatrix>]) -> Result<(), CheckpointError> {
        let sound = |number: &f64| number.is_finite() && *number > 0.0;
        if !sound(&state.correction) || !state.recent.iter().all(sound) || state.recent.len() > RECENT {
            return Err(CheckpointError::Correction(self.id));
        }
        self.estimate =
            Estimate { correction: state.correction, recent: [state.correction; RECENT], idle_since: state.idle_since };
        self.estimate.recent[RECENT - state.recent.len()..].copy_from_slice(&state.recent);
        self.correction = state.correction;
        self.last_probe = state.last_probe;
        self.condition = state.condition;
        self.changed = state.changed;
        self.late = state.late;
        self.question = state.question.clone().map(|(snapshot, due)| PendingDecision { snapshot, due });
        self.entries = state.entries.iter().map(|entry| QueuedJob::resume(entry, models)).collect::<Result<_, _>>()?;
        if let Some(RunningState { batch, started, profiled, turn, paused }) = state.running {
            let matrix = self.check_running(&batch, models)?;
            self.running = Some(Running { paused, ..Running::new(batch, started, profiled, turn, matrix.profile()) });
        }
        Ok(())
    }

    /// A failed batch is put back to its job, which must have taken it for that.
    fn check_running<'m>(
        &self,
        batch: &Batch,
        models: &'m [Arc<StrategyMatrix>],
    ) -> Result<&'m StrategyMatrix, CheckpointError> {
        let wrong = |what| Err(CheckpointError::Running(self.id, what));
        let matrix = models.get(batch.model.0 as usize);
        let measured = |matrix: &&Arc<StrategyMatrix>| is_measured(matrix.profile(), batch.mode, batch.batch_size);
        let Some(matrix) = matrix.filter(measured) else { return wrong("its model was never measured like that") };
        if batch.lane != self.id {
            return wrong("it is of another lane");
        }
        if batch.requests == 0 || batch.requests > batch.batch_size {
            return wrong("a batch has 1 to batch_size requests");
        }
        let Some(position) = self.position(batch.job) else { return Ok(matrix) };
        let started = self.entries[position].started_on(batch.mode);
        let end = u64::from(batch.first) + u64::from(batch.requests);
        if started < batch.requests || end > self.entries[position].job.requests.into() {
            return wrong("its job has not started so many requests in this mode");
        }
        Ok(matrix)
    }
}

impl FallbackJob for QueuedJob {
    fn deadline(&self) -> Time {
        self.job.deadline
    }

    fn latency(&self) -> Duration {
        QueuedJob::latency(self)
    }

    fn fastest(&self) -> Duration {
        QueuedJob::fastest(self)
    }

    fn next_faster(&self) -> Option<u32> {
        QueuedJob::next_faster(self)
    }

    fn loss_per_second(&self, choice: u32) -> f64 {
        QueuedJob::loss_per_second(self, choice)
    }

    fn choose(&mut self, choice: u32) {
        QueuedJob::choose(self, choice);
    }
}

/// The strategy that the plan newly gives the entry, if it is still the job the policy saw: its table says so.
fn choice_under(entry: &QueuedJob, seen: &BTreeMap<JobId, TableId>, plan: &Plan) -> Option<u32> {
    let &choice = plan.choices.get(&entry.job.id)?;
    let same = entry.table()?.id == *seen.get(&entry.job.id)?;
    (same && entry.is_legal(choice) && entry.current()? != choice).then_some(choice)
}

/// No job that is on time may become late; each is given with its deadline and its finish before and after.
pub(crate) fn keep_promises(mut jobs: impl Iterator<Item = (JobId, Time, Time, Time)>) -> Result<(), DecisionError> {
    let broken = jobs.find(|&(_, deadline, before, after)| before <= deadline && after > deadline);
    broken.map_or(Ok(()), |(job, deadline, _, after)| Err(DecisionError::MakesLate { job, by: after.since(deadline) }))
}

/// Finishing times of jobs run one after another from `start`.
pub(crate) fn finishes(start: Time, factor: f64, latencies: impl Iterator<Item = Duration>) -> Vec<Time> {
    let mut work = Duration::ZERO;
    let finish = |latency| {
        work += latency;
        start.after(work, factor)
    };
    latencies.map(finish).collect()
}
