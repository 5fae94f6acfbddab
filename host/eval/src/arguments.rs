//! What several commands take: a workload, and a model by its name or profile.

use std::path::Path;

use anyhow::{Context, Result, bail};
use mosel_models::{ProfileFile, zoo::Task};
use mosel_sim::Workload;
use mosel_sim::workload::Rate;

/// The workload of the file, or the standard one, with what the command line says otherwise.
pub(crate) fn workload(file: Option<&Path>, load: Option<f64>, seconds: Option<f64>) -> Result<Workload> {
    let mut workload = match file {
        Some(path) => Workload::read(path).with_context(|| format!("reading the workload {}", path.display()))?,
        None => Workload::default(),
    };
    if let Some(load) = load {
        workload.arrivals.rate = Rate::Load(load);
    }
    if let Some(seconds) = seconds {
        workload.duration_s = seconds;
    }
    workload.check()?;
    Ok(workload)
}

/// The profile that a model of the zoo is shipped with, or the one in this file.
pub(crate) fn profile(model: &str) -> Result<ProfileFile> {
    if let Ok(task) = model.parse::<Task>() {
        return task.profile();
    }
    let path = Path::new(model);
    if !path.exists() {
        let zoo: Vec<&str> = mosel_models::zoo::ALL.iter().map(|task| task.name()).collect();
        bail!("expected a model of the zoo ({}) or a profile's file, got {model:?}", zoo.join(", "));
    }
    ProfileFile::read(path)
}
