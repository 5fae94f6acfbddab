//! Training: AdamW, one cycle of the learning rate, and modality dropout.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use anyhow::Result;
use mosel_core::ModalitySet;
use tch::nn::{OptimizerConfig, VarStore, adamw};
use tch::{Kind, Tensor};

use mosel_models::recipe::{Progress, Recipe};

/// Smallest share of the peak that the learning rate starts with, and ends below.
const START: f64 = 1.0 / 25.0;
const END: f64 = START / 1e4;
/// The share of the steps in which the rate rises.
const RISE: f64 = 0.3;
const LABEL_SMOOTHING: f64 = 0.05;
const WEIGHT_DECAY: f64 = 0.05;
const LARGEST_GRADIENT: f64 = 1.0;

/// Seeds libtorch's generator, which is one for the whole process: nobody else may draw until the guard is dropped.
pub(super) fn seeded(seed: u64) -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let guard = GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tch::manual_seed(seed as i64);
    guard
}

/// Moves the weights of `store` so that `logits(rows, modalities)` tell the labels of the rows.
///
/// With modality dropout every step sums the loss over all selections: that is what makes one network answer every
/// subset. Without it the network only ever sees all modalities.
pub(super) fn fit(
    store: &VarStore,
    labels: &Tensor,
    modalities: usize,
    recipe: &Recipe,
    logits: impl Fn(&Tensor, ModalitySet) -> Result<Tensor>,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let each = |rows: &Tensor, selections: &[ModalitySet]| {
        selections.iter().map(|&selection| logits(rows, selection)).collect()
    };
    fit_together(store, labels, modalities, recipe, each, progress)
}

/// The same for a network that answers several selections at once, `logits(rows, selections)`: what they have in common
/// is computed once a step.
pub(super) fn fit_together(
    store: &VarStore,
    labels: &Tensor,
    modalities: usize,
    recipe: &Recipe,
    logits: impl Fn(&Tensor, &[ModalitySet]) -> Result<Vec<Tensor>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let selections: Vec<ModalitySet> = match recipe.modality_dropout {
        true => ModalitySet::selections(modalities).collect(),
        false => vec![ModalitySet::all(modalities)],
    };
    let mut optimizer = adamw(0.9, 0.999, WEIGHT_DECAY).build(store, recipe.peak_rate * START)?;
    let count = labels.size1()?;
    let total = recipe.epochs * (count as usize).div_ceil(recipe.batch);
    let mut step = 0;
    for _ in 0..recipe.epochs {
        let order = Tensor::f_randperm(count, (Kind::Int64, labels.device()))?;
        for rows in order.f_split(recipe.batch as i64, 0)? {
            let targets = labels.f_index_select(0, &rows)?;
            let mut loss = Tensor::f_zeros([], (Kind::Float, labels.device()))?;
            for logits in logits(&rows, &selections)? {
                loss = loss.f_add(&smoothed_loss(&logits, &targets)?)?;
            }
            let loss = loss.f_div_scalar(selections.len() as f64)?;
            optimizer.set_lr(recipe.peak_rate * one_cycle(step as f64 / total.max(2) as f64));
            optimizer.backward_step_clip_norm(&loss, LARGEST_GRADIENT);
            step += 1;
            progress(Progress { stage: "training", done: step, total, loss: Some(loss.f_double_value(&[])?) });
        }
    }
    Ok(())
}

/// The trained weights by name.
pub(super) fn weights_of(store: &VarStore) -> BTreeMap<String, Tensor> {
    store.variables().into_iter().collect()
}

fn smoothed_loss(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    Ok(logits.f_cross_entropy_loss(targets, None::<Tensor>, tch::Reduction::Mean, -100, LABEL_SMOOTHING)?)
}

/// The learning rate's share of its peak after this share of the steps (Smith and Topin 2017): cosines up and down.
fn one_cycle(done: f64) -> f64 {
    let between = |from: f64, to: f64, way: f64| to + (from - to) * (1.0 + (std::f64::consts::PI * way).cos()) / 2.0;
    if done < RISE { between(START, 1.0, done / RISE) } else { between(1.0, END, (done - RISE) / (1.0 - RISE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_almost_nothing() {
        assert!((one_cycle(0.0) - START).abs() < 1e-9);
        assert!((one_cycle(RISE) - 1.0).abs() < 1e-9);
        assert!((one_cycle(1.0) - END).abs() < 1e-9);
        assert!(one_cycle(0.1) < one_cycle(0.2) && one_cycle(0.5) > one_cycle(0.8));
    }
}
