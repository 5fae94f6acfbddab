//! Trains the convolutions and the joint part of the `doom-tvlt` model.

use anyhow::Result;
use mosel_core::ModalitySet;
use mosel_models::assets::Assets;
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example};
use tch::Tensor;
use tch::nn::VarStore;

use super::kept_clips::KeptClips;
use super::{AUDIO, Fusion, VIDEO};
use crate::fit::{fit, seeded, weights_of};
use crate::layers::Source;
use crate::{device, spectrogram, weights};

/// Trains what is not frozen and returns its weight file.
pub(crate) fn train(
    assets: &Assets,
    examples: &[Example],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::DoomTvlt.spec_with("");
    let kept = KeptClips::of(assets, &spec, examples, progress)?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let fusion = Fusion::new(&Source::Fresh(&store), spec.labels.len() as i64)?;
    let logits = |rows: &Tensor, selection: ModalitySet| {
        let video = selection.contains(VIDEO).then(|| kept.video(rows)).transpose()?;
        let sound = selection.contains(AUDIO).then(|| spectrogram::vary(&kept.spectrograms(rows)?)).transpose()?;
        Ok(fusion.logits(video, sound, true)?)
    };
    fit(&store, &Tensor::f_from_slice(&labels)?, spec.modalities.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}
