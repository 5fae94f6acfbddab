//! A profile that fits this machine: the shipped one, or one made here and now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mosel_core::Profile;
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Part, assets::Assets, profiler, zoo};

/// A profile may be this far off (either way) before the model is measured anew.
const PROFILE_FITS: f64 = 1.25;

/// The shipped profile, if this machine is about as fast as the one it was measured on; else a new one.
pub(crate) fn fitting_profile(task: Task, assets: &Assets) -> Result<(Arc<Profile>, PathBuf)> {
    let shipped = task.profile()?;
    let examples = task.examples(assets, Part::Profile)?;
    let mut model = zoo::load(task.name(), DeviceChoice::Auto)?;
    let fit = profiler::fits_here(model.as_mut(), &shipped, &examples)?;
    if fit.is_within(PROFILE_FITS) {
        println!("The shipped profile fits this machine: a batch takes {:.2} of the time it says.", fit.ratio());
        return Ok((Arc::new(shipped.to_core()?), task.profile_path()));
    }
    println!("A batch takes {:.2} of the time the shipped profile says, so the model is measured anew.", fit.ratio());
    let settings = profiler::Settings { time_per_point: Duration::from_millis(500), ..Default::default() };
    drop(model);
    let measured = crate::profile::measure(task, DeviceChoice::Auto, &settings)?;
    let path = std::env::temp_dir().join(format!("mosel-demo-{task}-{}.json", std::process::id()));
    measured.write(&path)?;
    Ok((Arc::new(measured.to_core()?), path))
}
