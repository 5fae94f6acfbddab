//! Training a model of the zoo, and what came of it.

use anyhow::Result;
use mosel_core::{ModalitySet, Mode};

use crate::assets::Assets;
use crate::backend;
use crate::profiler::{self, Score};
use crate::recipe::{Progress, Recipe};
use crate::zoo::Task;
use crate::{Model, Part};

/// Trains on the training part and returns a weight file. Computes on one thread of the CPU.
pub fn train(recipe: &Recipe, assets: &Assets, progress: &mut dyn FnMut(Progress)) -> Result<Vec<u8>> {
    let examples = recipe.task.examples(assets, Part::Train)?;
    backend::installed()?.train(recipe, assets, &examples, progress)
}

/// How often a model is right on everything that was held out, both halves, for every selection in full precision.
pub fn scores(model: &mut dyn Model, task: Task, assets: &Assets) -> Result<Vec<Score>> {
    let mut examples = task.examples(assets, Part::Profile)?;
    examples.extend(task.examples(assets, Part::Served)?);
    let selections = ModalitySet::selections(model.spec().modalities.len());
    selections.map(|selection| profiler::score(model, &examples, Mode::full(selection))).collect()
}
