//! What things are called where a history is told.

use std::sync::Arc;

use mosel_core::{JobId, Mode, ModelId, Profile, StrategyMatrix};

/// What jobs, models and selections are called.
pub struct Naming {
    names: Box<dyn Fn(JobId) -> String + Send + Sync>,
    profiles: Vec<Arc<Profile>>,
}

impl Naming {
    /// Jobs are called by their numbers with this before it (`j-`), models and their modalities as their profiles say;
    /// `models[i]` is the matrix of `ModelId(i)`.
    pub fn new(prefix: &str, models: &[Arc<StrategyMatrix>]) -> Naming {
        let prefix = prefix.to_owned();
        Naming {
            names: Box::new(move |job| format!("{prefix}{job}")),
            profiles: models.iter().map(|matrix| matrix.profile().clone()).collect(),
        }
    }

    /// The same, with jobs called so.
    pub fn with_names(self, names: impl Fn(JobId) -> String + Send + Sync + 'static) -> Naming {
        Naming { names: Box::new(names), ..self }
    }

    /// The job's name.
    pub fn job(&self, job: JobId) -> String {
        (self.names)(job)
    }

    /// The model's name; its number if there is no such model.
    pub fn model(&self, model: ModelId) -> String {
        self.profile(model).map_or_else(|| format!("model #{}", model.0), |profile| profile.model.clone())
    }

    /// The mode, in the names of the model's modalities: `image+text`, `image+text@bf16`.
    pub fn selection(&self, model: ModelId, mode: Mode) -> String {
        mode.label(self.profile(model).map_or(&[], |profile| &profile.modalities))
    }

    fn profile(&self, model: ModelId) -> Option<&Profile> {
        self.profiles.get(model.0 as usize).map(Arc::as_ref)
    }
}
