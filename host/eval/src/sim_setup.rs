//! What a simulation is about, apart from the policy and the jobs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mosel_core::{Config, Fairness, ModelId, Profile, Scheduler, StrategyMatrix};
use mosel_sim::{Arrival, Devices, ExternalEvent, Observer, Offered, Simulation, Tally};

use crate::policy_under_test::PolicyUnderTest;

/// A server of one model.
#[derive(Clone, Debug)]
pub(crate) struct SimSetup {
    /// What the server believes of the model.
    pub(crate) matrix: Arc<StrategyMatrix>,
    /// The scheduler's bounds; the budget is each policy's own.
    pub(crate) config: Config,
    /// How long things really take, over what the profile says.
    pub(crate) factor: f64,
    /// Share of batches that fail.
    pub(crate) failures: f64,
    /// What every batch takes beside its forward pass.
    pub(crate) dispatch: Duration,
}

impl SimSetup {
    /// A server with the shipped bounds for jobs of up to `max_requests`, whose devices are as the profile says.
    pub(crate) fn new(profile: Profile, max_requests: u32) -> Result<SimSetup> {
        let matrix = StrategyMatrix::new(ModelId(0), Arc::new(profile), max_requests).context("the profile")?;
        let queue = mosel_server::config::Queue::default();
        let config = Config {
            lanes: 1,
            kinds: Vec::new(),
            max_jobs: queue.max_jobs,
            margin: queue.margin,
            policy_budget: Duration::from_millis(20),
            fairness: Fairness::default(),
            ..Config::default()
        };
        Ok(SimSetup { matrix: matrix.into(), config, factor: 1.0, failures: 0.0, dispatch: Duration::ZERO })
    }

    /// What workloads are scaled by.
    pub(crate) fn offered(&self) -> Offered<'_> {
        Offered { matrix: &self.matrix, lanes: self.config.lanes }
    }

    /// Runs these arrivals under this policy. `seed` is what devices and the policy draw with.
    pub(crate) fn run(
        &self,
        policy: &PolicyUnderTest,
        arrivals: &[Arrival],
        seed: u64,
        observer: impl Observer,
    ) -> Result<Tally> {
        let mut tally = Tally::default();
        let scheduler = self.scheduler(policy);
        let driver = policy.start(scheduler.catalog(), seed)?;
        let external = arrivals.iter().map(|arrival| (arrival.at, ExternalEvent::Submit(arrival.job)));
        let mut simulation = Simulation::new(scheduler, self.devices(seed), driver, external);
        simulation.run((&mut tally, observer)).with_context(|| format!("simulating {}", policy.label))?;
        Ok(tally)
    }

    /// The scheduler of such a server, with nothing in its queues.
    pub(crate) fn scheduler(&self, policy: &PolicyUnderTest) -> Scheduler {
        let config = Config { policy_budget: policy.budget, ..self.config.clone() };
        Scheduler::new(config, vec![self.matrix.clone()])
    }

    fn devices(&self, seed: u64) -> Devices {
        let mut devices = Devices::new([self.matrix.profile().as_ref()], seed);
        devices.factor = self.factor;
        devices.failures = self.failures;
        devices.dispatch = self.dispatch;
        devices
    }
}
