//! The scheduler: admission, the monitor, adoption of plans, dispatch. A function of its state, the time
//! and an event; what it wants done comes back as actions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::MOST_NUMBERS;
use crate::lane::{Lane, PendingDecision};
use crate::queued_job::QueuedJob;
use crate::tenant_share::TenantShare;
use crate::tenants::Tenants;
use crate::{
    Accepted, Action, BatchId, BatchReport, Catalog, Checkpoint, CheckpointError, Decision, DecisionError, DecisionId,
    DeviceKind, End, Event, Fairness, Job, JobId, JobRow, LaneCondition, LaneId, ModelId, OnLate, OverShare,
    OverdueLimits, Plan, PolicyError, Refusal, Snapshot, StrategyMatrix, StrategyTable, Tenant, Time, Trigger, scale,
};

/// What bounds a scheduler and how careful it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How many lanes (a queue and a device each), at least 1.
    pub lanes: u32,
    /// What kind of device each lane has; a lane that is not named has kind 0. Lanes of one kind share their profiles.
    pub kinds: Vec<DeviceKind>,
    /// The most jobs that one lane holds, at least 1.
    pub max_jobs: usize,
    /// How long a policy may think before the fallback acts instead.
    pub policy_budget: Duration,
    /// Added to every promise, as a share of it: 0.05 plans with 5 % more time than measured.
    pub margin: f64,
    /// What late jobs and tenants get.
    pub fairness: Fairness,
    /// When a batch is overdue.
    pub overdue: OverdueLimits,
    /// A lane whose batches take more than so many times what the profile says is suspect; above 1.
    pub slow: f64,
    /// A lane that what was learned of it keeps from taking a job in is tried again so often.
    pub probe_interval: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            lanes: 1,
            kinds: Vec::new(),
            max_jobs: 1024,
            policy_budget: Duration::from_millis(5),
            margin: 0.05,
            fairness: Fairness::default(),
            overdue: OverdueLimits::default(),
            slow: 20.0,
            probe_interval: Duration::from_secs(1),
        }
    }
}

/// The whole state of scheduling: the queues, what runs, what the policy was asked.
#[derive(Clone, Debug)]
pub struct Scheduler {
    config: Config,
    /// The policy in place is asked after every change while some waiting job could be more accurate.
    pub(crate) eager: bool,
    pub(crate) models: Vec<Arc<StrategyMatrix>>,
    /// Models that take no new jobs.
    pub(crate) retired: BTreeSet<ModelId>,
    /// What the devices of which lanes cannot run.
    pub(crate) lost: BTreeSet<(LaneId, ModelId)>,
    catalog: Catalog,
    pub(crate) lanes: Vec<Lane>,
    /// Who has offered what to each lane; empty where tenants have no shares.
    tenants: Vec<Tenants>,
    pub(crate) next_decision: u64,
    pub(crate) next_batch: u64,
    pub(crate) wake_at: Option<Time>,
}

impl Config {
    /// The kind of device that the lane has.
    pub fn kind(&self, lane: LaneId) -> DeviceKind {
        self.kinds.get(lane.index()).copied().unwrap_or_default()
    }
}

/// The variant of a model that was measured on this kind of device; `models[i]` is the matrix of `ModelId(i)`.
pub fn variant(models: &[Arc<StrategyMatrix>], model: ModelId, kind: DeviceKind) -> Option<&Arc<StrategyMatrix>> {
    let is_it = |matrix: &&Arc<StrategyMatrix>| (matrix.model(), matrix.kind()) == (model, kind);
    // where a server puts it
    let own = models.get((model.0 as usize).saturating_add(kind.index())).filter(is_it);
    own.or_else(|| models.iter().find(is_it))
}

