//! What the tower makes of the frames of the `doom-tbn` model's training clips, computed once and kept beside the assets.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use mosel_core::ModalitySet;
use tch::{Device, Kind, Tensor};

use super::{FEATURES, Intake, RGB, Tower};
use crate::kept::{decoded, key};
use crate::mobilenet;
use crate::weights::{self, Weights};
use mosel_models::assets::Assets;
use mosel_models::data::doom;
use mosel_models::files;
use mosel_models::recipe::Progress;
use mosel_models::{Example, Spec};

/// Changes when the tower's code does: what older code computed is not used.
const VERSION: &str = "1";
const BATCH: usize = 8;

/// The frames of these examples as `[n, 8, 640]` of half precision: read if they were computed before, else computed.
pub(super) fn kept_frames(
    assets: &Assets,
    spec: &Spec,
    intake: &Intake,
    examples: &[Example],
    progress: &mut dyn FnMut(Progress),
) -> Result<Tensor> {
    let inputs = examples.iter().map(|example| &example.request.inputs()[RGB]);
    let key = key(assets, VERSION, &[mobilenet::FILE], inputs)?;
    let path = assets.cache(&format!("doom-tbn-frames-{key}.safetensors"));
    if path.exists() {
        let shape = [examples.len() as i64, doom::FRAMES as i64, FEATURES];
        return Weights::read(&path, Device::Cpu)?.stored("rgb", &shape);
    }
    let frames = compute(
        &Tower::new(&mobilenet::weights(assets, Device::Cpu)?, Kind::Float)?,
        spec,
        intake,
        examples,
        progress,
    )?;
    let tensors = BTreeMap::from([("rgb".to_owned(), frames.shallow_clone())]);
    files::write_whole(&path, &weights::write(&tensors, "frames of the doom-tbn training clips")?)
        .with_context(|| format!("keeping {}", path.display()))?;
    Ok(frames)
}

fn compute(
    tower: &Tower,
    spec: &Spec,
    intake: &Intake,
    examples: &[Example],
    progress: &mut dyn FnMut(Progress),
) -> Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    let mut frames = Vec::new();
    for (number, chunk) in examples.chunks(BATCH).enumerate() {
        progress(Progress { stage: "towers", done: number * BATCH, total: examples.len(), loss: None });
        let rgb = ModalitySet::single(RGB);
        let clips = chunk.iter().map(|example| decoded(intake, spec, example, rgb)).collect::<Result<Vec<_>>>()?;
        let features = tower.frames(&clips.iter().collect::<Vec<_>>(), Device::Cpu)?;
        frames.push(features.context("every clip has frames")?.f_to_kind(Kind::Half)?);
    }
    Ok(Tensor::f_cat(&frames, 0)?)
}
