//! Takes models in while the server runs, and lets them go.
//!
//! A model is built on the thread of whoever asks, one lane after another, and handed to the device threads whole: no lane
//! waits for it. Only then does the scheduler learn of it, and then clients.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use mosel_core::{LaneId, Mode, ModelId};
use mosel_models::DeviceChoice;

use crate::config::{self, Config};
use crate::driver::Driver;
use crate::lane::{LaneEnd, LaneHandle, LoadedModel};
use crate::lane_devices::LaneDevices;
use crate::model_build::{self, Build};
use crate::model_registry::ModelRegistry;
use crate::served::{self, ModelSource, ServedModel};
use crate::supervisor::Supervisor;

/// Takes models in, and lets them go.
pub(crate) struct ModelLoader {
    models: config::Models,
    max_requests: u32,
    most_variants: u32,
    devices: LaneDevices,
    lanes: Vec<LaneHandle>,
    driver: Arc<Driver>,
    model_registry: Arc<ModelRegistry>,
    supervisor: Arc<Supervisor>,
    /// Held while a model comes or goes.
    busy: Mutex<()>,
}

/// Why a model was not taken in, or not let go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// One of this name is served.
    #[error("the model {0} is served already")]
    Served(String),
    /// None of this name is served.
    #[error("expected one of the models {known}, got {name:?}")]
    Unknown {
        /// Those that are served.
        known: String,
        /// What came.
        name: String,
    },
    /// The last one is not let go: a server without models serves nobody.
    #[error("{0} is the only model that is served")]
    Last(String),
    /// Ids are not used again, and there are so many.
    #[error("this server has loaded {0} models since it was started, which is all that it may: start it again")]
    TooMany(u32),
    /// It cannot be served.
    #[error("{0}")]
    Unfit(String),
}

/// Models, counted once for every kind of device, that a server loads in its life at most: each keeps its menus for the
/// jobs that are looked at later.
const MOST_MEMBERS: u64 = 1024;
/// What the menus of one take in a policy's memory, generously: policies are told of every model there ever was.
const MENUS_BYTES: u64 = 1 << 20;

/// The models of a lane, as batches name them, how they are built, and how they are run.
type LaneBuilds = Vec<(ModelId, Build, Vec<Mode>)>;

impl ModelLoader {
    /// A loader for these lanes.
    pub(crate) fn new(
        config: &Config,
        devices: LaneDevices,
        lanes: Vec<LaneHandle>,
        driver: Arc<Driver>,
        model_registry: Arc<ModelRegistry>,
        supervisor: Arc<Supervisor>,
    ) -> ModelLoader {
        let (models, max_requests) = (config.models.clone(), config.queue.max_requests);
        // half of a policy's memory is left to the policy
        let most_variants = (config.policy.memory_bytes / 2 / MENUS_BYTES).clamp(1, MOST_MEMBERS) as u32;
        ModelLoader {
            models,
            max_requests,
            most_variants,
            devices,
            lanes,
            driver,
            model_registry,
            supervisor,
            busy: Mutex::default(),
        }
    }

    /// The names of the kinds of devices there are, by number.
    pub(crate) fn kinds(&self) -> &[String] {
        &self.devices.kinds
    }

    /// Serves another model of the zoo, or one that was added to this machine.
    pub(crate) fn load(&self, name: &str) -> Result<Arc<ServedModel>, LoadError> {
        let source = served::named(name, &self.models, &self.devices.kinds);
        self.take_in(source.map_err(unfit)?)
    }

    /// Serves this model. Returns when jobs for it are taken.
    pub(crate) fn take_in(&self, source: ModelSource) -> Result<Arc<ServedModel>, LoadError> {
        let _busy = self.busy();
        let models = self.model_registry.now();
        if models.find(&source.spec.name).is_some() {
            return Err(LoadError::Served(source.spec.name));
        }
        let first = models.all().map(|model| model.variants.len() as u32).sum::<u32>();
        if first + source.profiles.len() as u32 > self.most_variants {
            return Err(LoadError::TooMany(first));
        }
        let model = source.serve(ModelId(first), self.max_requests).map_err(unfit)?;
        self.build(&model).map_err(unfit)?;
        // known before the scheduler takes jobs for it, so that whoever looks at such a job finds it
        let variants = model.variants.clone();
        let served = self.model_registry.add(model);
        self.driver.load(variants);
        Ok(served)
    }

    /// Takes no new jobs for this model. Those that are here are served; then the device threads let it go.
    pub(crate) fn retire(&self, name: &str) -> Result<Arc<ServedModel>, LoadError> {
        let busy = self.busy();
        let models = self.model_registry.now();
        let model = models.find(name).ok_or_else(|| LoadError::Unknown { known: models.names(), name: name.into() })?;
        if models.served.len() == 1 {
            return Err(LoadError::Last(name.into()));
        }
        self.driver.retire(model.id);
        self.model_registry.retire(model.id);
        drop(busy);
        self.let_go_when_idle(model);
        Ok(model.clone())
    }

    /// Gives the lane to another thread: its device, where its work comes from, and the models it is to build. Whatever is
    /// taken in from here on comes to it, too.
    pub(crate) fn take_over(&self, lane: LaneId) -> (DeviceChoice, LaneEnd, LaneBuilds) {
        let _busy = self.busy();
        let end = self.lanes[lane.index()].renew();
        let kind = self.devices.kind(lane);
        let build = |model: &Arc<ServedModel>| {
            let variant = model.variants.iter().find(|variant| variant.kind() == kind)?;
            Some((variant.variant(), model.build.clone(), variant.profile().modes()))
        };
        let builds = self.model_registry.now().served.iter().filter_map(build).collect();
        (self.devices.by_lane[lane.index()], end, builds)
    }

    fn busy(&self) -> MutexGuard<'_, ()> {
        // it guards no state of its own
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self, model: &ServedModel) -> anyhow::Result<()> {
        let mut built = Vec::new();
        for ((lane, handle), &device) in (0..).zip(&self.lanes).zip(&self.devices.by_lane) {
            let variant = model.variants.iter().find(|variant| variant.kind() == self.devices.kind(LaneId(lane)));
            let Some(variant) = variant else { continue };
            let modes = variant.profile().modes();
            let network =
                model_build::build(&model.build, device, &modes).with_context(|| format!("for lane {lane}"))?;
            built.push((handle, variant.variant(), network, modes));
        }
        for (handle, id, network, modes) in built {
            handle.load(id, LoadedModel { model: network, build: model.build.clone(), modes });
        }
        Ok(())
    }

    fn let_go_when_idle(&self, model: &Arc<ServedModel>) {
        let (driver, lanes, model) = (Arc::downgrade(&self.driver), self.lanes.clone(), model.clone());
        let wait = move || {
            while let Some(driver) = driver.upgrade() {
                if !driver.has_jobs_of(model.id) {
                    model
                        .variants
                        .iter()
                        .for_each(|variant| lanes.iter().for_each(|lane| lane.unload(variant.variant())));
                    return;
                }
                drop(driver);
                std::thread::sleep(PACE);
            }
        };
        if let Err(error) = self.supervisor.spawn("unload", wait) {
            tracing::error!(%error, "the model stays in memory");
        }
    }
}

/// How often it is looked whether the last job of a model has ended.
const PACE: Duration = Duration::from_millis(50);

fn unfit(error: anyhow::Error) -> LoadError {
    LoadError::Unfit(format!("{error:#}"))
}
