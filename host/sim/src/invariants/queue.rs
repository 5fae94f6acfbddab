//! A lane as it was written down, read without the scheduler's help: what it promises is computed here once more.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accuracy, Config, JobId, LaneState, Mode, OnLate, Profile, QueuedJobState, RunningState, Step, StrategyMatrix,
    StrategyTable, Time, at_least, scale,
};

/// A lane's queue.
pub(super) struct Queue<'a> {
    pub(super) state: &'a LaneState,
    /// In execution order.
    pub(super) jobs: Vec<Waiting<'a>>,
    /// Profiled times are multiplied by it before anything is promised.
    pub(super) factor: f64,
    /// The same where somebody is taken in ahead of others.
    pub(super) cautious: f64,
    late_share: f64,
    /// Measured over profiled time, what was forgotten since then taken off.
    pub(super) correction: f64,
    /// Who is taken in ahead of others is put ahead of all that are due later.
    by_deadline: bool,
}

/// A job in it.
pub(super) struct Waiting<'a> {
    pub(super) entry: &'a QueuedJobState,
    matrix: &'a StrategyMatrix,
    /// Requests that no batch was started for.
    pub(super) left: u32,
    /// Profiled time of them on their strategy.
    pub(super) latency: Duration,
    /// Profiled time of them on the fastest way that keeps the floor.
    pub(super) fastest: Duration,
    /// Given up.
    pub(super) late: bool,
}

