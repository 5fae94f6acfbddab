//! A profile that fits this machine: the shipped one, or one made here and now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use mosel_core::{Precision, Profile};
use mosel_models::installed::InstalledModel;
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Part, assets::Assets, backend, profiler};
use tempfile::TempPath;

/// A profile that may be served by on this machine, in full precision: what is shown and compared is what dropping
/// modalities does, and nothing else.
#[derive(Debug)]
pub(crate) struct Fitting {
    /// What was measured, in full precision.
    pub(crate) profile: Arc<Profile>,
    /// Where it is; a file that was made here is gone when this is dropped.
    pub(crate) file: PathBuf,
    _made_here: Option<TempPath>,
}

/// A profile may be this far off (either way) before the model is measured anew.
const PROFILE_FITS: f64 = 1.25;

impl Fitting {
    /// The shipped profile, if this machine is about as fast as the one it was measured on; else a new one. Which of the
    /// two it is is said before it takes its time.
    pub(crate) fn find(task: Task, assets: &Assets, say: impl FnOnce(&str)) -> Result<Fitting> {
        let shipped = task.profile()?.only(Precision::Fp32).context("a profile has the full precision")?;
        let examples = task.examples(assets, Part::Profile)?;
        let mut model = backend::load_zoo(task, DeviceChoice::Cpu)?;
        let fit = profiler::fits_here(model.as_mut(), &shipped, &examples)?;
        let ratio = fit.ratio();
        if fit.is_within(PROFILE_FITS) {
            say(&format!("The shipped profile fits this machine: a batch takes {ratio:.2} of the time it says."));
            let profile = Arc::new(shipped.to_core()?);
            return Ok(Fitting { profile, file: task.profile_path(), _made_here: None });
        }
        say(&format!("A batch takes {ratio:.2} of the time the shipped profile says, so the model is measured anew."));
        drop(model);
        Fitting::measure(task)
    }

    fn measure(task: Task) -> Result<Fitting> {
        let settings = profiler::Settings { time_per_point: Duration::from_millis(500), ..Default::default() };
        let measured = crate::profiling::measure(&InstalledModel::Zoo(task), DeviceChoice::Cpu, &settings)?;
        let made_here = tempfile::Builder::new().prefix("mosel-profile-").suffix(".json").tempfile();
        let made_here = made_here.context("making a file for the profile")?.into_temp_path();
        measured.write(&made_here)?;
        let profile = Arc::new(measured.to_core()?);
        Ok(Fitting { profile, file: made_here.to_path_buf(), _made_here: Some(made_here) })
    }
}
