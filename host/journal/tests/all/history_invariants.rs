//! Invariants of histories, on random cases: what they say a job was on is what the scheduler had it on, what they say of a
//! decision is what a forecast says, and nothing that they are told makes them panic.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Action, Catalog, Checkpoint, Config, Decision, DecisionId, Event, Forecast, Job, JobId, JobRow, LaneId, ModelId,
    OnLate, Plan, PolicyError, QueuedJobState, Scheduler, Snapshot, StrategyMatrix, Time,
};
use mosel_journal::{
    Change, Choice, Counterfactual, DecidedBy, Header, HistoryEvent, JobHistories, Naming, PolicyRecord, explain,
};
use mosel_sim::{Devices, ExternalEvent, Observer, PolicyDriver, PolicyReply, SimCase, Simulation};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const MODEL: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure audio 4 9ms 137/200
    measure video+audio 1 10ms 157/200
    measure video+audio 4 32ms 157/200
";

/// Mostly legal, now and then wrong or slow, by a stream of bytes.
struct WhimsicalPolicy {
    bytes: Vec<u8>,
    at: usize,
    catalog: Catalog,
}

impl WhimsicalPolicy {
    fn next(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at % self.bytes.len()]
    }

    fn choice(&mut self, row: &JobRow) -> Option<(JobId, u32)> {
        let table = self.catalog.table(row.table).expect("tables of a snapshot are in the catalog");
        let legal = table.fastest_legal(row.min_accuracy)?;
        let choices = table.most_accurate() + 1 - legal;
        let byte = u32::from(self.next());
        (!byte.is_multiple_of(3)).then_some((row.id, legal + byte / 3 % choices))
    }
}

impl PolicyDriver for WhimsicalPolicy {
    fn decide(&mut self, snapshot: &Snapshot) -> PolicyReply {
        let took = Duration::from_micros(u64::from(self.next()) * 22);
        let mut decision = Decision::default();
        match self.next() % 12 {
            0 => return PolicyReply { answer: Err(PolicyError::Trapped("whim\nupon whim".into())), took },
            1 => decision.assignments.push((snapshot.jobs[0].id, 7777)),
            2..6 => decision.order = snapshot.jobs.iter().rev().map(|row| row.id).collect(),
            _ => {}
        }
        decision.assignments.extend(snapshot.jobs.iter().filter_map(|row| self.choice(row)));
        PolicyReply { answer: Ok(decision), took }
    }

    fn eager(&self) -> bool {
        self.bytes[0].is_multiple_of(2)
    }
}

#[derive(Clone, Debug)]
struct SimRun {
    jobs: Vec<(u64, Job)>,
    others: Vec<(u64, ExternalEvent)>,
    whims: Vec<u8>,
    lanes: u32,
    /// The step after which the histories of another journal begin.
    middle: usize,
}

fn day() -> impl Strategy<Value = SimRun> {
    let job = (0u64..200, 1u32..12, 1u64..250, 0.0..0.8f64, 1u32..4, any::<bool>());
    let job = job.prop_map(|(arrival, requests, slack, floor, weight, drops)| {
        let job = Job {
            requests,
            deadline: Time::from_millis(arrival + slack),
            min_accuracy: floor,
            weight: f64::from(weight) / 3.0,
            on_late: if drops { OnLate::Drop } else { OnLate::Run },
            ..mosel_testkit::jobs::job(0)
        };
        (arrival, job)
    });
    let other = prop_oneof![
        (0u64..25).prop_map(|job| ExternalEvent::Cancel(JobId(job))),
        (0u32..2).prop_map(|lane| ExternalEvent::Fail(LaneId(lane))),
        (0u32..2).prop_map(|lane| ExternalEvent::Lose(LaneId(lane))),
        (0u32..2).prop_map(|lane| ExternalEvent::Restore(LaneId(lane))),
        Just(ExternalEvent::Install),
        (1u64..30).prop_map(|by| ExternalEvent::Jump(Duration::from_millis(by))),
    ];
    let others = prop::collection::vec((0u64..250, other), 0..8);
    let whims = prop::collection::vec(any::<u8>(), 2..60);
    (prop::collection::vec(job, 1..25), others, whims, 1u32..3, 0usize..150)
        .prop_map(|(jobs, others, whims, lanes, middle)| SimRun { jobs, others, whims, lanes, middle })
}

