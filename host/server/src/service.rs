//! What serves jobs, without HTTP: the driver, its planner, its devices, the tables they share.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use mosel_core::Scheduler;
use mosel_sandbox::{Budget, Engine, Limits};
use tokio::sync::oneshot;

use crate::config::{self, Config};
use crate::device::{self, Work};
use crate::driver::{self, Drained, Driver, DriverHandle, Message};
use crate::jobs::{Entry, Jobs};
use crate::planner::{self, PolicyStats};
use crate::policies::{Policies, Shelf, Workshop};
use crate::served::Served;

/// Everything between a submission and its answer.
pub struct Service {
    /// What is served, in the order of the models' ids.
    pub models: Vec<Served>,
    /// The job table.
    pub jobs: Arc<Jobs>,
    /// The way to the scheduler.
    pub driver: DriverHandle,
    /// The policies there are.
    pub policies: Policies,
    /// How the policy in place does.
    pub stats: Arc<PolicyStats>,
}

impl Service {
    /// Starts every thread; returns once the models are loaded and the policy has been configured.
    pub fn start(config: &Config, models: Vec<Served>) -> anyhow::Result<(Service, JoinHandle<()>)> {
        let matrices = models.iter().map(|model| model.matrix.clone()).collect();
        let scheduler = Scheduler::new(core_config(config), matrices);
        let catalog = scheduler.catalog().clone();
        let jobs = Arc::new(Jobs::new(
            config.finished.max_jobs,
            Duration::from_millis(config.finished.keep_ms),
            config.queue.max_input_bytes,
        ));
        let (handle, messages) = driver::inbox(config.queue.max_events);
        let stats = Arc::new(PolicyStats::default());

        let engine = Engine::new(limits(&config.policy))?;
        let shelf = Shelf::new(&config.policy.dir);
        let workshop = Workshop { shelf, engine, catalog, seed: config.policy.seed };
        let ready = workshop.prepare(&config.policy.name, &config.policy.settings)?;
        let planner = planner::start(ready.policy, config.queue.lanes, handle.clone(), stats.clone())?;
        let devices = start_devices(config.queue.lanes, &models, &handle)?;

        let policy = ready.active.tag.clone();
        let (jobs_too, planner_too, stats_too) = (jobs.clone(), planner.clone(), stats.clone());
        let driver = Driver { scheduler, jobs: jobs_too, devices, planner: planner_too, policy, stats: stats_too };
        let thread = driver.start(messages).context("starting the driver")?;
        let policies = Policies::new(workshop, config.queue.lanes, handle.clone(), planner, ready.active);
        Ok((Service { models, jobs, driver: handle, policies, stats }, thread))
    }

    /// The model of this job.
    pub fn model(&self, entry: &Entry) -> &Served {
        &self.models[entry.asked.model.0 as usize]
    }

    /// Lets what was accepted end, within this time, and ends the rest; nothing new is taken.
    pub async fn drain(&self, within: Duration) -> anyhow::Result<Drained> {
        let (done, drained) = oneshot::channel();
        let driver = self.driver.clone();
        // the inbox may be full; waiting for room would hold up a thread that speaks HTTP
        let sent = tokio::task::spawn_blocking(move || driver.send(Message::Drain(within, done))).await?;
        sent.map_err(|_| anyhow!("the driver is gone"))?;
        drained.await.context("the driver died while it drained")
    }
}

fn core_config(config: &Config) -> mosel_core::Config {
    mosel_core::Config {
        lanes: config.queue.lanes,
        max_jobs: config.queue.max_jobs,
        policy_budget: Duration::from_millis(config.policy.budget_ms),
        margin: config.queue.margin,
    }
}

fn limits(policy: &config::Policy) -> Limits {
    let standard = Limits::default();
    let decide = Budget { time: Duration::from_millis(policy.budget_ms), ..standard.decide };
    Limits { memory_bytes: policy.memory_bytes as usize, decide, ..standard }
}

/// All at once: a model may take seconds to load.
fn start_devices(lanes: u32, models: &[Served], driver: &DriverHandle) -> anyhow::Result<Vec<SyncSender<Work>>> {
    let start =
        |lane: u32| device::start(lane, models.iter().map(|model| model.build.clone()).collect(), driver.clone());
    (0..lanes).map(start).collect()
}
