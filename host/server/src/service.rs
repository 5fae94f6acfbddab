//! What serves jobs, without HTTP: the driver, the planner and device threads, the tables they share.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use mosel_core::{Event, LaneId, Scheduler, Time};
use mosel_sandbox::{Budget, Engine, Limits};

use crate::byte_budget::ByteBudget;
use crate::config::{self, Config};
use crate::device::{self, DeviceParts};
use crate::driver::{Driver, DriverParts};
use crate::event_sink::EventSink;
use crate::feedback::Feedback;
use crate::jobs::{JobRecord, Jobs, Keep};
use crate::lane::{LaneEnd, LaneHandle};
use crate::lane_devices::LaneDevices;
use crate::lane_restart::{self, LaneRestart};
use crate::metrics::Metrics;
use crate::model_loader::ModelLoader;
use crate::model_registry::ModelRegistry;
use crate::planner::{self, PlannerParts};
use crate::planner_handle::PlannerHandle;
use crate::policies::control::{Policies, PoliciesParts};
use crate::policies::failures::{self, RollbackRule};
use crate::policies::installed::InstalledPolicy;
use crate::policies::loader::PolicyLoader;
use crate::policies::rollback;
use crate::policies::shadow::ShadowTap;
use crate::policies::store::PolicyStore;
use crate::policies::watch::{self, Watch};
use crate::recorder::EventRecorder;
use crate::served::ServedModel;
use crate::shared_catalog::SharedCatalog;
use crate::supervisor::Supervisor;
use crate::watchdog;

/// Everything between a submission and its answer.
pub(crate) struct Service {
    /// What is served.
    pub(crate) models: Arc<ModelRegistry>,
    /// Takes models in and lets them go.
    pub(crate) loader: Arc<ModelLoader>,
    /// The job table.
    pub(crate) jobs: Arc<Jobs>,
    /// Steps the scheduler.
    pub(crate) driver: Arc<Driver>,
    /// The policies there are.
    pub(crate) policies: Arc<Policies>,
    /// What happened, in numbers.
    pub(crate) metrics: Arc<Metrics>,
    /// What happened, job by job.
    pub(crate) recorder: Arc<EventRecorder>,
    _watch: Option<Watch>,
}