impl<'a> Queue<'a> {
    pub(super) fn read(
        state: &'a LaneState,
        models: &'a [Arc<StrategyMatrix>],
        config: &Config,
        now: Time,
    ) -> Queue<'a> {
        let (margin, late_share) = (config.margin, config.fairness.late_share);
        let read = |entry: &'a QueuedJobState| Waiting::read(entry, &models[entry.job.model.0 as usize]);
        let jobs = state.entries.iter().map(read).collect();
        let correction = forgotten(state, now);
        let (factor, cautious) = (correction * (1.0 + margin), correction * (1.0 + 2.0 * margin));
        let by_deadline = config.fairness.tenant_shares;
        Queue { state, jobs, factor, cautious, late_share, correction, by_deadline }
    }

    pub(super) fn find(&self, job: JobId) -> Option<&Waiting<'a>> {
        self.jobs.iter().find(|waiting| waiting.id() == job)
    }

    /// A job that cannot be on time any more goes behind all others, or goes, as it wished.
    pub(super) fn give_up(&mut self, job: JobId) {
        let Some(at) = self.jobs.iter().position(|waiting| waiting.id() == job) else { return };
        let mut waiting = self.jobs.remove(at);
        waiting.late = true;
        if waiting.entry.job.on_late == OnLate::Run {
            self.jobs.push(waiting);
        }
    }

    /// When the device is expected to be free.
    pub(super) fn free_at(&self, now: Time) -> Time {
        let end = |running: RunningState| now.max(running.started + running.paused + running.batch.expected);
        self.state.running.map_or(now, end)
    }

    /// The jobs that can still be on time.
    pub(super) fn on_time(&self) -> impl Iterator<Item = &Waiting<'a>> {
        self.jobs.iter().take_while(|waiting| !waiting.late)
    }

    /// The earliest time at which a job that takes this long may be done behind all that can be on time.
    pub(super) fn earliest_end(&self, now: Time, latency: Duration) -> Time {
        let work: Duration = self.on_time().map(|waiting| waiting.fastest).sum();
        let pace = if self.reserve().is_zero() { self.factor } else { self.cautious };
        self.free_at(now).after(self.reserve_before(now, work) + work + latency, pace)
    }

    /// Late jobs have a share of the device.
    pub(super) fn has_late_share(&self) -> bool {
        self.late_share > 0.0
    }

    /// How long the next batch of the oldest late job should take.
    pub(super) fn late_need(&self) -> Option<Duration> {
        let next = self.jobs.iter().find(|waiting| waiting.late && waiting.left > 0)?;
        Some(scale(next.entry.steps.first()?.batch_latency, self.state.correction))
    }

    /// Profiled time that is kept for late batches that are due.
    fn reserve(&self) -> Duration {
        let late = &self.state.late;
        if late.due_since.is_none() {
            return Duration::ZERO;
        }
        let work: Duration = self.jobs.iter().filter(|waiting| waiting.late).map(|waiting| waiting.latency).sum();
        let saved = Duration::from_nanos(u64::try_from(late.saved_ns).unwrap_or(0));
        scale(saved, 1.0 / self.state.correction).min(work)
    }

    /// What of it a newcomer waits for behind so much work: all of it, unless it is in front of everybody and no late
    /// batch has been due for as long as it took to save for it.
    fn reserve_before(&self, now: Time, work: Duration) -> Duration {
        let presses = self
            .state
            .late
            .due_since
            .zip(self.late_need())
            .is_some_and(|(due, need)| now.since(due).as_secs_f64() * self.late_share >= need.as_secs_f64());
        if work.is_zero() && !presses { Duration::ZERO } else { self.reserve() }
    }

    /// Where a newcomer that takes this long belongs: behind all that can be on time, or as far behind as it is on time
    /// without making anybody late, with everybody on the fastest strategies.
    pub(super) fn place(&self, now: Time, latency: Duration, deadline: Time) -> Option<usize> {
        let (start, jobs): (Time, Vec<&Waiting<'_>>) = (self.free_at(now), self.on_time().collect());
        let work = |count: usize| jobs[..count].iter().map(|waiting| waiting.fastest).sum::<Duration>();
        if self.earliest_end(now, latency) <= deadline {
            return Some(jobs.len());
        }
        let stays_on_time = |at: usize| {
            let due = jobs[at].entry.job.deadline;
            let ends = |work: Duration, factor: f64| start.after(work, factor) <= due;
            let kept = self.reserve() + work(at + 1);
            (!ends(work(at + 1), self.factor) || ends(work(at + 1) + latency, self.cautious))
                && (!ends(kept, self.cautious) || ends(kept + latency, self.cautious))
        };
        let may_stand = |place: usize| (place..jobs.len()).all(|at| jobs[at].left > 0 && stays_on_time(at));
        let before = |place: usize| self.reserve_before(now, work(place)) + work(place);
        let on_time = |place: usize| start.after(before(place) + latency, self.cautious) <= deadline;
        let last = (0..jobs.len()).rev().find(|&place| may_stand(place) && on_time(place))?;
        let passes = |place: &usize| may_stand(*place) && jobs[*place].entry.job.deadline > deadline;
        let ahead = (0..last).rev().take_while(passes).last().filter(|_| self.by_deadline);
        Some(ahead.unwrap_or(last))
    }

    /// The first job that would be late with everybody on the fastest strategies though it was not to be before.
    pub(super) fn lost(&self, start: Time, promised: &[JobId]) -> Option<JobId> {
        let mut fastest = Duration::ZERO;
        let lost = self.on_time().find(|waiting| {
            fastest += waiting.fastest;
            start.after(fastest, self.factor) > waiting.entry.job.deadline && promised.contains(&waiting.id())
        })?;
        Some(lost.id())
    }

    /// Every job with its finish, if the queue begins at `start`.
    pub(super) fn finishes(&self, start: Time) -> impl Iterator<Item = (&Waiting<'a>, Time)> {
        let mut work = Duration::ZERO;
        self.jobs.iter().map(move |waiting| {
            work += waiting.latency;
            (waiting, start.after(work, self.factor))
        })
    }

    /// The first job that would be late though faster strategies, its own or of jobs before it, would save time.
    pub(super) fn violator(&self, now: Time) -> Option<JobId> {
        let start = self.free_at(now);
        let (mut current, mut fastest) = (Duration::ZERO, Duration::ZERO);
        let violator = self.on_time().find(|waiting| {
            current += waiting.latency;
            fastest += waiting.fastest;
            start.after(current, self.factor) > waiting.entry.job.deadline && fastest < current
        })?;
        Some(violator.id())
    }

    /// The first job that would be late though it would be on time with everybody on the fastest strategies.
    pub(super) fn savable(&self, start: Time) -> Option<JobId> {
        let (mut current, mut fastest) = (Duration::ZERO, Duration::ZERO);
        let savable = self.on_time().find(|waiting| {
            current += waiting.latency;
            fastest += waiting.fastest;
            let deadline = waiting.entry.job.deadline;
            start.after(fastest, self.factor) <= deadline && start.after(current, self.factor) > deadline
        })?;
        Some(savable.id())
    }
}

