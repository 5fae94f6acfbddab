//! The models a server serves: what each expects, what was measured about it, how a device thread builds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use mosel_core::{
    Accuracy, DeviceKind, Latency, Measurement, ModalitySet, Mode, ModelId, Precision, Profile, StrategyMatrix, TableId,
};
use mosel_models::installed::InstalledModels;
use mosel_models::zoo::Task;
use mosel_models::{InputKind, Modality, Model, Null, ProfileFile, Spec, Timed, backend};

use crate::config;
use crate::model_build::Build;

/// One served model.
#[derive(Clone)]
pub struct ServedModel {
    /// What jobs call it.
    pub id: ModelId,
    /// What it expects and answers.
    pub spec: Arc<Spec>,
    /// Every table of it on the first kind of device that has it; holds the profile.
    pub matrix: Arc<StrategyMatrix>,
    /// Its menus on every kind of device that has it, the first included.
    pub variants: Vec<Arc<StrategyMatrix>>,
    /// Builds it for a lane.
    pub build: Build,
}

impl ServedModel {
    /// The selection as text, with the model's names: `image+text`.
    pub(crate) fn label(&self, modalities: ModalitySet) -> String {
        modalities.label(&self.matrix.profile().modalities)
    }

    /// The profile behind a table of it.
    pub(crate) fn profile_of(&self, table: TableId) -> &Arc<Profile> {
        let variant = self.variants.iter().find(|variant| variant.owns(table));
        variant.unwrap_or(&self.matrix).profile()
    }
}

/// Loads what the configuration names; menus for jobs of up to `max_requests` requests are computed here.
pub fn load_models(models: &config::Models, kinds: &[String], max_requests: u32) -> anyhow::Result<Vec<ServedModel>> {
    let mut served: Vec<ServedModel> = Vec::new();
    let mut serve = |source: ModelSource| -> anyhow::Result<()> {
        let id = ModelId(served.iter().map(|model| model.variants.len() as u32).sum());
        let name = source.spec.name.clone();
        ensure!(served.iter().all(|model| model.spec.name != name), "the model {name} is to be served twice");
        served.push(source.serve(id, max_requests).with_context(|| format!("preparing the model {name}"))?);
        Ok(())
    };
    for name in models.profiles.keys() {
        ensure!(models.zoo.contains(name), "models.profiles names {name}, which is not among models.zoo");
    }
    for name in &models.zoo {
        serve(named(name, models, kinds)?)?;
    }
    for path in &models.timed {
        serve(timed(path, models)?.on_all(kinds))?;
    }
    if models.null {
        serve(null().on_all(kinds))?;
    }
    ensure!(!served.is_empty(), "expected at least one model: models.zoo, models.timed or models.null");
    Ok(served)
}

/// A model by its name: of the zoo, or one that was added to this machine.
pub(crate) fn named(name: &str, models: &config::Models, kinds: &[String]) -> anyhow::Result<ModelSource> {
    of_this_machine(name, models, kinds)
}

/// A model before it has a place and menus.
pub struct ModelSource {
    /// What it expects and answers.
    pub spec: Spec,
    /// What was measured about it, by kind of device: kind 0 first.
    pub profiles: Vec<Profile>,
    /// Builds it.
    pub build: Build,
}

impl ModelSource {
    /// Gives the model its place, which is `first` and those after it, and computes its menus.
    pub fn serve(self, first: ModelId, max_requests: u32) -> anyhow::Result<ServedModel> {
        let variant = |(kind, profile): (u32, Profile)| -> anyhow::Result<Arc<StrategyMatrix>> {
            let matrix = StrategyMatrix::new(ModelId(first.0 + kind), Arc::new(profile), max_requests)?;
            Ok(Arc::new(matrix.on(first, DeviceKind(kind))))
        };
        let variants = (0..).zip(self.profiles).map(variant).collect::<anyhow::Result<Vec<_>>>()?;
        let matrix = variants.first().context("expected a profile for at least one kind of device")?.clone();
        Ok(ServedModel { id: first, spec: Arc::new(self.spec), matrix, variants, build: self.build })
    }

    /// A model that takes the time its profile says, times `factor`.
    pub fn timed(spec: Spec, profile: Profile, factor: f64) -> ModelSource {
        let (model_spec, model_profile) = (spec.clone(), profile.clone());
        let build =
            move |_| Ok(Box::new(Timed::new(model_spec.clone(), model_profile.clone(), factor)?) as Box<dyn Model>);
        ModelSource { spec, profiles: vec![profile], build: Arc::new(build) }
    }

