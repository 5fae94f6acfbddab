//! Scenarios: a case as text, run through the core in virtual time, its log as text.
//!
//! ```text
//! modalities video audio
//! measure audio 1 4ms 137/200        selection, batch size, time of a batch, correct/samples
//! measure video+audio 1 10ms 157/200
//! policy silent                      none (never changes anything), silent, traps; default none
//! margin 0                           default 0
//! device 1.5                         true time over profiled time; default 1
//! eager                              the policy is asked after every change, not only about violators
//! at 0ms submit 1 requests 4 deadline 100ms floor 0.7 drop weight 2 tenant acme
//! at 5ms cancel 1
//! at 7ms fail                        the batch on lane 0 fails
//! ```
//!
//! One noun a line; `#` starts a comment. Deadlines are points in time, not spans. There is one model, 0; a job may
//! name another (`model 1`) and is refused. The scenario ends when nothing is left to happen.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Accuracy, Action, Batch, Config, Event, Job, JobId, Latency, Measurement, Mode, ModelId, OnLate, PolicyError,
    Profile, Proposal, Scheduler, Snapshot, StrategyMatrix, Tenant, Time, scale,
};

/// A case: a model, a configuration and what happens from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The one model there is.
    pub profile: Profile,
    /// The scheduler's configuration.
    pub config: Config,
    /// What answers questions when [`Scenario::run`] is used.
    pub policy: Scripted,
    /// The policy is asked after every change while some waiting job could be more accurate.
    pub eager: bool,
    /// True time of a batch over its profiled time.
    pub device: f64,
    /// What happens from outside, by time.
    pub events: Vec<(Time, External)>,
}

/// A scenario that takes more actions than this would never end.
const MOST_ACTIONS: usize = 100_000;

/// Something an application or a device does.
#[derive(Clone, Debug, PartialEq)]
pub enum External {
    /// A job comes.
    Submit(Job),
    /// A job is given up.
    Cancel(JobId),
    /// The batch that runs on this lane fails.
    Fail(u32),
}

/// A policy simple enough to be named in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// Answers at once that nothing should change.
    None,
    /// Never answers.
    Silent,
    /// Answers at once with a trap.
    Traps,
}