fn matrix() -> Arc<StrategyMatrix> {
    let profile = Arc::new(SimCase::parse(MODEL).expect("it reads").profile);
    Arc::new(StrategyMatrix::new(ModelId(0), profile, 16).expect("it is sound"))
}

fn live(day: &SimRun, matrix: &Arc<StrategyMatrix>, observer: impl Observer) -> Result<Time, mosel_sim::SimError> {
    let config = Config { lanes: day.lanes, max_jobs: 9, ..Config::default() };
    let scheduler = Scheduler::new(config, vec![matrix.clone()]);
    let mut devices = Devices::new([matrix.profile().as_ref()], 3);
    devices.failures = 0.03;
    let mut external: Vec<(Time, ExternalEvent)> = Vec::new();
    for (id, &(at, job)) in day.jobs.iter().enumerate() {
        external.push((Time::from_millis(at), ExternalEvent::Submit(Job { id: JobId(id as u64), ..job })));
    }
    external.extend(day.others.iter().map(|(at, other)| (Time::from_millis(*at), other.clone())));
    external.sort_by_key(|(at, _)| *at);
    let policy = WhimsicalPolicy { bytes: day.whims.clone(), at: 0, catalog: scheduler.catalog().clone() };
    Simulation::new(scheduler, devices, policy, external).run(observer)
}

/// How often each claim was put to the test.
#[derive(Default)]
struct ReplayEvent {
    changes: Cell<u32>,
    fallback: Cell<u32>,
    raised: Cell<u32>,
    nobody: Cell<u32>,
    late: Cell<u32>,
    unknown: Cell<u32>,
    taken_up: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// Compares histories with the scheduler at every step.
struct Witness<'a> {
    histories: JobHistories,
    resumed: Option<JobHistories>,
    middle: usize,
    steps: usize,
    matrix: &'a StrategyMatrix,
    before: Option<Checkpoint>,
    asked: BTreeMap<DecisionId, Snapshot>,
    seen: &'a ReplayEvent,
}

/// A step, and the scheduler after it.
struct Step<'a> {
    scheduler: &'a Scheduler,
    now: Time,
    event: &'a Event,
    actions: &'a [Action],
}

impl Observer for Witness<'_> {
    fn before(&mut self, scheduler: &Scheduler, _: Time, _: &Event) {
        self.before = Some(scheduler.checkpoint());
    }

    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.histories.handle(now, event, actions);
        if let Some(resumed) = &mut self.resumed {
            resumed.handle(now, event, actions);
        }
        for histories in self.resumed.iter().chain([&self.histories]) {
            self.every_job_is_on_what_it_says(scheduler, histories)?;
        }
        self.decisions_are_as_told(&Step { scheduler, now, event, actions })?;
        for action in actions {
            if let Action::Decide(snapshot) = action {
                self.asked.insert(snapshot.decision, snapshot.clone());
            }
        }
        self.steps += 1;
        if self.steps == self.middle {
            let policy = PolicyRecord { name: "whim".into(), ..PolicyRecord::default() };
            self.resumed = Some(JobHistories::resume(&Header::of(scheduler, policy, "0.1.0"), 100));
        }
        Ok(())
    }
}

