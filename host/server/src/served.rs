//! The models a server serves: what each expects, what was measured about it, how a device thread builds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use mosel_core::{Accuracy, Latency, Measurement, ModalitySet, Mode, ModelId, Profile, StrategyMatrix};
use mosel_models::zoo::Task;
use mosel_models::{InputKind, Modality, Model, Null, ProfileFile, Spec, Timed};

use crate::config;
use crate::device::Build;

/// One served model.
#[derive(Clone)]
pub struct Served {
    /// Its place among the served models.
    pub id: ModelId,
    /// What it expects and answers.
    pub spec: Arc<Spec>,
    /// Every menu of it; holds the profile.
    pub matrix: Arc<StrategyMatrix>,
    /// Builds it inside a device thread.
    pub build: Build,
}

impl Served {
    /// The selection as text, with the model's names: `image+text`.
    pub fn label(&self, modalities: ModalitySet) -> String {
        modalities.label(&self.matrix.profile().modalities)
    }
}

/// Loads what the configuration names; menus for jobs of up to `max_requests` requests are computed here.
pub fn load(models: &config::Models, max_requests: u32) -> anyhow::Result<Vec<Served>> {
    let mut served: Vec<Served> = Vec::new();
    let mut serve = |source: Source| -> anyhow::Result<()> {
        let id = ModelId(served.len() as u32);
        let name = source.spec.name.clone();
        ensure!(served.iter().all(|model| model.spec.name != name), "the model {name} is to be served twice");
        served.push(source.serve(id, max_requests).with_context(|| format!("preparing the model {name}"))?);
        Ok(())
    };
    for name in models.profiles.keys() {
        ensure!(models.zoo.contains(name), "models.profiles names {name}, which is not among models.zoo");
    }
    for name in &models.zoo {
        serve(from_zoo(name, models.profiles.get(name).map(PathBuf::as_path))?)?;
    }
    for path in &models.timed {
        serve(timed(path, models.timed_factor)?)?;
    }
    if models.null {
        serve(null())?;
    }
    ensure!(!served.is_empty(), "expected at least one model: models.zoo, models.timed or models.null");
    Ok(served)
}

/// A model before it has a place and menus.
pub struct Source {
    /// What it expects and answers.
    pub spec: Spec,
    /// What was measured about it.
    pub profile: Profile,
    /// Builds it.
    pub build: Build,
}

impl Source {
    /// Gives the model its place, and computes its menus.
    pub fn serve(self, id: ModelId, max_requests: u32) -> anyhow::Result<Served> {
        let matrix = StrategyMatrix::new(id, Arc::new(self.profile), max_requests)?;
        Ok(Served { id, spec: Arc::new(self.spec), matrix: Arc::new(matrix), build: self.build })
    }

    /// A model that takes the time its profile says, times `factor`.
    pub fn timed(spec: Spec, profile: Profile, factor: f64) -> Source {
        let (model_spec, model_profile) = (spec.clone(), profile.clone());
        let build =
            move || Ok(Box::new(Timed::new(model_spec.clone(), model_profile.clone(), factor)?) as Box<dyn Model>);
        Source { spec, profile, build: Arc::new(build) }
    }
}

#[cfg(feature = "torch")]
fn from_zoo(name: &str, profile: Option<&Path>) -> anyhow::Result<Source> {
    let task: Task = name.parse()?;
    let spec = task.spec()?;
    let file = profile.map_or_else(|| task.profile(), ProfileFile::read)?;
    file.check_model(&spec)?;
    let profile = file.to_core()?;
    let name = name.to_owned();
    let build = move || mosel_models::zoo::load(&name, mosel_models::DeviceChoice::Auto);
    Ok(Source { spec, profile, build: Arc::new(build) })
}

#[cfg(not(feature = "torch"))]
fn from_zoo(name: &str, _: Option<&Path>) -> anyhow::Result<Source> {
    anyhow::bail!("this build has no libtorch, so it cannot run {name}; --timed PROFILE.json serves its times alone")
}

fn timed(path: &Path, factor: f64) -> anyhow::Result<Source> {
    let file = ProfileFile::read(path)?;
    let zoo_spec = file.model.parse::<Task>().ok().and_then(|task| task.spec().ok());
    let spec = zoo_spec.filter(|spec| spec.modality_names() == file.modalities).unwrap_or_else(|| guessed_spec(&file));
    Ok(Source::timed(spec, file.to_core()?, factor))
}

/// A profile does not say what its inputs look like: `image` is a picture, everything else text.
fn guessed_spec(file: &ProfileFile) -> Spec {
    let modality = |name: &String| match name.as_str() {
        "image" => Modality::new(name, InputKind::Picture { max_side: 4096, raw: Vec::new() }),
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
fn null() -> Source {
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
    let build = move || Ok(Box::new(Null::new(build_spec.clone())) as Box<dyn Model>);
    Source { spec, profile, build: Arc::new(build) }
}
