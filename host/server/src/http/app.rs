//! What handlers share: the configuration, the service once it is there, and whether it takes something new.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use mosel_core::Event;

use super::api_error::ApiError;
use crate::auth::Auth;
use crate::config::{Config, Fairness, Http};
use crate::driver::BROKEN;
use crate::error_code::ErrorCode;
use crate::event_sink::EventSink;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::signals::Reload;
use crate::supervisor::Supervisor;
use crate::work_pool::WorkPool;

/// What the routes share.
pub(crate) struct App {
    /// Bounds and time-outs.
    pub(crate) config: Config,
    /// Who may do what.
    pub(crate) auth: Auth,
    /// Reads what clients send.
    pub(crate) work: WorkPool,
    /// Knows whether anything can be served.
    pub(crate) supervisor: Arc<Supervisor>,
    /// What happened, in numbers.
    pub(crate) metrics: Arc<Metrics>,
    /// What tenants count by the configuration; for others their tokens say it.
    weights: BTreeMap<String, f64>,
    /// There once the models are loaded.
    pub(crate) service: OnceLock<Service>,
    /// The server was told to stop and says so, and still takes jobs: whoever balances load turns to others first.
    pub(crate) leaving: AtomicBool,
    /// Nothing new is taken: what was accepted is served.
    pub(crate) draining: AtomicBool,
    /// What is read again at SIGHUP.
    pub(crate) reload: Reload,
}

impl App {
    /// Not open yet.
    pub(crate) fn new(mut config: Config, metrics: Arc<Metrics>) -> anyhow::Result<App> {
        let auth = Auth::new(&config)?;
        let weights = config.fairness.weights.clone();
        config.fairness.weights = weights_of_tenants(&weights, &auth);
        let supervisor = Supervisor::new(metrics.clone());
        let Http { work_threads, work_queue, .. } = config.http;
        let work = WorkPool::start(work_threads, work_queue, &supervisor, &metrics);
        let work = work.context("starting the threads that read what clients send")?;
        let (service, leaving, draining) = (OnceLock::new(), AtomicBool::new(false), AtomicBool::new(false));
        let reload = Reload::default();
        Ok(App { config, auth, work, supervisor, metrics, weights, service, leaving, draining, reload })
    }

    /// Reads the files of tokens again; tenants' weights follow.
    pub(crate) fn reload_tokens(&self) {
        self.auth.reload();
        let weights = weights_of_tenants(&self.weights, &self.auth);
        let fairness = Fairness { weights, ..self.config.fairness.clone() };
        if let Ok(service) = self.service() {
            drop(service.driver.handle(Event::SharesChanged(fairness.to_core().weights)));
        }
    }

    /// The service, once it is there, for whoever looks at jobs: that works until the very end.
    pub(crate) fn known(&self) -> Result<&Service, ApiError> {
        self.service.get().ok_or_else(ApiError::starting)
    }

    /// The service, once it is there, as long as its scheduler is sound.
    pub(crate) fn service(&self) -> Result<&Service, ApiError> {
        let service = self.known()?;
        if service.driver.is_broken() { Err(self.failed()) } else { Ok(service) }
    }

    /// The service, while it takes something new.
    pub(crate) fn open(&self) -> Result<&Service, ApiError> {
        let service = self.alive()?;
        if self.is_draining() { Err(ApiError::draining()) } else { Ok(service) }
    }

    /// The service, while what it has accepted can still be served.
    pub(crate) fn alive(&self) -> Result<&Service, ApiError> {
        if self.supervisor.failure().is_some() { Err(self.failed()) } else { self.service() }
    }

    /// Nothing new is taken.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn failed(&self) -> ApiError {
        let why = self.supervisor.failure().unwrap_or_else(|| BROKEN.into());
        ApiError::new(ErrorCode::Failed, format!("the server stops and has to be started again: {why}"))
    }
}

/// What tenants count: by the configuration, and where it does not say so by their tokens.
fn weights_of_tenants(configured: &BTreeMap<String, f64>, auth: &Auth) -> BTreeMap<String, f64> {
    let mut weights = configured.clone();
    for (tenant, weight) in auth.weights() {
        weights.entry(tenant.to_string()).or_insert(weight);
    }
    weights
}

/// Does on a thread of its own what would keep other requests waiting.
pub(super) async fn blocking<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || work(app.service()?));
    done.await.unwrap_or_else(|error| Err(ApiError::new(ErrorCode::Internal, error.to_string())))
}
