//! `mosel train`: makes the weights of a model of the zoo, and says how good they are on what was held out.

use std::path::PathBuf;

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use mosel_models::assets::Assets;
use mosel_models::profiler::Score;
use mosel_models::recipe::{Progress, Recipe};
use mosel_models::zoo::{self, Task};
use mosel_models::{DeviceChoice, backend, files, training};

/// Trains models of the zoo from their data.
#[derive(Debug, clap::Args)]
pub(crate) struct TrainArgs {
    /// Which; without any, all of the zoo
    models: Vec<Task>,
    /// What first weights and the order of examples are drawn with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the weights here instead of into the zoo (one model only)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Train a second time on all modalities only, to show what modality dropout does
    #[arg(long)]
    compare: bool,
}

/// `mosel train`.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let models = if args.models.is_empty() { zoo::ALL.to_vec() } else { args.models.clone() };
    anyhow::ensure!(
        args.out.is_none() || models.len() == 1,
        "--out takes the weights of one model, {} are named",
        models.len()
    );
    models.into_iter().try_for_each(|task| train(task, args).with_context(|| format!("training {task}")))
}

fn train(task: Task, args: &TrainArgs) -> Result<()> {
    let assets = Assets::standard();
    let recipe = Recipe { seed: args.seed, ..Recipe::shipped(task) };
    let path = args.out.clone().unwrap_or_else(|| task.weights_path());
    let dropout = make(&recipe, &assets, &path)?;
    let plain = match args.compare {
        true => {
            let path = std::env::temp_dir().join(format!("mosel-train-{task}-{}.safetensors", std::process::id()));
            let scores = make(&Recipe { modality_dropout: false, ..recipe }, &assets, &path);
            let _ = std::fs::remove_file(path);
            Some(scores?)
        }
        false => None,
    };
    println!("{task}: accuracy on everything held out, with 95 % Wilson intervals");
    println!("{}", table(task, &dropout, plain.as_deref())?);
    println!("weights: {}", path.display());
    Ok(())
}

/// Trains, writes the weights (renamed into place) and scores them.
fn make(recipe: &Recipe, assets: &Assets, path: &std::path::Path) -> Result<Vec<Score>> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{msg:9} {bar:40} {pos}/{len} {elapsed}")?);
    let weights = training::train(recipe, assets, &mut |Progress { stage, done, total, .. }| {
        bar.set_message(stage);
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    files::write_whole(path, &weights)?;
    let mut model = backend::installed()?.load_zoo(recipe.task, assets, path, DeviceChoice::Cpu)?;
    training::scores(model.as_mut(), recipe.task, assets)
}

fn table(task: Task, dropout: &[Score], plain: Option<&[Score]>) -> Result<Table> {
    let spec = task.spec()?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let header = ["modalities", "accuracy", "interval", "right / samples"].into_iter();
    table.set_header(header.chain(plain.map(|_| "without modality dropout")));
    for (row, score) in dropout.iter().enumerate() {
        let (low, high) = score.accuracy.interval();
        let cells = [
            score.mode.label(&spec.modality_names()),
            format!("{:.3}", score.accuracy.mean()),
            format!("{low:.3} to {high:.3}"),
            format!("{} / {}", score.accuracy.correct, score.accuracy.samples),
        ];
        table.add_row(cells.into_iter().chain(plain.map(|plain| format!("{:.3}", plain[row].accuracy.mean()))));
    }
    Ok(table)
}
