//! Measuring a model while a person watches.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use mosel_models::assets::Assets;
use mosel_models::installed::InstalledModel;
use mosel_models::profiler::{self, Settings};
use mosel_models::{DeviceChoice, Part, ProfileFile};

/// Measures a model, with a progress bar.
pub fn measure(known: &InstalledModel, device: DeviceChoice, settings: &Settings) -> Result<ProfileFile> {
    let examples = known.examples(&Assets::standard(), Part::Profile)?;
    let mut model = known.load(device)?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {msg}")?);
    let measured = profiler::profile(model.as_mut(), &examples, &known.cut(), settings, &mut |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.next);
    })?;
    bar.finish_and_clear();
    Ok(measured)
}