    /// The same times on every kind of device.
    fn on_all(mut self, kinds: &[String]) -> ModelSource {
        let profile = self.profiles[0].clone();
        self.profiles.resize(kinds.len().max(1), profile);
        self
    }
}

/// The measurements that may be used: in the precisions that the configuration allows.
fn allowed(profile: &Profile, precisions: &[Precision]) -> anyhow::Result<Profile> {
    let allowed = profile.only(precisions);
    let names = || precisions.iter().map(|precision| precision.name()).collect::<Vec<_>>().join(", ");
    ensure!(
        !allowed.measurements.is_empty(),
        "the profile of {} has nothing in {}: measure it with `mosel profile --precision`",
        profile.model,
        names()
    );
    Ok(allowed)
}

/// A model of this machine, with its profile for every kind of device.
fn of_this_machine(name: &str, models: &config::Models, kinds: &[String]) -> anyhow::Result<ModelSource> {
    let known = InstalledModels::standard().find(name)?;
    backend::installed().with_context(|| format!("serving {name} (--timed PROFILE.json serves its times alone)"))?;
    let spec = known.spec()?;
    let precisions = models.precisions()?;
    let named = models.profiles.get(name).map(PathBuf::as_path);
    ensure!(
        named.is_none() || kinds.len() == 1,
        "models.profiles gives {name} one profile, and the lanes have devices of the kinds {}",
        kinds.join(", ")
    );
    let profile = |kind: &String| {
        let file = named.map_or_else(|| known.profile_on(kind), ProfileFile::read)?;
        file.check_model(&spec)?;
        allowed(&file.to_core()?, &precisions)
    };
    let profiles = kinds.iter().map(profile).collect::<anyhow::Result<Vec<Profile>>>()?;
    let build = move |device| known.load(device);
    Ok(ModelSource { spec, profiles, build: Arc::new(build) })
}

fn timed(path: &Path, models: &config::Models) -> anyhow::Result<ModelSource> {
    let file = ProfileFile::read(path)?;
    let zoo_spec = file.model.parse::<Task>().ok().and_then(|task| task.spec().ok());
    let spec = zoo_spec.filter(|spec| spec.modality_names() == file.modalities).unwrap_or_else(|| guessed_spec(&file));
    let profile = allowed(&file.to_core()?, &models.precisions()?)?;
    Ok(ModelSource::timed(spec, profile, models.timed_factor))
}

/// A profile does not say what its inputs look like: `image` is a picture, `audio` a second of sound, all else text.
fn guessed_spec(file: &ProfileFile) -> Spec {
    let modality = |name: &String| match name.as_str() {
        "image" => Modality::new(name, InputKind::Picture { max_side: 4096, raw: Vec::new() }),
        "audio" => Modality::new(name, InputKind::Sound { hertz: 16_000, samples: 16_000 }),
        _ => Modality::new(name, InputKind::Text { max_bytes: 1 << 16 }),
    };
    Spec {
        name: file.model.clone(),
        modalities: file.modalities.iter().map(modality).collect(),
        labels: vec!["none".into()].into(),
        weights_sha256: file.weights_sha256.clone(),
    }
}

/// One modality, one label, no time at all: what remains is the server.
fn null() -> ModelSource {
    let spec = Spec {
        name: "null".into(),
        modalities: vec![Modality::new("text", InputKind::Text { max_bytes: 1 << 16 })],
        labels: vec!["none".into()].into(),
        weights_sha256: String::new(),
    };
    let measurement = |batch_size| Measurement {
        mode: Mode::full(ModalitySet::all(1)),
        batch_size,
        latency: Latency::exactly(Duration::from_micros(10)),
        accuracy: Accuracy { correct: 1, samples: 1 },
        memory_bytes: 0,
    };
    let profile = Profile {
        id: "null".into(),
        model: "null".into(),
        modalities: vec!["text".into()],
        measurements: [1, 64, 256].map(measurement).into(),
    };
    let build_spec = spec.clone();
    let build = move |_| Ok(Box::new(Null::new(build_spec.clone())) as Box<dyn Model>);
    ModelSource { spec, profiles: vec![profile], build: Arc::new(build) }
}