impl Scheduler {
    /// A scheduler with empty queues; `models[i]` is the matrix of `ModelId(i)`. Its policy is asked about violators only
    /// until [`Event::PolicyChanged`] says otherwise.
    ///
    /// # Panics
    ///
    /// If a matrix is not at the place its model id names.
    pub fn new(config: Config, models: Vec<Arc<StrategyMatrix>>) -> Scheduler {
        let late_share = config.fairness.late_share;
        let lanes: Vec<Lane> =
            (0..config.lanes.max(1)).map(|id| Lane::new(LaneId(id), config.margin, late_share)).collect();
        let tenants = if config.fairness.tenant_shares { vec![Tenants::default(); lanes.len()] } else { Vec::new() };
        let mut scheduler = Scheduler {
            config,
            eager: false,
            models: Vec::new(),
            retired: BTreeSet::new(),
            lost: BTreeSet::new(),
            catalog: Catalog::default(),
            lanes,
            tenants,
            next_decision: 1,
            next_batch: 1,
            wake_at: None,
        };
        scheduler.load(models);
        scheduler
    }

    /// Takes an event in and says what has to be done, in order.
    ///
    /// A function of the state and the arguments: the same events at the same times give the same actions.
    /// `now` never goes back.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.refresh(now, &mut actions);
        let answered = matches!(event, Event::Decided(..));
        let touched = match event {
            Event::Submit(job) => self.submit(now, job, &mut actions),
            Event::Cancel(job) => self.cancel(now, job, &mut actions),
            Event::Decided(decision, answer) => self.decided(now, decision, answer, &mut actions),
            Event::BatchDone(batch, report) => self.batch_done(now, batch, report, &mut actions),
            Event::BatchFailed(batch) => self.batch_failed(now, batch, &mut actions),
            Event::PolicyChanged { eager } => self.policy_changed(eager),
            Event::ModelsLoaded(models) => self.load(models),
            Event::ModelRetired(model) => self.retire(model),
            Event::ModelLost(lane, model) => self.lose(lane, model),
            Event::ModelRestored(lane, model) => self.restore(lane, model),
            Event::Paused(time) => self.paused(time),
            Event::LaneRestored(lane) => self.lane_restored(lane, &mut actions),
            Event::SharesChanged(weights) => self.change_shares(weights),
            Event::WakeUp => self.woken(now, &mut actions),
        };
        for lane in touched {
            self.settle(lane, now, answered, &mut actions);
        }
        self.ask_to_be_woken(now, &mut actions);
        actions
    }

    /// Some of what was learned of idle devices is forgotten, and one that was too slow may be trusted again.
    fn refresh(&mut self, now: Time, actions: &mut Vec<Action>) {
        for at in 0..self.lanes.len() {
            let lane = &mut self.lanes[at];
            lane.refresh(now);
            if lane.running.is_none() {
                self.judge(at, actions);
            }
        }
    }

    /// What bounds it and how careful it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its models, by id.
    pub fn models(&self) -> &[Arc<StrategyMatrix>] {
        &self.models
    }

    /// The variant of a model that was measured on this lane's kind of device. Retired models are found too.
    pub fn model_on(&self, lane: LaneId, model: ModelId) -> Option<&Arc<StrategyMatrix>> {
        variant(&self.models, model, self.config.kind(lane))
    }

    /// Models that take no new jobs.
    pub fn retired(&self) -> &BTreeSet<ModelId> {
        &self.retired
    }

    /// The devices, by lane, that have lost a model, and the model as batches name it.
    pub fn lost(&self) -> &BTreeSet<(LaneId, ModelId)> {
        &self.lost
    }

    /// The models and tables policies are told about.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// A lane's queue as a policy would see it if it were asked now; for rehearsals. `lane` is below [`Config::lanes`].
    ///
    /// Changes nothing: what a scheduler does follows from its events alone.
    pub fn snapshot(&self, lane: LaneId, trigger: Trigger, now: Time) -> Snapshot {
        let lane = &self.lanes[lane.index()];
        Snapshot {
            decision: DecisionId(self.next_decision),
            lane: lane.id,
            trigger,
            now,
            start: lane.free_at(now),
            budget: self.config.policy_budget,
            time_factor: lane.promise_factor(),
            catalog_revision: self.catalog.revision,
            jobs: lane.rows(),
        }
    }

    /// When every job will be finished, on its current strategy.
    pub fn predictions(&self, now: Time) -> BTreeMap<JobId, Time> {
        let of_lane = |lane: &Lane| {
            let finishes = lane.finishes(now, lane.promise_factor());
            lane.entries.iter().map(|entry| entry.job.id).zip(finishes).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(of_lane).collect()
    }

    /// Where a job is, when it will be finished on its current strategy, and what a policy sees of it, if anything is left to
    /// decide; `None` if it is not there.
    pub fn find(&self, job: JobId, now: Time) -> Option<(LaneId, Time, Option<JobRow>)> {
        let (lane, position) = self.lanes.iter().find_map(|lane| Some((lane, lane.position(job)?)))?;
        let finish = lane.finishes(now, lane.promise_factor())[position];
        Some((lane.id, finish, lane.entries[position].row()))
    }

    /// Jobs on a lane with requests that no batch was started for. `lane` is below [`Config::lanes`].
    pub fn waiting(&self, lane: LaneId) -> usize {
        self.lanes[lane.index()].entries.iter().filter(|entry| entry.left() > 0).count()
    }

    /// No job waits or runs, and no device is busy.
    pub fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.entries.is_empty() && lane.running.is_none())
    }

    /// Measured time over profiled time on a lane, as learned by the last step; 1 at the start.
    pub fn correction(&self, lane: LaneId) -> Option<f64> {
        Some(self.lanes.get(lane.index())?.correction)
    }

    /// The same at this time: nearer to 1 the longer the lane is idle.
    pub fn correction_at(&self, lane: LaneId, now: Time) -> Option<f64> {
        Some(self.lanes.get(lane.index())?.estimate.at(now))
    }

    /// What is thought of a lane's device. `lane` is below [`Config::lanes`].
    pub fn condition(&self, lane: LaneId) -> LaneCondition {
        self.lanes[lane.index()].condition
    }

    /// Somebody waits for the answer to this question.
    pub fn awaits(&self, decision: DecisionId) -> bool {
        self.lanes.iter().any(|lane| lane.awaits(decision))
    }

    fn submit(&mut self, now: Time, job: Job, actions: &mut Vec<Action>) -> Vec<usize> {
        let verdict = self.admit(now, &job);
        self.note_demand(now, &job);
        match verdict {
            Err(refusal) => {
                actions.push(Action::Refuse(job.id, refusal));
                Vec::new()
            }
            Ok(Place { lane: at, position, probe }) => {
                let matrix =
                    self.model_on(LaneId::at(at), job.model).expect("admitted to a lane that serves it").clone();
                let job = Job { model: matrix.variant(), ..job };
                let lane = &mut self.lanes[at];
                let mut entry = QueuedJob::new(job, now, matrix);
                entry.probe = probe;
                let by_profile = lane.by_profile(now, entry.fastest());
                lane.insert(position, entry);
                lane.changed = Some(Trigger::Arrival);
                if probe {
                    lane.last_probe = Some(now);
                }
                let predicted_finish =
                    if probe { by_profile } else { lane.finishes(now, lane.promise_factor())[position] };
                actions.push(Action::Accept(Accepted { job: job.id, lane: lane.id, predicted_finish }));
                vec![at]
            }
        }
    }

    /// The lane that takes the job, and its place there; or why none takes it.
    ///
    /// Behind all jobs that can be on time if it is on time there, on the lane that has done it first. Else further ahead,
    /// where no job behind it becomes late: who has time waits for who has not. Where tenants have shares it is put ahead of
    /// all that are due later: else who was put just in time is in the way of all that come after it.
    fn admit(&self, now: Time, job: &Job) -> Result<Place, Refusal> {
        let known = |lane: &Lane| self.model_on(lane.id, job.model).is_some();
        if self.retired.contains(&job.model) || !self.lanes.iter().any(known) {
            return Err(Refusal::UnknownModel(job.model));
        }
        check_numbers(job)?;
        let offers = self.offers(job)?;
        if self.lanes.iter().any(|lane| lane.knows(job.id)) {
            return Err(Refusal::Duplicate(job.id));
        }
        let serving = || offers.iter().filter(|offer| !offer.lost);
        if serving().next().is_none() {
            return Err(Refusal::ModelLost(job.model));
        }
        let room = |offer: &&Offer| self.has_place(offer.lane, job.tenant);
        let interval = self.config.probe_interval;
        let idle: Vec<&Offer> = serving().filter(room).filter(|offer| offer.lane.may_probe(now, interval)).collect();
        let try_out = |offer: &&&Offer| offer.lane.by_profile(now, offer.fastest) <= job.deadline;
        let probe =
            idle.iter().find(try_out).map(|offer| Place { lane: offer.lane.id.index(), position: 0, probe: true });
        let trusted = || serving().filter(|offer| offer.lane.condition == LaneCondition::Sound);
        if trusted().next().is_none() {
            return probe.ok_or(Refusal::DeviceSuspect(job.model));
        }
        let open: Vec<&Offer> = trusted().filter(room).collect();
        if open.is_empty() {
            let lanes: Vec<&Lane> = trusted().map(|offer| offer.lane).collect();
            return probe.ok_or_else(|| self.no_place(now, &lanes, job.tenant));
        }
        let open: Vec<(&Offer, TenantShare<'_>)> =
            open.into_iter().map(|offer| (offer, self.tenant_share(now, offer.lane, job.tenant))).collect();
        // what was learned passes: only what the profile excludes is never possible
        let alone = |offer: &Offer| offer.lane.by_profile(now, offer.fastest);
        let never = offers.iter().all(|offer| alone(offer) > job.deadline);
        let allowed = || open.iter().filter(|(offer, share)| share.allows(offer.fastest, job.deadline));
        if !never && allowed().next().is_none() {
            return probe.ok_or_else(|| over_share(&open, job.deadline));
        }
        let behind_all = allowed().filter_map(|(offer, _)| {
            let (position, done) = offer.lane.openings(now, offer.fastest).next()?;
            Some((done, offer.lane.id.index(), position))
        });
        if let Some((_, lane, position)) = behind_all.min().filter(|&(done, ..)| done <= job.deadline) {
            return Ok(Place { lane, position, probe: false });
        }
        let further_ahead = |(offer, _): &(&Offer, TenantShare<'_>)| {
            let lane = offer.lane;
            let place = match self.config.fairness.tenant_shares {
                true => lane.opening_by_deadline(now, offer.fastest, job.deadline),
                false => lane.opening(now, offer.fastest, job.deadline),
            };
            Some(Place { lane: lane.id.index(), position: place?, probe: false })
        };
        if let Some(place) = allowed().find_map(further_ahead).or(probe) {
            return Ok(place);
        }
        let first = |offer: &Offer| offer.lane.openings(now, offer.fastest).map(|(_, done)| done).min();
        let tried = idle.iter().map(|offer| alone(offer)).min().unwrap_or(Time::NEVER);
        let earliest = open.iter().filter_map(|(offer, _)| first(offer)).min().unwrap_or(Time::NEVER).min(tried);
        let is_offered = |(offer, share): &(&Offer, TenantShare<'_>)| {
            first(offer) == Some(earliest) && share.allows(offer.fastest, earliest)
        };
        if !never && earliest != tried && !open.iter().any(is_offered) {
            // what would be offered would be refused for that
            return Err(over_share(&open, earliest));
        }
        // Another lane may be the faster one for another floor, and for a job that is alone.
        let within = open.iter().filter_map(|(offer, share)| {
            let fits = |latency| {
                offer.lane.opening(now, latency, job.deadline).is_some() && share.allows(latency, job.deadline)
            };
            Some(offer.table.strategy(offer.table.slowest_that(fits)?).accuracy)
        });
        let tried = idle.iter().filter_map(|offer| {
            let fits = |latency| offer.lane.by_profile(now, latency) <= job.deadline;
            Some(offer.table.strategy(offer.table.slowest_that(fits)?).accuracy)
        });
        let best_accuracy = within.chain(tried).max_by(f64::total_cmp);
        Err(Refusal::DeadlineUnreachable { deadline: job.deadline, earliest, best_accuracy, never })
    }

    /// What the tenant may be promised on a lane.
    fn tenant_share<'l>(&self, now: Time, lane: &'l Lane, tenant: Tenant) -> TenantShare<'l> {
        let room = self.tenants.get(lane.id.index()).and_then(|others| others.room(now, tenant, &self.config.fairness));
        TenantShare { lane, tenant, room, now }
    }

    /// The lane has a place for one more job of the tenant.
    fn has_place(&self, lane: &Lane, tenant: Tenant) -> bool {
        let free = self.config.max_jobs.saturating_sub(lane.entries.len());
        let held = || lane.held_by(tenant);
        free > 0 && (!self.config.fairness.tenant_shares || self.config.fairness.has_place(tenant, held(), free))
    }

    /// Every one of these lanes is full, or has no place for one more job of the tenant.
    fn no_place(&self, now: Time, lanes: &[&Lane], tenant: Tenant) -> Refusal {
        let free = |lane: &Lane| self.config.max_jobs.saturating_sub(lane.entries.len());
        let Some(lane) = lanes.iter().copied().find(|lane| free(lane) > 0) else { return self.queue_full(now) };
        let held = lane.held_by(tenant);
        let most = self.config.fairness.most_places(tenant, free(lane)) as usize;
        let finishes = lane.finishes(now, lane.promise_factor());
        let of_tenant = lane.entries.iter().zip(finishes).filter(|(entry, _)| entry.job.tenant == tenant);
        let retry_at = of_tenant.map(|(_, finish)| finish).min().unwrap_or(now);
        Refusal::OverShare { of: OverShare::Places { held, most }, retry_at }
    }

    /// Remembers that the tenant asked for device time, whatever became of it: of the lanes that could serve the job each is
    /// asked for its part.
    fn note_demand(&mut self, now: Time, job: &Job) {
        if self.tenants.is_empty() || self.retired.contains(&job.model) || check_numbers(job).is_err() {
            return;
        }
        let Ok(offers) = self.offers(job) else { return };
        let serving = offers.iter().filter(|offer| !offer.lost);
        let asked = serving.map(|offer| (offer.lane.id.index(), scale(offer.fastest, offer.lane.promise_factor())));
        let asked: Vec<(usize, Duration)> = asked.collect();
        for &(lane, work) in &asked {
            self.tenants[lane].offered(now, job.tenant, work / asked.len() as u32);
        }
    }

    fn change_shares(&mut self, weights: BTreeMap<Tenant, f64>) -> Vec<usize> {
        self.config.fairness.weights = weights;
        Vec::new()
    }

    /// The lanes that could serve the job at its floor, each with its strategy table; or why there are none. Lanes that have lost the
    /// model are among them: what they cannot do for a while is nothing that never can be done.
    fn offers(&self, job: &Job) -> Result<Vec<Offer<'_>>, Refusal> {
        let known = |lane: &Lane| self.model_on(lane.id, job.model);
        let menus = || self.lanes.iter().filter_map(|lane| Some((lane, known(lane)?.table(job.requests)?)));
        let best = menus().map(|(_, table)| table.strategy(table.most_accurate()).accuracy).max_by(f64::total_cmp);
        let most = self.lanes.iter().filter_map(known).map(|matrix| matrix.max_requests()).max().unwrap_or(0);
        let best = best.ok_or(Refusal::TooManyRequests { requests: job.requests, most })?;
        let offers = menus().filter_map(|(lane, table)| {
            let fastest = table.strategy(table.fastest_legal(job.min_accuracy)?).latency;
            Some(Offer { lane, table, fastest, lost: self.lost.contains(&(lane.id, table.model)) })
        });
        let offers: Vec<Offer> = offers.collect();
        if offers.is_empty() {
            return Err(Refusal::FloorUnreachable { min_accuracy: job.min_accuracy, best });
        }
        Ok(offers)
    }

    fn queue_full(&self, now: Time) -> Refusal {
        let first = |lane: &Lane| lane.finishes(now, lane.promise_factor()).first().copied();
        let retry_at = self.lanes.iter().filter_map(first).min().unwrap_or(now);
        Refusal::QueueFull { most: self.config.max_jobs, retry_at }
    }

    fn cancel(&mut self, now: Time, job: JobId, actions: &mut Vec<Action>) -> Vec<usize> {
        let Some(at) = self.lanes.iter().position(|lane| lane.position(job).is_some()) else { return Vec::new() };
        actions.extend(self.lanes[at].end(now, job, End::Cancelled));
        vec![at]
    }

    fn decided(
        &mut self,
        now: Time,
        id: DecisionId,
        answer: Result<Decision, PolicyError>,
        actions: &mut Vec<Action>,
    ) -> Vec<usize> {
        let Some(at) = self.lanes.iter().position(|lane| lane.awaits(id)) else {
            actions.push(Action::RefuseDecision(id, DecisionError::TooLate));
            return Vec::new();
        };
        // Who is beyond saving by now must not be in the way of those that the answer, or the fallback, can save.
        self.give_up(at, now, actions);
        let lane = &mut self.lanes[at];
        let PendingDecision { snapshot, .. } = lane.question.take().expect("it was just seen");
        let adopted = answer
            .map_err(DecisionError::Policy)
            .and_then(|decision| Plan::check(&snapshot, &self.catalog, &decision))
            .and_then(|checked| lane.adopt(now, &snapshot, &checked));
        match adopted {
            Ok(jobs) => actions.push(Action::Adopt(id, jobs)),
            Err(error) => {
                actions.push(Action::RefuseDecision(id, error));
                actions.extend(lane.fall_back(now));
            }
        }
        vec![at]
    }

    fn batch_done(&mut self, now: Time, id: BatchId, report: BatchReport, actions: &mut Vec<Action>) -> Vec<usize> {
        let Some((at, running)) = self.take_running(now, id) else { return Vec::new() };
        let lane = &mut self.lanes[at];
        let job = running.batch.job;
        let unanswered = running.batch.requests.saturating_sub(report.answered);
        if unanswered == 0 {
            lane.learn(&running, report.compute);
        }
        self.judge(at, actions);
        let lane = &mut self.lanes[at];
        lane.changed = Some(Trigger::Completion);
        let Some(position) = lane.position(job) else { return vec![at] };
        let entry = &mut lane.entries[position];
        entry.device_time += report.compute;
        let kept = entry.leave_unanswered(&running.batch, unanswered);
        actions.extend(kept.map(|choice| Action::KeepFloor(job, choice)));
        if entry.left() == 0 {
            let end = entry.end();
            actions.extend(lane.end(now, job, end));
        }
        vec![at]
    }

    fn batch_failed(&mut self, now: Time, id: BatchId, actions: &mut Vec<Action>) -> Vec<usize> {
        let Some((at, running)) = self.take_running(now, id) else { return Vec::new() };
        self.judge(at, actions);
        let lane = &mut self.lanes[at];
        lane.changed = Some(Trigger::Completion);
        let Some(position) = lane.position(running.batch.job) else { return vec![at] };
        let entry = &mut lane.entries[position];
        if entry.failed_once {
            entry.forget(&running.batch);
            actions.extend(lane.end(now, running.batch.job, End::Failed));
        } else {
            entry.failed_once = true;
            entry.put_back(&running.batch, running.profiled);
        }
        vec![at]
    }

    fn take_running(&mut self, now: Time, id: BatchId) -> Option<(usize, crate::lane::Running)> {
        let (at, running) =
            self.lanes.iter_mut().enumerate().find_map(|(at, lane)| Some((at, lane.take_running(now, id)?)))?;
        self.lanes[at].account_late(now, &running);
        Some((at, running))
    }

    fn policy_changed(&mut self, eager: bool) -> Vec<usize> {
        self.eager = eager;
        for lane in &mut self.lanes {
            lane.question = None;
            lane.changed = Some(Trigger::Completion);
        }
        (0..self.lanes.len()).collect()
    }

    /// Takes these models in behind those that are there. Nothing that waits is touched.
    ///
    /// # Panics
    ///
    /// If a matrix is not at the place its model id names.
    fn load(&mut self, models: Vec<Arc<StrategyMatrix>>) -> Vec<usize> {
        let places = self.models.len()..;
        let in_order = models.iter().zip(places).all(|(matrix, at)| matrix.variant().0 as usize == at);
        assert!(in_order, "models out of order");
        self.catalog.add(&models);
        self.models.extend(models);
        Vec::new()
    }

    /// Takes no new jobs for this model; those that are here are served.
    fn retire(&mut self, model: ModelId) -> Vec<usize> {
        self.retired.insert(model);
        Vec::new()
    }

    /// Admits nothing more for this model on this lane.
    fn lose(&mut self, lane: LaneId, model: ModelId) -> Vec<usize> {
        if lane.index() < self.lanes.len() && (model.0 as usize) < self.models.len() {
            self.lost.insert((lane, model));
        }
        Vec::new()
    }

    fn restore(&mut self, lane: LaneId, model: ModelId) -> Vec<usize> {
        self.lost.remove(&(lane, model));
        Vec::new()
    }

    fn lane_restored(&mut self, lane: LaneId, actions: &mut Vec<Action>) -> Vec<usize> {
        let lost = self.lanes.get_mut(lane.index()).filter(|lane| lane.condition == LaneCondition::Lost);
        let Some(lost) = lost else { return Vec::new() };
        lost.condition = LaneCondition::Sound;
        self.judge(lane.index(), actions);
        vec![lane.index()]
    }

    fn paused(&mut self, time: Duration) -> Vec<usize> {
        let mut touched = Vec::new();
        for lane in &mut self.lanes {
            let Some(running) = &mut lane.running else { continue };
            running.paused = running.paused.saturating_add(time);
            touched.push(lane.id.index());
        }
        touched
    }

    fn woken(&mut self, now: Time, actions: &mut Vec<Action>) -> Vec<usize> {
        self.wake_at = None;
        for at in 0..self.lanes.len() {
            self.check_overdue(at, now, actions);
        }
        (0..self.lanes.len()).collect()
    }

    /// What has to be looked at after anything happened on a lane, which may be that a question was `answered`.
    fn settle(&mut self, at: usize, now: Time, mut answered: bool, actions: &mut Vec<Action>) {
        self.give_up(at, now, actions);
        let lane = &mut self.lanes[at];
        lane.look_at_late(now);
        if let Some(question) = lane.question.take_if(|question| question.due <= now) {
            let error = DecisionError::Policy(PolicyError::TimedOut(self.config.policy_budget));
            actions.push(Action::RefuseDecision(question.snapshot.decision, error));
            actions.extend(lane.fall_back(now));
            answered = true;
        }
        // The one case in which a device waits for a policy: for its budget at most, and only where the batch that would
        // start now costs some job its last chance. Else it starts first, so that the policy is asked about what is left.
        let asks = |lane: &Lane| lane.question.is_some() || lane.reason_to_ask(now, self.eager).is_some();
        let waits = lane.running.is_none() && asks(lane) && lane.starting_would_harm(now);
        if waits && answered {
            // It may have waited already, and does not wait for one answer after another.
            actions.extend(lane.fall_back(now));
        }
        let may_start = !waits || answered;
        if may_start && let Some(batch) = lane.start_next(now, BatchId(self.next_batch)) {
            self.next_batch += 1;
            actions.push(Action::Run(batch));
            lane.look_at_late(now);
        }
        if let Some(trigger) = self.lanes[at].reason_to_ask(now, self.eager) {
            self.ask(at, trigger, now, actions);
        }
    }

    /// Jobs that cannot be on time any more go last, or go, as they wished.
    fn give_up(&mut self, at: usize, now: Time, actions: &mut Vec<Action>) {
        let lane = &mut self.lanes[at];
        for job in lane.give_up_hopeless(now) {
            lane.changed = Some(Trigger::Completion);
            actions.push(Action::GiveUp(job));
            let position = lane.position(job).expect("giving up keeps it in the queue");
            if lane.entries[position].job.on_late == OnLate::Drop {
                actions.extend(lane.end(now, job, End::Dropped));
            }
        }
    }

    fn ask(&mut self, at: usize, trigger: Trigger, now: Time, actions: &mut Vec<Action>) {
        let snapshot = self.snapshot(LaneId::at(at), trigger, now);
        self.next_decision += 1;
        let lane = &mut self.lanes[at];
        lane.changed = None;
        lane.question = Some(PendingDecision { snapshot: snapshot.clone(), due: now + self.config.policy_budget });
        actions.push(Action::Decide(snapshot));
    }

    /// The next time at which something is due though nothing happens: an answer, a deadline, the end of a batch, or trust.
    fn ask_to_be_woken(&mut self, now: Time, actions: &mut Vec<Action>) {
        let due = |lane: &Lane| lane.question.as_ref().map(|question| question.due);
        let deadline = |lane: &Lane| {
            let waiting = lane.entries.iter().filter(|entry| !entry.given_up && entry.left() > 0);
            waiting.map(|entry| entry.job.deadline).min()
        };
        let dues = |lane: &Lane| [due(lane), deadline(lane), self.overdue_at(lane), self.trusted_at(lane, now)];
        let next = self.lanes.iter().flat_map(dues).flatten().min();
        if next.is_some() && next != self.wake_at {
            self.wake_at = next;
            actions.extend(next.map(Action::WakeAt));
        }
    }

    /// Writes the whole state down.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            eager: self.eager,
            next_decision: self.next_decision,
            next_batch: self.next_batch,
            wake_at: self.wake_at,
            retired: self.retired.iter().copied().collect(),
            lost: self.lost.iter().copied().collect(),
            tenants: self.tenants.iter().map(Tenants::state).collect(),
            lanes: self.lanes.iter().map(Lane::state).collect(),
        }
    }

    /// A scheduler in the state of the checkpoint, which was taken under the same configuration and models.
    ///
    /// # Panics
    ///
    /// If a matrix is not at the place its model id names.
    pub fn resume(
        config: Config,
        models: Vec<Arc<StrategyMatrix>>,
        checkpoint: &Checkpoint,
    ) -> Result<Scheduler, CheckpointError> {
        let mut scheduler = Scheduler::new(config, models);
        if scheduler.lanes.len() != checkpoint.lanes.len() {
            let expected = scheduler.lanes.len() as u32;
            return Err(CheckpointError::Lanes { expected, found: checkpoint.lanes.len() });
        }
        if checkpoint.next_decision.max(checkpoint.next_batch) > MOST_NUMBERS {
            return Err(CheckpointError::Numbers(checkpoint.next_decision.max(checkpoint.next_batch)));
        }
        let mut names = BTreeSet::new();
        for entry in checkpoint.lanes.iter().flat_map(|lane| &lane.entries) {
            if !names.insert(entry.job.id) {
                return Err(CheckpointError::Job(entry.job.id, "it is there twice"));
            }
        }
        scheduler.eager = checkpoint.eager;
        scheduler.next_decision = checkpoint.next_decision;
        scheduler.next_batch = checkpoint.next_batch;
        scheduler.wake_at = checkpoint.wake_at;
        scheduler.retired = checkpoint.retired.iter().copied().collect();
        scheduler.lost = checkpoint.lost.iter().copied().collect();
        for (lane, (tenants, state)) in scheduler.tenants.iter_mut().zip(&checkpoint.tenants).enumerate() {
            *tenants = Tenants::resume(state).ok_or(CheckpointError::Tenants(LaneId::at(lane)))?;
        }
        for (lane, state) in scheduler.lanes.iter_mut().zip(&checkpoint.lanes) {
            lane.resume(state, &scheduler.models)?;
        }
        Ok(scheduler)
    }
}

