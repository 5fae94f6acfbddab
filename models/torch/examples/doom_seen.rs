//! How often `doom-tvlt` is right on the held-out clips, by whether the monster is ever in view, at two precisions.
//! Prints the second table of its card: `cargo run --release -p mosel-torch --example doom_seen`.

use anyhow::Result;
use mosel_core::{ModalitySet, Mode, Precision};
use mosel_models::assets::Assets;
use mosel_models::profiler::score;
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Example, Part, backend};

fn main() -> Result<()> {
    mosel_torch::install();
    let mut model = backend::load_zoo(Task::DoomTvlt, DeviceChoice::Cpu)?;
    let mut examples = Task::DoomTvlt.examples(&Assets::standard(), Part::Profile)?;
    examples.extend(Task::DoomTvlt.examples(&Assets::standard(), Part::Served)?);
    let (seen, unseen): (Vec<Example>, Vec<Example>) =
        examples.into_iter().partition(|example| example.name.ends_with(", seen"));
    println!("| modalities | precision | in view ({}) | never in view ({}) |", seen.len(), unseen.len());
    println!("|------------|-----------|--------------|--------------------|");
    for precision in [Precision::Fp32, Precision::Bf16] {
        for modalities in ModalitySet::selections(2) {
            let mode = Mode { modalities, precision };
            let mut right =
                |examples: &[Example]| Ok::<_, anyhow::Error>(score(model.as_mut(), examples, mode)?.accuracy.mean());
            let label = modalities.label(&["video", "audio"]);
            println!("| {label} | {precision} | {:.3} | {:.3} |", right(&seen)?, right(&unseen)?);
        }
    }
    Ok(())
}
