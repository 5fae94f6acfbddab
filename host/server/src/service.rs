//! What serves jobs, without HTTP: the driver, the planner and device threads, the tables they share.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::{Context, ensure};
use mosel_core::{Event, Scheduler, Time};
use mosel_sandbox::{Budget, Engine, Limits, RunningPolicy};

use crate::config::{self, Config};
use crate::device::{self, Lane};
use crate::driver::{self, Driver};
use crate::feedback::Feedback;
use crate::jobs::{JobRecord, Jobs, PolicyTag};
use crate::lane_devices::LaneDevices;
use crate::metrics::Metrics;
use crate::model_loader::ModelLoader;
use crate::model_registry::ModelRegistry;
use crate::planner;
use crate::policies::rollback::{self, RollbackRule};
use crate::policies::shadow::ShadowTap;
use crate::policies::store::PolicyStore;
use crate::policies::swap::Active;
use crate::policies::watch::{self, Watch};
use crate::policies::{self, Policies, PolicyLoader, PreparedPolicy};
use crate::recorder::EventRecorder;
use crate::served::ServedModel;
use crate::shared_catalog::SharedCatalog;

/// Everything between a submission and its answer.
pub struct Service {
    /// What is served.
    pub models: Arc<ModelRegistry>,
    /// Takes models in and lets them go.
    pub loader: ModelLoader,
    /// The job table.
    pub jobs: Arc<Jobs>,
    /// Steps the scheduler.
    pub driver: Arc<Driver>,
    /// The policies there are.
    pub policies: Arc<Policies>,
    /// What happened, in numbers.
    pub metrics: Arc<Metrics>,
    /// What happened, job by job.
    pub recorder: Arc<EventRecorder>,
    _watch: Option<Watch>,
}

impl Service {
    /// Starts every thread; returns once the models are loaded and the policy has been configured.
    pub fn start(config: &Config, devices: LaneDevices, models: Vec<ServedModel>) -> anyhow::Result<Service> {
        let most = models.iter().flat_map(|model| &model.members).map(|member| member.kind()).max();
        ensure!(
            most.is_none_or(|kind| (kind as usize) < devices.kinds.len()),
            "expected models for the {} kinds of device there are",
            devices.kinds.len()
        );
        let matrices = models.iter().flat_map(|model| model.members.iter().cloned()).collect();
        let mut scheduler = Scheduler::new(devices.core_config(config), matrices);
        let metrics = Arc::new(Metrics::default());
        let store = PolicyStore::new(&config.policy.dir);
        let catalog = Arc::new(SharedCatalog::new(scheduler.catalog().clone()));
        let policy_loader = PolicyLoader::new(store, engine(&config.policy)?, catalog.clone(), config.policy.seed);
        let prepared = policy_loader.prepare(&config.policy.name, &config.policy.settings)?;
        let (active, policy) = first(prepared, rule(&config.policy), &metrics);
        scheduler.step(Time::START, Event::PolicyChanged { eager: policy.loaded().description().eager });
        let most_ended = config.finished.max_jobs;
        let recorder = EventRecorder::start(&scheduler, &active.tag, &config.journal, most_ended, metrics.clone())?;

        let lanes = devices.lanes();
        let jobs = Arc::new(job_table(config));
        let feedback = Arc::new(Feedback::default());
        let (handles, ends): (Vec<_>, Vec<_>) =
            (0..lanes).map(|_| Lane::new()).map(|(lane, work, pending)| (lane, (work, pending))).unzip();
        let (planner, orders) = sync_channel(planner::most_orders(lanes));
        let driver = Driver::start(driver::DriverParts {
            scheduler,
            jobs: jobs.clone(),
            devices: handles.clone(),
            catalog: catalog.clone(),
            planner: Some(planner.clone()),
            policy: active.place(),
            feedback: feedback.clone(),
            metrics: metrics.clone(),
            recorder: recorder.clone(),
        });
        let driver = driver.context("starting the clock")?;
        let tap = Arc::new(ShadowTap::default());
        let (alarms, raised) = rollback::alarms();
        let place = active.place();
        let parts = planner::PlannerParts {
            policy,
            place,
            driver: driver.clone(),
            feedback: feedback.clone(),
            alarms,
            tap: tap.clone(),
            catalog,
        };
        planner::start(parts, orders)?;
        for ((lane, (work, pending)), &device) in (0..).zip(ends).zip(&devices.by_lane) {
            let kind = devices.kind(lane);
            let build = |model: &ServedModel| {
                let member = model.members.iter().find(|member| member.kind() == kind)?;
                Some((member.model(), model.build.clone(), member.profile().modes()))
            };
            let builds = models.iter().filter_map(build).collect();
            let (driver, metrics) = (driver.clone(), metrics.clone());
            device::start(device::DeviceParts { lane, device, builds, work, pending, driver, metrics })?;
        }
        let models = Arc::new(ModelRegistry::new(models));
        let loader = ModelLoader::new(config, devices, handles, driver.clone(), models.clone());
        let policies = Arc::new(Policies::new(policies::PoliciesParts {
            loader: policy_loader,
            lanes,
            rule: rule(&config.policy),
            driver: driver.clone(),
            planner,
            tap,
            feedback,
            metrics: metrics.clone(),
            active,
        }));
        rollback::start(raised, &policies)?;
        let watch = watch::start(&policies)?;
        Ok(Service { models, loader, jobs, driver, policies, metrics, recorder, _watch: watch })
    }

    /// The model of this job.
    pub fn model(&self, record: &JobRecord) -> Arc<ServedModel> {
        self.models.now().of(record.asked.model).expect("models are never forgotten").clone()
    }
}

/// The policy that is in place from the start.
fn first(prepared: PreparedPolicy, rule: RollbackRule, metrics: &Metrics) -> (Active, RunningPolicy) {
    const GENERATION: u64 = 1;
    let PreparedPolicy { name, source, loaded, settings, policy } = prepared;
    let hash = loaded.hash().into();
    let tag = PolicyTag { name: name.clone(), hash, generation: GENERATION, settings: settings.clone() };
    let place = policies::place(tag, rule, metrics);
    metrics.starts_with(GENERATION);
    (Active { tag: place.tag, source, loaded, settings, stats: place.stats }, policy)
}

fn rule(policy: &config::Policy) -> RollbackRule {
    RollbackRule { failures: policy.rollback_failures, window: policy.rollback_window }
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
