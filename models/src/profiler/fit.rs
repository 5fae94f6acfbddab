//! Whether a profile made elsewhere fits this machine.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::Settings;
use super::answers::Answers;
use crate::profile_file::BatchRecord;
use crate::{Example, Model, ProfileFile};

/// One point of a profile measured again.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// `image+text`
    pub selection: String,
    /// Requests in the batch.
    pub batch_size: u32,
    /// Median the profile says.
    pub profiled: Duration,
    /// Median of a few runs now.
    pub measured: Duration,
}

/// Whether a profile made elsewhere fits this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The points that were measured again.
    pub points: Vec<Recheck>,
}

/// Measures a few points of a profile again: a few seconds.
pub fn fits_here(model: &mut dyn Model, profile: &ProfileFile, examples: &[Example]) -> Result<Fit> {
    ensure!(!examples.is_empty(), "expected examples to measure on, got none");
    profile.check_model(model.spec())?;
    let names: Vec<String> = profile.modalities.clone();
    let mut points = Vec::new();
    for record in &profile.selections {
        let mode = record.mode(&names)?;
        let often: Vec<&BatchRecord> = record.batches.iter().filter(|batch| [1, 8].contains(&batch.size)).collect();
        let first = record.batches.first().filter(|_| often.is_empty());
        for batch in often.into_iter().chain(first) {
            let now = Answers::new(examples, mode).measure(model, batch.size, &Settings::quick())?;
            let Some(now) = now else {
                bail!("{} is out of memory at batch size {}, which the profile has", mode.label(&names), batch.size)
            };
            points.push(Recheck {
                selection: mode.label(&names),
                batch_size: batch.size,
                profiled: Duration::from_micros(batch.latency_us.median),
                measured: Duration::from_micros(now.latency_us.median),
            });
        }
    }
    if points.is_empty() {
        bail!("expected a profile with points to measure again, it has none")
    }
    Ok(Fit { points })
}

impl Recheck {
    /// Measured over profiled: above 1, this machine is slower.
    pub fn ratio(&self) -> f64 {
        self.measured.as_secs_f64() / self.profiled.as_secs_f64().max(1e-6)
    }
}

impl Fit {
    /// How a batch here compares with the profile: the median of the points. Above 1, this machine is slower.
    pub fn ratio(&self) -> f64 {
        let mut ratios: Vec<f64> = self.points.iter().map(Recheck::ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }

    /// No point is off by more than this factor in either direction.
    pub fn is_within(&self, factor: f64) -> bool {
        self.points.iter().all(|point| (1.0 / factor..=factor).contains(&point.ratio()))
    }

    /// The points keep their proportions, whatever the ratio: scaling the profile by it will do.
    pub fn is_proportional(&self, factor: f64) -> bool {
        let ratio = self.ratio();
        self.points.iter().all(|point| (ratio / factor..=ratio * factor).contains(&point.ratio()))
    }
}
