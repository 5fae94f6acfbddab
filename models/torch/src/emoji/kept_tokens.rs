//! What the towers make of the training examples, computed once and kept beside the assets.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use mosel_core::ModalitySet;
use tch::{Device, Kind, TchError, Tensor};

use super::{Intake, Towers};
use crate::batch::Tokens;
use crate::kept::{decoded, key};
use crate::minilm::{self, MAX_TOKENS};
use crate::mobilenet;
use crate::weights::{self, Weights};
use mosel_models::assets::Assets;
use mosel_models::files;
use mosel_models::recipe::Progress;
use mosel_models::{Example, Spec};

/// Tokens of all examples of the `emoji` model, in their order.
pub(super) struct KeptTokens {
    /// `[n, 16, 320]`.
    image: Tensor,
    /// `[n, 12, 384]`, zero where `present` is false.
    text: Tensor,
    /// `[n, 12]`.
    present: Tensor,
}

/// Changes when the towers' code does: what older code computed is not used.
const VERSION: &str = "1";
const BATCH: usize = 16;

impl KeptTokens {
    /// The tokens of these examples: read if they were computed before, else computed and kept.
    pub(super) fn of(
        assets: &Assets,
        spec: &Spec,
        examples: &[Example],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<KeptTokens> {
        let inputs = examples.iter().flat_map(|example| example.request.inputs());
        let key = key(assets, VERSION, &[mobilenet::FILE, minilm::FILE, minilm::TOKENIZER], inputs)?;
        let path = assets.cache(&format!("emoji-tokens-{key}.safetensors"));
        if path.exists() {
            return KeptTokens::read(&path, examples.len() as i64);
        }
        let tokens = compute(&Towers::new(assets, Device::Cpu)?, &Intake::new(assets)?, spec, examples, progress)?;
        tokens.write(&path).with_context(|| format!("keeping {}", path.display()))?;
        Ok(tokens)
    }

    /// The tokens of some rows, of the selected modalities only.
    pub(super) fn select(&self, rows: &Tensor, selected: ModalitySet) -> Result<Vec<Option<Tokens>>, TchError> {
        let rows_of = |tensor: &Tensor| tensor.f_index_select(0, rows);
        let image = || -> Result<Tokens, TchError> { Ok(Tokens { states: rows_of(&self.image)?, present: None }) };
        let text = || -> Result<Tokens, TchError> {
            Ok(Tokens { states: rows_of(&self.text)?, present: Some(rows_of(&self.present)?) })
        };
        Ok(vec![selected.contains(0).then(image).transpose()?, selected.contains(1).then(text).transpose()?])
    }

    fn read(path: &Path, count: i64) -> Result<KeptTokens> {
        let weights = Weights::read(path, Device::Cpu)?;
        let length = MAX_TOKENS as i64;
        Ok(KeptTokens {
            image: weights.get("image", &[count, mobilenet::CELLS, mobilenet::WIDTH])?,
            text: weights.get("text", &[count, length, minilm::WIDTH])?,
            present: weights.get("present", &[count, length])?.f_to_kind(Kind::Bool)?,
        })
    }

    fn write(&self, path: &Path) -> Result<()> {
        let tensors = [("image", &self.image), ("text", &self.text), ("present", &self.present)];
        let tensors: BTreeMap<String, Tensor> =
            tensors.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).into();
        files::write_whole(path, &weights::write(&tensors, "tokens of the emoji training examples")?)
    }
}

fn compute(
    towers: &Towers,
    intake: &Intake,
    spec: &Spec,
    examples: &[Example],
    progress: &mut dyn FnMut(Progress),
) -> Result<KeptTokens> {
    let _no_grad = tch::no_grad_guard();
    let (mut images, mut texts, mut present) = (Vec::new(), Vec::new(), Vec::new());
    for (number, chunk) in examples.chunks(BATCH).enumerate() {
        progress(Progress { stage: "towers", done: number * BATCH, total: examples.len(), loss: None });
        let all = ModalitySet::all(spec.modalities.len());
        let inputs = chunk.iter().map(|example| decoded(intake, spec, example, all)).collect::<Result<Vec<_>>>()?;
        let tokens = towers.tokens(&inputs.iter().collect::<Vec<_>>())?;
        let [image, text] = <[Option<Tokens>; 2]>::try_from(tokens).ok().context("two modalities")?;
        let (image, text) = (image.context("pictures")?, text.context("texts")?);
        images.push(image.states.f_contiguous()?);
        let (states, mask) = padded(&text)?;
        texts.push(states);
        present.push(mask);
    }
    Ok(KeptTokens {
        image: Tensor::f_cat(&images, 0)?,
        text: Tensor::f_cat(&texts, 0)?,
        present: Tensor::f_cat(&present, 0)?,
    })
}

/// Texts at full length, zero where there is no token, and which tokens there are.
fn padded(text: &Tokens) -> Result<(Tensor, Tensor), TchError> {
    let (count, length, _) = text.states.size3()?;
    let present = match &text.present {
        Some(present) => present.shallow_clone(),
        None => Tensor::f_ones([count, length], (Kind::Bool, Device::Cpu))?,
    };
    let missing = MAX_TOKENS as i64 - length;
    let states = text.states.f_mul(&present.f_unsqueeze(2)?)?.f_constant_pad_nd([0, 0, 0, missing])?;
    Ok((states, present.f_constant_pad_nd([0, missing])?))
}
