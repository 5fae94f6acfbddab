//! What the tower and the decoders make of the training clips, computed once and kept beside the assets.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use mosel_core::ModalitySet;
use tch::{Device, Kind, TchError, Tensor};

use super::{Decoded, Intake, PLACES, Tower, spectrograms};
use crate::kept::{decoded, key};
use crate::mobilenet;
use crate::spectrogram::{MELS, MOMENTS};
use crate::weights::{self, Weights};
use mosel_models::assets::Assets;
use mosel_models::files;
use mosel_models::recipe::Progress;
use mosel_models::{Example, Spec};

/// Tokens and spectrograms of all examples of the `doom-tvlt` model, in their order, as half-precision numbers.
pub(super) struct KeptClips {
    /// `[n, 96, 320]`.
    video: Tensor,
    /// `[n, 64, 96]`.
    audio: Tensor,
}

/// Changes when the code of the tower or of the decoders does: what older code computed is not used.
const VERSION: &str = "1";
const BATCH: usize = 8;

impl KeptClips {
    /// Those of these examples: read if they were computed before, else computed and kept.
    pub(super) fn of(
        assets: &Assets,
        spec: &Spec,
        examples: &[Example],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<KeptClips> {
        let inputs = examples.iter().flat_map(|example| example.request.inputs());
        let key = key(assets, VERSION, &[mobilenet::FILE], inputs)?;
        let path = assets.cache(&format!("{}-tokens-{key}.safetensors", spec.name));
        if path.exists() {
            return KeptClips::read(&path, examples.len() as i64);
        }
        let kept = compute(assets, spec, examples, progress)?;
        kept.write(&path, &spec.name).with_context(|| format!("keeping {}", path.display()))?;
        Ok(kept)
    }

    /// The frames' tokens of some rows.
    pub(super) fn video(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        self.video.f_index_select(0, rows)?.f_to_kind(Kind::Float)
    }

    /// The spectrograms of some rows.
    pub(super) fn spectrograms(&self, rows: &Tensor) -> Result<Tensor, TchError> {
        self.audio.f_index_select(0, rows)?.f_to_kind(Kind::Float)
    }

    fn read(path: &Path, count: i64) -> Result<KeptClips> {
        let weights = Weights::read(path, Device::Cpu)?;
        Ok(KeptClips {
            video: weights.stored("video", &[count, PLACES, mobilenet::WIDTH])?,
            audio: weights.stored("audio", &[count, MELS, MOMENTS])?,
        })
    }

    fn write(&self, path: &Path, model: &str) -> Result<()> {
        let tensors = [("video", &self.video), ("audio", &self.audio)];
        let tensors: BTreeMap<String, Tensor> =
            tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).into();
        files::write_whole(path, &weights::write(&tensors, &format!("tokens of the {model} training clips"))?)
    }
}

fn compute(
    assets: &Assets,
    spec: &Spec,
    examples: &[Example],
    progress: &mut dyn FnMut(Progress),
) -> Result<KeptClips> {
    let _no_grad = tch::no_grad_guard();
    let tower = Tower::new(&mobilenet::weights(assets, Device::Cpu)?, Kind::Float)?;
    let intake = Intake::new(Device::Cpu)?;
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for (number, chunk) in examples.chunks(BATCH).enumerate() {
        progress(Progress { stage: "towers", done: number * BATCH, total: examples.len(), loss: None });
        let both = ModalitySet::all(2);
        let clips: Vec<Decoded> =
            chunk.iter().map(|example| decoded(&intake, spec, example, both)).collect::<Result<_>>()?;
        let clips: Vec<&Decoded> = clips.iter().collect();
        let tokens = tower.video(&clips, Device::Cpu)?.context("every clip has frames")?;
        video.push(tokens.f_to_kind(Kind::Half)?);
        audio.push(spectrograms(&clips, Kind::Half, Device::Cpu)?.context("every clip has sound")?);
    }
    Ok(KeptClips { video: Tensor::f_cat(&video, 0)?, audio: Tensor::f_cat(&audio, 0)? })
}