/// Where a job is taken in.
struct Place {
    lane: usize,
    position: usize,
    /// To find out whether the device is as fast again as its profile.
    probe: bool,
}

/// A lane that could serve a job at its floor.
struct Offer<'s> {
    lane: &'s Lane,
    /// The job's strategy table there.
    table: &'s StrategyTable,
    /// The fastest strategy that keeps the floor.
    fastest: Duration,
    /// Not before the lane has the model again.
    lost: bool,
}

/// Every one of these lanes has promised the tenant its share until this deadline.
fn over_share(open: &[(&Offer<'_>, TenantShare<'_>)], deadline: Time) -> Refusal {
    let refusals = open.iter().filter_map(|(offer, share)| share.refusal(offer.fastest, deadline));
    let retry_at = |refusal: &Refusal| match refusal {
        Refusal::OverShare { retry_at, .. } => *retry_at,
        _ => Time::NEVER,
    };
    refusals.min_by_key(retry_at).expect("a lane that refuses says why")
}

fn check_numbers(job: &Job) -> Result<(), Refusal> {
    let invalid = |text: String| Err(Refusal::InvalidJob(text));
    if job.requests == 0 {
        return invalid("a job has at least 1 request, this one has 0".into());
    }
    if !(0.0..=1.0).contains(&job.min_accuracy) {
        return invalid(format!("min_accuracy is {}, expected a number from 0 to 1", job.min_accuracy));
    }
    if !(job.weight > 0.0 && job.weight <= 1e6) {
        return invalid(format!("the weight is {}, expected a number above 0, at most 1000000", job.weight));
    }
    Ok(())
}
