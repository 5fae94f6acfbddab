//! Trains the joint part of the `emoji` model.

use anyhow::Result;
use mosel_models::assets::Assets;
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example};
use tch::Tensor;
use tch::nn::VarStore;

use super::kept_tokens::KeptTokens;
use super::shape;
use crate::fit::{fit, seeded, weights_of};
use crate::joint::Joint;
use crate::layers::Source;
use crate::{device, weights};

/// Trains the joint part and returns its weight file.
pub(crate) fn train(
    assets: &Assets,
    examples: &[Example],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::Emoji.spec_with("");
    let kept = KeptTokens::of(assets, &spec, examples, progress)?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let joint = Joint::new(&Source::Fresh(&store), &shape(&spec))?;
    let logits = |rows: &Tensor, selection| Ok(joint.logits(&kept.select(rows, selection)?, true)?);
    fit(&store, &Tensor::f_from_slice(&labels)?, spec.modalities.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}