impl Service {
    /// Starts every thread; returns once the models are loaded and the policy has been configured.
    pub(crate) fn start(
        config: &Config,
        devices: LaneDevices,
        models: Vec<ServedModel>,
        supervisor: &Arc<Supervisor>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Service> {
        let most = models.iter().flat_map(|model| &model.variants).map(|variant| variant.kind()).max();
        ensure!(
            most.is_none_or(|kind| kind.index() < devices.kinds.len()),
            "expected models for the {} kinds of device there are",
            devices.kinds.len()
        );
        let matrices = models.iter().flat_map(|model| model.variants.iter().cloned()).collect();
        let mut scheduler = Scheduler::new(devices.core_config(config), matrices);
        let store = PolicyStore::new(&config.policy.dir);
        let catalog = Arc::new(SharedCatalog::new(scheduler.catalog().clone()));
        let policy_loader = PolicyLoader::new(store, engine(&config.policy)?, catalog.clone(), config.policy.seed);
        let prepared = policy_loader.prepare(&config.policy.name, &config.policy.settings)?;
        let installed = InstalledPolicy::new(&prepared, FIRST_GENERATION, rule(&config.policy), &metrics);
        metrics.starts_with(FIRST_GENERATION);
        let policy = prepared.policy;
        scheduler.step(Time::START, Event::PolicyChanged { eager: policy.loaded().description().eager });
        let most_ended = config.finished.max_jobs.min(MOST_HISTORIES);
        let (tag, journal) = (&installed.tag, &config.journal);
        let recorder = EventRecorder::start(&scheduler, tag, journal, most_ended, supervisor, metrics.clone())?;

        let lanes = devices.lanes();
        let jobs = Arc::new(job_table(config));
        let feedback = Arc::new(Feedback::default());
        let (handles, ends): (Vec<LaneHandle>, Vec<LaneEnd>) = (0..lanes).map(|_| LaneHandle::new()).unzip();
        let (lost_lanes, lost) = channel();
        let (planner, orders) = PlannerHandle::new(lanes);
        let driver = Driver::start(DriverParts {
            scheduler,
            lost_lanes: Some(lost_lanes),
            jobs: jobs.clone(),
            devices: handles.clone(),
            catalog: catalog.clone(),
            planner: Some(planner.clone()),
            policy: installed.clone(),
            feedback: feedback.clone(),
            metrics: metrics.clone(),
            recorder: recorder.clone(),
            supervisor: supervisor.clone(),
        });
        let driver = driver.context("starting the clock")?;
        watchdog::start(supervisor, &driver).context("starting the watch-dog")?;
        let sink: Arc<dyn EventSink> = driver.clone();
        let tap = Arc::new(ShadowTap::default());
        let (alarms, raised) = failures::alarms();
        let parts = PlannerParts {
            policy,
            installed: installed.clone(),
            sink: sink.clone(),
            feedback: feedback.clone(),
            alarms,
            tap: tap.clone(),
            catalog,
            supervisor: supervisor.clone(),
        };
        planner::start(parts, orders)?;
        let mut threads = Vec::new();
        for ((lane, (work, state)), &device) in (0..).zip(ends).zip(&devices.by_lane) {
            let kind = devices.kind(LaneId(lane));
            let build = |model: &ServedModel| {
                let variant = model.variants.iter().find(|variant| variant.kind() == kind)?;
                Some((variant.variant(), model.build.clone(), variant.profile().modes()))
            };
            let builds = models.iter().filter_map(build).collect();
            let (sink, metrics, supervisor) = (sink.clone(), metrics.clone(), supervisor.clone());
            let (lane, alive) = (LaneId(lane), Arc::new(()));
            threads.push(Arc::downgrade(&alive));
            device::start(DeviceParts { lane, device, builds, work, state, sink, metrics, supervisor, alive })?;
        }
        let models = Arc::new(ModelRegistry::new(models));
        let loader = ModelLoader::new(config, devices, handles, driver.clone(), models.clone(), supervisor.clone());
        let loader = Arc::new(loader);
        let restart = LaneRestart {
            loader: loader.clone(),
            driver: driver.clone(),
            metrics: metrics.clone(),
            supervisor: supervisor.clone(),
            threads: Mutex::new(threads),
            given_up: Mutex::default(),
            most: config.watch.lane_restarts as usize,
        };
        lane_restart::start(lost, restart)?;
        let policies = Arc::new(Policies::new(PoliciesParts {
            loader: policy_loader,
            lanes,
            rule: rule(&config.policy),
            driver: driver.clone(),
            planner,
            tap,
            feedback,
            metrics: metrics.clone(),
            supervisor: supervisor.clone(),
            active: installed,
        }));
        rollback::start(raised, &policies, supervisor)?;
        let watch = watch::start(&policies, supervisor).unwrap_or_else(|error| {
            tracing::error!("policies that are put into their folder by hand are not noticed: {error:#}");
            None
        });
        Ok(Service { models, loader, jobs, driver, policies, metrics, recorder, _watch: watch })
    }

    /// The model of this job.
    pub(crate) fn model(&self, record: &JobRecord) -> Arc<ServedModel> {
        self.models.now().of(record.request.model).expect("models are never forgotten").clone()
    }
}

/// Ended jobs that can be explained.
const MOST_HISTORIES: usize = 10_000;

/// The generation of the policy that is in place from the start.
const FIRST_GENERATION: u64 = 1;

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
    let config::Finished { max_bytes, max_jobs, keep_ms } = config.finished;
    let keep = Keep { time: Duration::from_millis(keep_ms), bytes: max_bytes, jobs: max_jobs };
    Jobs::new(keep, ByteBudget::new(config.queue.max_input_bytes, config.http.max_body_bytes))
}

fn limits(policy: &config::Policy) -> Limits {
    let standard = Limits::default();
    let decide = Budget { time: Duration::from_millis(policy.budget_ms), ..standard.decide };
    Limits { memory_bytes: policy.memory_bytes as usize, decide, ..standard }
}