impl Witness<'_> {
    fn every_job_is_on_what_it_says(&self, scheduler: &Scheduler, histories: &JobHistories) -> Result<(), String> {
        for entry in scheduler.checkpoint().lanes.iter().flat_map(|lane| &lane.entries) {
            let history = histories.history(entry.job.id).ok_or_else(|| format!("no history of {}", entry.job.id))?;
            if matches!(history.events[0], HistoryEvent::Resumed { .. }) {
                count(&self.seen.taken_up);
            }
            let rest = self.choice(entry);
            same(&history.current().unwrap_or_default(), &rest)?;
        }
        Ok(())
    }

    fn choice(&self, entry: &QueuedJobState) -> Choice {
        let mut choice = Choice::default();
        for step in &entry.steps {
            choice.requests += step.requests;
            choice.latency += step.latency();
            let accuracy = self.matrix.profile().accuracy(step.mode).expect("it was measured").mean();
            choice.accuracy += accuracy * f64::from(step.requests);
            match choice.mix.iter_mut().find(|part| part.0 == step.mode) {
                Some(part) => part.1 += step.requests,
                None => choice.mix.push((step.mode, step.requests)),
            }
        }
        choice.accuracy /= f64::from(choice.requests.max(1));
        choice
    }

    fn decisions_are_as_told(&self, step: &Step<'_>) -> Result<(), String> {
        // A fallback that no refused answer caused comes on top of another decision: a job may have been moved twice.
        let count_of = |kind: fn(&Action) -> bool| step.actions.iter().filter(|action| kind(action)).count();
        if count_of(|action| matches!(action, Action::Fallback(..)))
            > count_of(|action| matches!(action, Action::RefuseDecision(..)))
        {
            return Ok(());
        }
        let mut refused = None;
        for action in step.actions {
            match action {
                Action::RefuseDecision(plan, _) => refused = Some(*plan),
                Action::Adopt(plan, jobs) => {
                    let Event::Decided(_, Ok(decision)) = step.event else {
                        return Err("adopted without an answer".into());
                    };
                    let asked = &self.asked[plan];
                    let plan = Plan::check(asked, step.scheduler.catalog(), decision);
                    let mut plan = plan.map_err(|error| error.to_string())?;
                    plan.choices.retain(|job, _| jobs.contains(job));
                    self.decision(step, asked, &plan)?;
                }
                Action::Fallback(_, moves) => {
                    let asked = &self.asked[&refused.ok_or("fallback without a reason")?];
                    let plan = Plan { choices: moves.iter().copied().collect(), ..Plan::default() };
                    self.decision(step, asked, &plan)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Jobs were moved as the plan says, which is of those alone.
    fn decision(&self, step: &Step<'_>, asked: &Snapshot, plan: &Plan) -> Result<(), String> {
        let left = |job| self.change(step.now, job).map_or(0, |change| change.from.requests);
        let naive = Naive::new(asked, step.scheduler.catalog(), plan, left);
        for &job in plan.choices.keys() {
            let change = self.change(step.now, job)?;
            count(&self.seen.changes);
            if matches!(change.decision.by, DecidedBy::Fallback { .. }) {
                count(&self.seen.fallback);
            }
            if change.to.accuracy > change.from.accuracy {
                count(&self.seen.raised);
            }
            self.moved_as_told(step, job, &change)?;
            if let Some(naive) = &naive {
                naive.agrees(job, &change, self.seen)?;
            }
        }
        Ok(())
    }

    fn moved_as_told(&self, step: &Step<'_>, job: JobId, change: &Change) -> Result<(), String> {
        // a failed batch was put back before the decision, one that was started was taken after it
        let was = entry(self.before.as_ref().expect("it was taken"), job);
        if let Some(was) = was.filter(|_| !matches!(step.event, Event::BatchFailed(_))) {
            same(&change.from, &self.choice(was))?;
        }
        let started = |action: &Action| matches!(action, Action::Run(batch) if batch.job == job);
        if let Some(is) = entry(&step.scheduler.checkpoint(), job).filter(|_| !step.actions.iter().any(started)) {
            same(&change.to, &self.choice(is))?;
        }
        Ok(())
    }

    fn change(&self, now: Time, job: JobId) -> Result<Change, String> {
        let history = self.histories.history(job).ok_or_else(|| format!("no history of {job}"))?;
        let changes = history.events.iter().rev().filter_map(|event| match event {
            HistoryEvent::Changed(change) => Some(change.as_ref().clone()),
            _ => None,
        });
        changes
            .into_iter()
            .find(|change| change.decision.at == now)
            .ok_or_else(|| format!("{job} was changed in silence"))
    }
}

/// The job, unless it came later or has ended.
fn entry(checkpoint: &Checkpoint, job: JobId) -> Option<&QueuedJobState> {
    let mut entries = checkpoint.lanes.iter().flat_map(|lane| &lane.entries);
    entries.find(|entry| entry.job.id == job)
}

fn same(told: &Choice, real: &Choice) -> Result<(), String> {
    let near = (told.accuracy - real.accuracy).abs() < 1e-9;
    let same = near && Choice { accuracy: real.accuracy, ..told.clone() } == *real;
    if same { Ok(()) } else { Err(format!("told {told:?}, but it was {real:?}")) }
}

/// A decision on the queue as it was asked about, by forecasts.
struct Naive<'a> {
    asked: &'a Snapshot,
    decided: Snapshot,
    catalog: &'a Catalog,
}

impl<'a> Naive<'a> {
    /// `None` where a batch of a job that was moved was started or failed since the question: a snapshot does not
    /// show that.
    fn new(asked: &'a Snapshot, catalog: &'a Catalog, plan: &Plan, left: impl Fn(JobId) -> u32) -> Option<Naive<'a>> {
        let mut decided = asked.clone();
        decided.jobs.sort_by_key(|row| (row.given_up, plan.order.get(&row.id).copied().unwrap_or(0)));
        for row in &mut decided.jobs {
            let Some(&choice) = plan.choices.get(&row.id) else { continue };
            if left(row.id) != row.requests {
                return None;
            }
            row.current = choice;
        }
        Some(Naive { asked, decided, catalog })
    }

    fn agrees(&self, job: JobId, change: &Change, seen: &ReplayEvent) -> Result<(), String> {
        let told = change.decision.cause.as_ref().ok_or("nothing is told of the question")?;
        let before = Forecast::as_it_is(self.asked, self.catalog);
        let after = Forecast::as_it_is(&self.decided, self.catalog);
        let late: Vec<JobId> = before.violators().map(|row| row.id).collect();
        let named: Vec<JobId> = told.late.iter().map(|late| late.job).collect();
        if late.len() != told.late_before || !late.starts_with(&named) || named.len() != late.len().min(3) {
            return Err(format!("{late:?} would have been late, told {told:?}"));
        }
        if let Some(wrong) = told.late.iter().find(|late| lateness(&before, late.job) != late.by) {
            return Err(format!("told {wrong:?}, but it was {:?}", lateness(&before, wrong.job)));
        }
        if after.violators().count() != told.late_after {
            return Err(format!("{} would be late, told {told:?}", after.violators().count()));
        }
        self.agrees_otherwise(job, change.counterfactual, [&before, &after], seen)
    }

    fn agrees_otherwise(
        &self,
        job: JobId,
        told: Counterfactual,
        [before, after]: [&Forecast; 2],
        seen: &ReplayEvent,
    ) -> Result<(), String> {
        let Some(was) = self.asked.jobs.iter().find(|row| row.id == job) else {
            count(&seen.unknown);
            return if told == Counterfactual::Unknown {
                Ok(())
            } else {
                Err(format!("{told:?} of {job}, which came later"))
            };
        };
        let mut stayed = self.decided.clone();
        let row = stayed.jobs.iter_mut().find(|row| row.id == job).expect("the same jobs were asked about");
        row.current = was.current;
        let stayed = Forecast::as_it_is(&stayed, self.catalog);
        let latest = stayed.jobs.iter().map(|row| lateness(&stayed, row.id)).max().unwrap_or_default();
        let right = match told {
            Counterfactual::Unknown => false,
            Counterfactual::Nobody => latest.is_zero(),
            Counterfactual::Late { job, by, before: was, after: is } => {
                // which of two is later is decided before rounding up to microseconds
                by == lateness(&stayed, job)
                    && latest - by <= Duration::from_micros(1)
                    && (was, is) == (lateness(before, job), lateness(after, job))
            }
        };
        count(if latest.is_zero() { &seen.nobody } else { &seen.late });
        if right { Ok(()) } else { Err(format!("had {job} stayed: {stayed:?}, told {told:?}")) }
    }
}

/// How late a job would be; not at all if it was given up.
fn lateness(forecast: &Forecast, job: JobId) -> Duration {
    let place = forecast.jobs.iter().position(|row| row.id == job).expect("the same jobs were asked about");
    let row = &forecast.jobs[place];
    if row.given_up { Duration::ZERO } else { forecast.finishes[place].since(row.deadline) }
}

#[test]
fn histories_are_true() {
    let (seen, matrix) = (ReplayEvent::default(), matrix());
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() });
    let result = runner.run(&day(), |day| {
        let config = Config::default();
        let histories = JobHistories::new(vec![matrix.clone()], config, "whim".into(), 100);
        let mut witness = Witness {
            histories,
            resumed: None,
            middle: day.middle,
            steps: 0,
            matrix: &matrix,
            before: None,
            asked: BTreeMap::new(),
            seen: &seen,
        };
        live(&day, &matrix, &mut witness).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let naming = Naming::new("j-", std::slice::from_ref(&matrix));
        for id in 0..day.jobs.len() as u64 {
            let history = witness.histories.history(JobId(id)).expect("every job has a history");
            prop_assert!(history.has_ended());
            prop_assert!(
                explain(history, &naming).iter().all(|sentence| sentence.ends_with('.') && !sentence.contains('\n'))
            );
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let ReplayEvent { changes, fallback, raised, nobody, late, unknown, taken_up } = seen;
    let seen = [changes, fallback, raised, nobody, late, unknown, taken_up].map(Cell::into_inner);
    assert!(seen.iter().all(|&times| times >= 20), "a claim was hardly put to the test: {seen:?}");
}

/// Every step of a day.
#[derive(Default)]
struct Steps(Vec<(Time, Event, Vec<Action>)>);

impl Observer for &mut Steps {
    fn after(&mut self, _: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.0.push((now, event.clone(), actions.to_vec()));
        Ok(())
    }
}

/// Steps left out, told twice, told in another order, or with what was done about another event.
fn disturbed(
    mut steps: Vec<(Time, Event, Vec<Action>)>,
    faults: &[(u8, usize, usize)],
) -> Vec<(Time, Event, Vec<Action>)> {
    for &(kind, one, other) in faults {
        let (one, other) = (one % steps.len(), other % steps.len());
        let actions = steps[other].2.clone();
        match kind % 5 {
            0 if steps.len() > 1 => drop(steps.remove(one)),
            1 => steps.insert(other, steps[one].clone()),
            2 => steps.swap(one, other),
            3 => steps[one].2 = actions,
            _ => steps[one].2.extend(actions),
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn days_that_are_told_wrong_are_told_all_the_same(
        day in day(), faults in prop::collection::vec((any::<u8>(), any::<usize>(), any::<usize>()), 0..60),
    ) {
        let matrix = matrix();
        let mut steps = Steps::default();
        live(&day, &matrix, &mut steps).expect("the day ends");
        let config = Config::default();
        let mut histories = JobHistories::new(vec![matrix.clone()], config, "whim".into(), 7);
        for (now, event, actions) in disturbed(steps.0, &faults) {
            histories.handle(now, &event, &actions);
        }
        let naming = Naming::new("j-", &[matrix]);
        for history in (0..day.jobs.len() as u64).filter_map(|job| histories.history(JobId(job))) {
            prop_assert!(explain(history, &naming).iter().all(|sentence| sentence.ends_with('.')));
        }
    }
}
