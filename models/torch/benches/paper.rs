//! How long the paper's networks take at their full size, on random weights: no checkpoint is needed to know that.
//!
//! `cargo bench -p mosel-torch --bench paper -- tvlt 1,8 fp32,bf16 cpu`

use std::time::Instant;

use anyhow::{Context, Result, bail};
use mosel_core::{ModalitySet, Precision};
use mosel_models::{Input, InputKind, Modality, Request};
use mosel_torch::paper::{self, Architecture};

/// Runs of a point; the median counts.
const RUNS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let argument = |place: usize, default: &str| arguments.get(place).map_or(default.to_owned(), Clone::clone);
    let architecture = match argument(0, "vilt").as_str() {
        "tvlt" => Architecture::Tvlt,
        "vilt" => Architecture::Vilt,
        "tbn" => Architecture::Tbn,
        other => bail!("expected tvlt, vilt or tbn, got {other}"),
    };
    let sizes = argument(1, "1,8");
    let sizes: Vec<usize> = sizes.split(',').map(str::parse).collect::<Result<_, _>>().context("batch sizes: 1,8")?;
    let precisions = argument(2, "fp32");
    let precisions: Vec<Precision> = precisions.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let mut model = paper::random(architecture, 7, argument(3, "cpu").parse()?)?;
    let spec = model.spec().clone();
    println!("{} on {}: made in {:.1} s", spec.name, model.device().name, begun.elapsed().as_secs_f64());
    let request = Request::new(spec.modalities.iter().map(input).collect());
    for &precision in &precisions {
        for selection in ModalitySet::selections(spec.modalities.len()) {
            for &size in &sizes {
                let batch = vec![&request; size];
                let mut run = || -> Result<f64> {
                    let begun = Instant::now();
                    model.forward(&batch, selection, precision)?.answers.into_iter().collect::<Result<Vec<_>, _>>()?;
                    Ok(begun.elapsed().as_secs_f64() * 1e3)
                };
                let mut took = (0..RUNS).map(|_| run()).collect::<Result<Vec<f64>>>()?;
                took.sort_by(f64::total_cmp);
                let label = selection.label(&spec.modality_names());
                println!(
                    "{precision} {label}, batch of {size}: {:.0} ms, {:.0} ms a request",
                    took[RUNS / 2],
                    took[RUNS / 2] / size as f64
                );
            }
        }
    }
    Ok(())
}

/// Numbers of the right kind and count; a text as long as it may be.
fn input(modality: &Modality) -> Input {
    let numbers = |count: usize, most: f32| {
        Input::Samples((0..count).map(|number| (number * 7919 % 251) as f32 / 250.0 * most).collect())
    };
    match &modality.kind {
        InputKind::Picture { raw, .. } | InputKind::Video { raw, .. } => numbers(raw.iter().product(), 255.0),
        InputKind::Samples { shape } => numbers(shape.iter().product(), 255.0),
        InputKind::Sound { samples, .. } => numbers(*samples, 1.0),
        InputKind::Text { .. } => Input::Text("what is the man in the red coat holding in his hands?".into()),
    }
}