impl Scenario {
    /// Reads the text form; the error names the line and what was expected.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let mut scenario = Scenario {
            profile: Profile {
                id: "scenario".into(),
                model: "toy".into(),
                modalities: Vec::new(),
                measurements: Vec::new(),
            },
            config: Config { margin: 0.0, ..Config::default() },
            policy: Scripted::None,
            eager: false,
            device: 1.0,
            events: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
            scenario.line(&words).map_err(|expected| format!("line {}: {line:?}: {expected}", number + 1))?;
        }
        scenario.events.sort_by_key(|(at, _)| *at);
        scenario.profile.check().map_err(|error| error.to_string())?;
        Ok(scenario)
    }

    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match *words {
            [] => {}
            ["modalities", ref names @ ..] => {
                self.profile.modalities = names.iter().map(|name| (*name).into()).collect();
            }
            ["measure", selection, size, time, accuracy] => self.measure(selection, size, time, accuracy)?,
            ["policy", "none"] => self.policy = Scripted::None,
            ["policy", "silent"] => self.policy = Scripted::Silent,
            ["policy", "traps"] => self.policy = Scripted::Traps,
            ["eager"] => self.eager = true,
            ["margin", share] => self.config.margin = number(share)?,
            ["device", factor] => self.device = number(factor)?,
            ["lanes", count] => self.config.lanes = number(count)?,
            ["max_jobs", count] => self.config.max_jobs = number(count)?,
            ["budget", time] => self.config.policy_budget = span(time)?,
            ["at", time, ref what @ ..] => {
                let event = external(what)?;
                self.events.push((Time::START + span(time)?, event));
            }
            _ => {
                return Err(
                    "expected modalities, measure, policy, eager, margin, device, lanes, max_jobs, budget or at".into(),
                );
            }
        }
        Ok(())
    }

    fn measure(&mut self, selection: &str, size: &str, time: &str, accuracy: &str) -> Result<(), String> {
        let (correct, samples) = accuracy.split_once('/').ok_or("expected an accuracy such as 137/200")?;
        self.profile.measurements.push(Measurement {
            mode: Mode::parse(selection, &self.profile.modalities)
                .map_err(|name| format!("{name} is not among the modalities"))?,
            batch_size: number(size)?,
            latency: Latency::exactly(span(time)?),
            accuracy: Accuracy { correct: number(correct)?, samples: number(samples)? },
            memory_bytes: 0,
        });
        Ok(())
    }

    /// Runs it with its own scripted policy; the log as text.
    pub fn run(&self) -> String {
        let policy = self.policy;
        self.run_with(|_| match policy {
            Scripted::None => Some(Ok(Proposal::default())),
            Scripted::Silent => None,
            Scripted::Traps => Some(Err(PolicyError::Trapped("unreachable".into()))),
        })
    }

    /// Runs it with a policy of the caller's, which answers at once or (`None`) never; the log as text.
    pub fn run_with(&self, policy: impl FnMut(&Snapshot) -> Option<Result<Proposal, PolicyError>>) -> String {
        let log: String = self.trace(policy).iter().filter_map(|(at, action)| self.describe(*at, action)).collect();
        log
    }

    /// Runs it and returns every action with its time.
    pub fn trace(&self, policy: impl FnMut(&Snapshot) -> Option<Result<Proposal, PolicyError>>) -> Vec<(Time, Action)> {
        Run::new(self, policy).run_out()
    }

    fn describe(&self, at: Time, action: &Action) -> Option<String> {
        let ids = |jobs: &[JobId]| jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let label = |mode: Mode| mode.label(&self.profile.modalities);
        let mut line = format!("{at} ");
        let text = match action {
            Action::Accept(job) => write!(line, "accept {} until {}", job.job, job.predicted_finish),
            Action::Refuse(job, refusal) => write!(line, "refuse {job}: {refusal}"),
            Action::Run(b) => {
                write!(line, "run {} {}..{} on {}", b.job, b.first, b.first + b.requests, label(b.mode))
            }
            Action::Plan(snapshot) => {
                write!(line, "ask about {}", ids(&snapshot.jobs.iter().map(|row| row.id).collect::<Vec<_>>()))
            }
            Action::Adopt(_, jobs) => write!(line, "adopt [{}]", ids(jobs)),
            Action::RefusePlan(_, error) => write!(line, "refuse the plan: {error}"),
            Action::Squeeze(_, moves) => {
                write!(line, "squeeze [{}]", ids(&moves.iter().map(|&(job, _)| job).collect::<Vec<_>>()))
            }
            Action::Finish(outcome) => {
                let lateness = if outcome.finish > outcome.deadline { " late" } else { "" };
                let mix: Vec<String> =
                    outcome.mix.iter().map(|(mode, count)| format!("{count} {}", label(*mode))).collect();
                let accuracy = outcome.accuracy.map_or("-".into(), |accuracy| format!("{accuracy:.3}"));
                write!(line, "{:?}{lateness} {}: {} = {accuracy}", outcome.end, outcome.job, mix.join(" + "))
            }
            // told where the job ends
            Action::GiveUp(_) | Action::WakeAt(_) => return None,
        };
        text.expect("writing to a string");
        line.push('\n');
        Some(line)
    }
}

/// A scenario under way: the smallest driver there is.
struct Run<'a, P> {
    scenario: &'a Scenario,
    policy: P,
    scheduler: Scheduler,
    /// What will happen, by time, then by order of arrival.
    agenda: BTreeMap<(Time, u64), Event>,
    outside: VecDeque<(Time, External)>,
    running: BTreeMap<u32, (Batch, (Time, u64))>,
    wake_at: Option<Time>,
    entered: u64,
    trace: Vec<(Time, Action)>,
}

impl<'a, P: FnMut(&Snapshot) -> Option<Result<Proposal, PolicyError>>> Run<'a, P> {
    fn new(scenario: &'a Scenario, policy: P) -> Self {
        let profile = Arc::new(scenario.profile.clone());
        let matrix = StrategyMatrix::new(ModelId(0), profile, 64).expect("parsing checked the profile");
        let mut scheduler = Scheduler::new(scenario.config.clone(), vec![Arc::new(matrix)]);
        scheduler.step(Time::START, Event::PolicyChanged { eager: scenario.eager });
        Run {
            scenario,
            policy,
            scheduler,
            agenda: BTreeMap::new(),
            outside: scenario.events.iter().cloned().collect(),
            running: BTreeMap::new(),
            wake_at: None,
            entered: 0,
            trace: Vec::new(),
        }
    }

    fn run_out(mut self) -> Vec<(Time, Action)> {
        while let Some((now, event)) = self.next() {
            for action in self.scheduler.step(now, event) {
                self.act(now, &action);
                self.trace.push((now, action));
            }
            assert!(self.trace.len() < MOST_ACTIONS, "the day does not end: {:?}", self.trace.last());
        }
        assert!(self.scheduler.is_idle(), "nothing is left to happen, yet jobs are left");
        self.trace
    }

