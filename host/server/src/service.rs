//! What serves jobs, without HTTP: the driver, the planner and device threads, the tables they share.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use anyhow::Context;
use mosel_core::{Event, Scheduler, Time};
use mosel_sandbox::{Budget, Engine, Limits};

use crate::config::{self, Config};
use crate::device;
use crate::driver::{Driver, Parts};
use crate::jobs::{Entry, Jobs};
use crate::planner;
use crate::policies::{Policies, Ready, Shelf, Workshop};
use crate::served::Served;
use crate::stats::PolicyStats;

/// Everything between a submission and its answer.
pub struct Service {
    /// What is served, in the order of the models' ids.
    pub models: Vec<Served>,
    /// The job table.
    pub jobs: Arc<Jobs>,
    /// Steps the scheduler.
    pub driver: Arc<Driver>,
    /// The policies there are.
    pub policies: Policies,
    /// How the policy in place does.
    pub stats: Arc<PolicyStats>,
}

impl Service {
    /// Starts every thread; returns once the models are loaded and the policy has been configured.
    pub fn start(config: &Config, models: Vec<Served>) -> anyhow::Result<Service> {
        let matrices = models.iter().map(|model| model.matrix.clone()).collect();
        let mut scheduler = Scheduler::new(core_config(config), matrices);
        let engine = Engine::new(limits(&config.policy))?;
        let shelf = Shelf::new(&config.policy.dir);
        let workshop = Workshop { shelf, engine, catalog: scheduler.catalog().clone(), seed: config.policy.seed };
        let Ready { active, policy } = workshop.prepare(&config.policy.name, &config.policy.settings)?;
        scheduler.step(Time::START, Event::PolicyChanged { eager: policy.loaded().description().eager });

        let lanes = config.queue.lanes;
        let jobs = Arc::new(job_table(config));
        let stats = Arc::new(PolicyStats::default());
        // a lane is given its next batch when the last is done, so there is never more than one on its way
        let (devices, work): (Vec<_>, Vec<_>) = (0..lanes).map(|_| sync_channel(1)).unzip();
        // a question a lane, a change of policy, and the questions that it makes the lanes ask anew
        let (planner, orders) = sync_channel(2 * lanes as usize + 1);
        let parts = Parts {
            scheduler,
            jobs: jobs.clone(),
            devices,
            planner: Some(planner.clone()),
            policy: active.tag.clone(),
            stats: stats.clone(),
        };
        let driver = Driver::start(parts).context("starting the clock")?;
        planner::start(policy, orders, driver.clone(), stats.clone())?;
        for (lane, work) in work.into_iter().enumerate() {
            let builds = models.iter().map(|model| model.build.clone()).collect();
            device::start(lane, builds, work, driver.clone())?;
        }
        let policies = Policies::new(workshop, lanes, driver.clone(), planner, active);
        Ok(Service { models, jobs, driver, policies, stats })
    }

    /// The model of this job.
    pub fn model(&self, entry: &Entry) -> &Served {
        &self.models[entry.asked.model.0 as usize]
    }
}

fn job_table(config: &Config) -> Jobs {
    let keep = Duration::from_millis(config.finished.keep_ms);
    Jobs::new(config.finished.max_jobs, keep, config.queue.max_input_bytes)
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
