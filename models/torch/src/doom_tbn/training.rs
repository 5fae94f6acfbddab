//! Trains the streams of the `doom-tbn` model, and what fuses them.

use anyhow::{Context, Result};
use mosel_core::ModalitySet;
use mosel_models::assets::Assets;
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Spec};
use tch::nn::VarStore;
use tch::{Kind, TchError, Tensor};

use super::kept_frames::kept_frames;
use super::{AUDIO, Clips, Decoded, FLOW, Intake, STREAMS, Streams, flows, late, spectrograms};
use crate::fit::{fit_together, seeded, weights_of};
use crate::kept::decoded;
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
    let spec = Task::DoomTbn.spec_with("");
    let intake = Intake::new(device)?;
    let rgb = kept_frames(assets, &spec, &intake, examples, progress)?;
    let clips = Clips { rgb: Some(rgb), ..trained_clips(&spec, &intake, examples)? };
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let streams = Streams::new(&Source::Fresh(&store))?;
    let late = late(&Source::Fresh(&store), spec.labels.len() as i64)?;
    let logits = |rows: &Tensor, selections: &[ModalitySet]| {
        // the streams are by far the larger part: computed once for all selections
        let vectors = streams.vectors(&clips.varied(rows)?, true)?;
        selections.iter().map(|&selection| Ok(late.logits(&of(&vectors, selection), true)?)).collect()
    };
    fit_together(&store, &Tensor::f_from_slice(&labels)?, STREAMS.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

/// Flow and spectrograms of all examples, in half precision: they fit in memory, and the numbers in half precision.
fn trained_clips(spec: &Spec, intake: &Intake, examples: &[Example]) -> Result<Clips> {
    const CHUNK: usize = 64;
    let modalities = ModalitySet::from_bits(1 << FLOW | 1 << AUDIO);
    let (mut flow, mut audio) = (Vec::new(), Vec::new());
    for chunk in examples.chunks(CHUNK) {
        let clips: Vec<Decoded> =
            chunk.iter().map(|example| decoded(intake, spec, example, modalities)).collect::<Result<_>>()?;
        let clips: Vec<&Decoded> = clips.iter().collect();
        flow.push(flows(&clips, Kind::Half, intake.device)?.context("every clip has flow")?);
        audio.push(spectrograms(&clips, Kind::Half, intake.device)?.context("every clip has sound")?);
    }
    Ok(Clips { rgb: None, flow: Some(Tensor::f_cat(&flow, 0)?), audio: Some(Tensor::f_cat(&audio, 0)?) })
}

/// The vectors of the selected streams; `None` for the others.
fn of(vectors: &[Option<Tensor>], selection: ModalitySet) -> Vec<Option<Tensor>> {
    let select = |(index, vectors): (usize, &Option<Tensor>)| {
        vectors.as_ref().filter(|_| selection.contains(index)).map(Tensor::shallow_clone)
    };
    vectors.iter().enumerate().map(select).collect()
}

impl Clips {
    /// Some rows in full precision, the sounds as they might as well have been.
    fn varied(&self, rows: &Tensor) -> Result<Clips, TchError> {
        let rows_of = |clips: &Option<Tensor>| {
            clips.as_ref().map(|clips| clips.f_index_select(0, rows)?.f_to_kind(Kind::Float)).transpose()
        };
        let audio = rows_of(&self.audio)?.map(|audio| spectrogram::vary(&audio)).transpose()?;
        Ok(Clips { rgb: rows_of(&self.rgb)?, flow: rows_of(&self.flow)?, audio })
    }
}
