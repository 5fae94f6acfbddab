//! What serves jobs, without HTTP: the driver, the planner and device threads, the tables they share.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::{Context, ensure};
use mosel_core::{Event, Scheduler, Time};
use mosel_sandbox::{Budget, Engine, Limits, RunningPolicy};

use crate::chronicle::Chronicle;
use crate::config::{self, Config};
use crate::device::{self, Lane};
use crate::driver::{self, Driver};
use crate::feedback::Feedback;
use crate::fleet::Fleet;
use crate::jobs::{Entry, Jobs, PolicyTag};
use crate::known::Known;
use crate::loader::Loader;
use crate::metrics::Metrics;
use crate::planner;
use crate::policies::rollback::{self, Rule};
use crate::policies::shadow::Stage;
use crate::policies::shelf::Shelf;
use crate::policies::swap::Active;
use crate::policies::watch::{self, Watch};
use crate::policies::{self, Policies, Trial, Workshop};
use crate::registry::Registry;
use crate::served::Served;

/// Everything between a submission and its answer.
pub struct Service {
    /// What is served.
    pub models: Arc<Registry>,
    /// Takes models in and lets them go.
    pub loader: Loader,
    /// The job table.
    pub jobs: Arc<Jobs>,
    /// Steps the scheduler.
    pub driver: Arc<Driver>,
    /// The policies there are.
    pub policies: Arc<Policies>,
    /// What happened, in numbers.
    pub metrics: Arc<Metrics>,
    /// What happened, job by job.
    pub chronicle: Arc<Chronicle>,
    _watch: Option<Watch>,
}

impl Service {
    /// Starts every thread; returns once the models are loaded and the policy has been configured.
    pub fn start(config: &Config, fleet: Fleet, models: Vec<Served>) -> anyhow::Result<Service> {
        let most = models.iter().flat_map(|model| &model.members).map(|member| member.kind()).max();
        ensure!(
            most.is_none_or(|kind| (kind as usize) < fleet.kinds.len()),
            "expected models for the {} kinds of device there are",
            fleet.kinds.len()
        );
        let matrices = models.iter().flat_map(|model| model.members.iter().cloned()).collect();
        let mut scheduler = Scheduler::new(fleet.core_config(config), matrices);
        let metrics = Arc::new(Metrics::default());
        let shelf = Shelf::new(&config.policy.dir);
        let catalog = Arc::new(Known::new(scheduler.catalog().clone()));
        let workshop = Workshop::new(shelf, engine(&config.policy)?, catalog.clone(), config.policy.seed);
        let trial = workshop.prepare(&config.policy.name, &config.policy.settings)?;
        let (active, policy) = first(trial, rule(&config.policy), &metrics);
        scheduler.step(Time::START, Event::PolicyChanged { eager: policy.loaded().description().eager });
        let most_ended = config.finished.max_jobs;
        let chronicle = Chronicle::start(&scheduler, &active.tag, &config.journal, most_ended, metrics.clone())?;

        let lanes = fleet.lanes();
        let jobs = Arc::new(job_table(config));
        let feedback = Arc::new(Feedback::default());
        let (devices, ends): (Vec<_>, Vec<_>) =
            (0..lanes).map(|_| Lane::new()).map(|(lane, work, desk)| (lane, (work, desk))).unzip();
        let (planner, orders) = sync_channel(planner::most_orders(lanes));
        let driver = Driver::start(driver::Parts {
            scheduler,
            jobs: jobs.clone(),
            devices: devices.clone(),
            catalog: catalog.clone(),
            planner: Some(planner.clone()),
            policy: active.place(),
            feedback: feedback.clone(),
            metrics: metrics.clone(),
            chronicle: chronicle.clone(),
        });
        let driver = driver.context("starting the clock")?;
        let stage = Arc::new(Stage::default());
        let (alarms, raised) = rollback::alarms();
        let place = active.place();
        let parts = planner::Parts {
            policy,
            place,
            driver: driver.clone(),
            feedback: feedback.clone(),
            alarms,
            stage: stage.clone(),
            catalog,
        };
        planner::start(parts, orders)?;
        for ((lane, (work, desk)), &device) in (0..).zip(ends).zip(&fleet.devices) {
            let kind = fleet.kind(lane);
            let build = |model: &Served| {
                let member = model.members.iter().find(|member| member.kind() == kind)?;
                Some((member.model(), model.build.clone(), member.profile().modes()))
            };
            let builds = models.iter().filter_map(build).collect();
            let (driver, metrics) = (driver.clone(), metrics.clone());
            device::start(device::Parts { lane, device, builds, work, desk, driver, metrics })?;
        }
        let models = Arc::new(Registry::new(models));
        let loader = Loader::new(config, fleet, devices, driver.clone(), models.clone());
        let policies = Arc::new(Policies::new(policies::Parts {
            workshop,
            lanes,
            rule: rule(&config.policy),
            driver: driver.clone(),
            planner,
            stage,
            feedback,
            metrics: metrics.clone(),
            active,
        }));
        rollback::start(raised, &policies)?;
        let watch = watch::start(&policies)?;
        Ok(Service { models, loader, jobs, driver, policies, metrics, chronicle, _watch: watch })
    }

    /// The model of this job.
    pub fn model(&self, entry: &Entry) -> Arc<Served> {
        self.models.now().of(entry.asked.model).expect("models are never forgotten").clone()
    }
}

/// The policy that is in place from the start.
fn first(trial: Trial, rule: Rule, metrics: &Metrics) -> (Active, RunningPolicy) {
    const GENERATION: u64 = 1;
    let Trial { name, source, loaded, settings, policy } = trial;
    let hash = loaded.hash().into();
    let tag = PolicyTag { name: name.clone(), hash, generation: GENERATION, settings: settings.clone() };
    let place = policies::place(tag, rule, metrics);
    metrics.starts_with(GENERATION);
    (Active { tag: place.tag, source, loaded, settings, stats: place.stats }, policy)
}

fn rule(policy: &config::Policy) -> Rule {
    Rule { failures: policy.rollback_failures, window: policy.rollback_window }
}

/// With a cache of compiled code, if there is a directory that is safe to keep it in.
fn engine(config: &config::Policy) -> anyhow::Result<Engine> {
    if !config.cache_dir.as_os_str().is_empty() {
        match Engine::with_cache(limits(config), &config.cache_dir) {
            Ok(engine) => return Ok(engine),
            Err(error) => tracing::warn!("policies are compiled anew at every start: {error:#}"),
        }
    }
    Engine::new(limits(config))
}

fn job_table(config: &Config) -> Jobs {
    let keep = Duration::from_millis(config.finished.keep_ms);
    Jobs::new(config.finished.max_jobs, keep, config.queue.max_input_bytes)
}

fn limits(policy: &config::Policy) -> Limits {
    let standard = Limits::default();
    let decide = Budget { time: Duration::from_millis(policy.budget_ms), ..standard.decide };
    Limits { memory_bytes: policy.memory_bytes as usize, decide, ..standard }
}
