//! The models that are served now, and those that were: models come and go while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use mosel_core::ModelId;

use crate::served::ServedModel;

/// Every model that is or was served. Readers never wait for a model that is being loaded.
#[derive(Default)]
pub(crate) struct ModelRegistry(RwLock<Arc<ModelSet>>);

/// The models at one moment.
#[derive(Clone, Default)]
pub(crate) struct ModelSet {
    /// Those that take jobs, in the order they came.
    pub(crate) served: Vec<Arc<ServedModel>>,
    /// Those that take none any more: jobs of theirs are still looked at.
    pub(crate) retired: Vec<Arc<ServedModel>>,
}

impl ModelRegistry {
    /// These are served from the start.
    pub(crate) fn new(served: Vec<ServedModel>) -> ModelRegistry {
        let served = served.into_iter().map(Arc::new).collect();
        ModelRegistry(RwLock::new(Arc::new(ModelSet { served, retired: Vec::new() })))
    }

    /// The models as they are now.
    pub(crate) fn now(&self) -> Arc<ModelSet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another model is served.
    pub(crate) fn add(&self, model: ServedModel) -> Arc<ServedModel> {
        let model = Arc::new(model);
        self.change(|models| models.served.push(model.clone()));
        model
    }

    /// This model takes no new jobs; it is told whether it was served.
    pub(crate) fn retire(&self, id: ModelId) -> bool {
        let mut retired = false;
        self.change(|models| {
            if let Some(at) = models.served.iter().position(|model| model.id == id) {
                models.retired.push(models.served.remove(at));
                retired = true;
            }
        });
        retired
    }

    fn change(&self, change: impl FnOnce(&mut ModelSet)) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
    }
}

impl ModelSet {
    /// The model of this name, if it takes jobs.
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<ServedModel>> {
        self.served.iter().find(|model| model.spec.name == name)
    }

    /// The model that jobs call by this id, whether it takes new ones or not.
    pub(crate) fn of(&self, id: ModelId) -> Option<&Arc<ServedModel>> {
        self.all().find(|model| model.id == id)
    }

    /// Those that take jobs, then those that take none any more.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.served.iter().chain(&self.retired)
    }

    /// Names of those that take jobs, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.served.iter().map(|model| model.spec.name.as_str()).collect();
        names.join(", ")
    }
}