    /// The earliest of what devices and policies do, what comes from outside, and wake-ups.
    fn next(&mut self) -> Option<(Time, Event)> {
        let inside = self.agenda.keys().next().copied();
        let outside = self.outside.front().map(|(at, _)| *at);
        let first = [inside.map(|key| key.0), outside, self.wake_at].into_iter().flatten().min()?;
        if inside.is_some_and(|key| key.0 == first) {
            return self.agenda.pop_first().map(|((at, _), event)| (at, event));
        }
        if outside == Some(first) {
            let (at, external) = self.outside.pop_front()?;
            return Some((at, self.enact(external)));
        }
        self.wake_at = None;
        Some((first, Event::WakeUp))
    }

    fn enact(&mut self, external: External) -> Event {
        match external {
            External::Submit(job) => Event::Submit(job),
            External::Cancel(job) => Event::Cancel(job),
            External::Fail(lane) => match self.running.remove(&lane) {
                Some((batch, key)) => {
                    self.agenda.remove(&key);
                    Event::BatchFailed(batch.id)
                }
                None => Event::WakeUp,
            },
        }
    }

    fn act(&mut self, now: Time, action: &Action) {
        match action {
            Action::Run(batch) => {
                let profiled = self.profiled(batch);
                let measured = scale(profiled, self.scenario.device);
                let key = self.enter(now + measured, Event::BatchDone(batch.id, measured));
                self.running.insert(batch.lane, (*batch, key));
            }
            Action::Plan(snapshot) => {
                if let Some(answer) = (self.policy)(snapshot) {
                    self.enter(now, Event::Planned(snapshot.plan, answer));
                }
            }
            Action::WakeAt(at) => self.wake_at = Some(*at),
            _ => {}
        }
    }

    fn profiled(&self, batch: &Batch) -> Duration {
        let same = |m: &&Measurement| m.mode == batch.mode && m.batch_size == batch.batch_size;
        let measurement = self.scenario.profile.measurements.iter().find(same);
        measurement.expect("batches are made of measured sizes").latency.mean
    }

    fn enter(&mut self, at: Time, event: Event) -> (Time, u64) {
        self.entered += 1;
        self.agenda.insert((at, self.entered), event);
        (at, self.entered)
    }
}

fn external(words: &[&str]) -> Result<External, String> {
    match *words {
        ["submit", id, ref wishes @ ..] => submit(id, wishes).map(External::Submit),
        ["cancel", id] => Ok(External::Cancel(JobId(number(id)?))),
        ["fail"] => Ok(External::Fail(0)),
        ["fail", lane] => Ok(External::Fail(number(lane)?)),
        _ => Err("expected submit, cancel or fail".into()),
    }
}

fn submit(id: &str, mut wishes: &[&str]) -> Result<Job, String> {
    let mut job = Job {
        id: JobId(number(id)?),
        model: ModelId(0),
        requests: 1,
        deadline: Time::NEVER,
        min_accuracy: 0.0,
        weight: 1.0,
        tenant: Tenant::default(),
        on_late: OnLate::Run,
    };
    while let [wish, rest @ ..] = wishes {
        wishes = match (*wish, rest) {
            ("drop", rest) => {
                job.on_late = OnLate::Drop;
                rest
            }
            ("requests", [count, rest @ ..]) => {
                job.requests = number(count)?;
                rest
            }
            ("deadline", [time, rest @ ..]) => {
                job.deadline = Time::START + span(time)?;
                rest
            }
            ("floor", [floor, rest @ ..]) => {
                job.min_accuracy = number(floor)?;
                rest
            }
            ("model", [id, rest @ ..]) => {
                job.model = ModelId(number(id)?);
                rest
            }
            ("weight", [weight, rest @ ..]) => {
                job.weight = number(weight)?;
                rest
            }
            ("tenant", [name, rest @ ..]) => {
                job.tenant = Tenant::named(name);
                rest
            }
            _ => {
                return Err(format!(
                    "{wish}: expected requests N, deadline TIME, floor F, model N, weight W, tenant NAME or drop"
                ));
            }
        };
    }
    Ok(job)
}

/// Reads a number; the error says what was found.
pub fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("expected a number, found {word:?}"))
}

/// Reads a time: `12ms`, `1.5ms` or `300us`.
pub fn span(word: &str) -> Result<Duration, String> {
    let (digits, micros) = match (word.strip_suffix("ms"), word.strip_suffix("us")) {
        (Some(digits), _) => (digits, 1000.0),
        (_, Some(digits)) => (digits, 1.0),
        _ => return Err(format!("expected a time such as 12ms or 300us, found {word:?}")),
    };
    let count: f64 = number(digits)?;
    Duration::try_from_secs_f64(count * micros / 1e6).map_err(|_| format!("expected a time, found {word:?}"))
}