impl<'a> Waiting<'a> {
    fn read(entry: &'a QueuedJobState, matrix: &'a StrategyMatrix) -> Waiting<'a> {
        let left = entry.pending.iter().map(|range| range.end - range.start).sum();
        let latency = entry.steps.iter().map(Step::latency).sum();
        let mut waiting = Waiting { entry, matrix, left, latency, fastest: latency, late: entry.given_up };
        if let Some(table) = waiting.table()
            && let index = table.fastest_legal(waiting.floor_left()).unwrap_or(table.most_accurate())
        {
            waiting.fastest = latency.min(table.strategy(index).latency);
        }
        waiting
    }

    pub(super) fn id(&self) -> JobId {
        self.entry.job.id
    }

    /// The strategy table for what is left.
    pub(super) fn table(&self) -> Option<&'a Arc<StrategyTable>> {
        self.matrix.table(self.left)
    }

    /// What the requests that are left must average.
    pub(super) fn floor_left(&self) -> f64 {
        let asked = self.entry.job.min_accuracy * f64::from(self.answerable());
        (asked - self.correct_started()) / f64::from(self.left.max(1))
    }

    /// The whole job keeps its floor if what is left runs at this accuracy.
    pub(super) fn keeps_floor(&self, accuracy: f64) -> bool {
        let correct = self.correct_started() + accuracy * f64::from(self.left);
        at_least(correct / f64::from(self.answerable().max(1)), self.entry.job.min_accuracy)
    }

    /// What is left is on the most accurate strategy there is.
    pub(super) fn is_at_best(&self) -> bool {
        let best = self.table().map_or(0.0, |table| table.strategy(table.most_accurate()).accuracy);
        self.correct_planned() >= best * f64::from(self.left) - 1e-9
    }

    /// Requests that have an answer, or may have one yet.
    fn answerable(&self) -> u32 {
        self.entry.job.requests - self.entry.unanswered
    }

    /// The mean accuracy of the whole job, as started and as planned.
    pub(super) fn accuracy(&self) -> f64 {
        (self.correct_started() + self.correct_planned()) / f64::from(self.answerable().max(1))
    }

    /// Right answers expected of the requests that are left.
    pub(super) fn correct_planned(&self) -> f64 {
        self.correct(&self.entry.steps)
    }

    /// Right answers expected of these steps.
    pub(super) fn correct(&self, steps: &[Step]) -> f64 {
        correct(self.matrix.profile(), steps.iter().map(|step| (step.mode, step.requests)))
    }

    /// The index that stands for its strategy in [`Waiting::table`].
    pub(super) fn current(&self) -> Option<u32> {
        let table = self.table()?;
        let legal = || table.fastest_legal(self.floor_left()).unwrap_or(table.most_accurate());
        Some(self.entry.choice.unwrap_or_else(|| table.fastest_from(self.latency).max(legal())))
    }

    /// Requests by selection, those that were started and those that are planned together.
    pub(super) fn mix(&self) -> Vec<(Mode, u32)> {
        let mut mix = self.entry.mix.clone();
        for step in &self.entry.steps {
            match mix.iter_mut().find(|(mode, _)| *mode == step.mode) {
                Some((_, requests)) => *requests += step.requests,
                None => mix.push((step.mode, step.requests)),
            }
        }
        mix.sort_unstable();
        mix
    }

    fn correct_started(&self) -> f64 {
        correct(self.matrix.profile(), self.entry.mix.iter().copied())
    }
}

/// What is left of the correction of a device that is idle: half as far from 1 after every 30 s, and linear between.
fn forgotten(state: &LaneState, now: Time) -> f64 {
    const HALF: f64 = 30e6;
    let Some(since) = state.idle_since else { return state.correction };
    let idle = now.since(since).as_micros() as f64;
    if idle == 0.0 {
        return state.correction;
    }
    let halvings = (idle / HALF).floor();
    let left = 0.5_f64.powi(halvings.min(2000.0) as i32) * (1.0 - (idle - halvings * HALF) / (2.0 * HALF));
    if halvings >= 64.0 { 1.0 } else { 1.0 + (state.correction - 1.0) * left }
}

/// Right answers expected of these requests.
pub(super) fn correct(profile: &Profile, mix: impl IntoIterator<Item = (Mode, u32)>) -> f64 {
    let accuracy = |mode| profile.accuracy(mode).map_or(f64::NAN, Accuracy::mean);
    mix.into_iter().map(|(mode, requests)| accuracy(mode) * f64::from(requests)).sum()
}
