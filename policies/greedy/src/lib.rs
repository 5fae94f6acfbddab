//! Moves random queued jobs to faster strategies until every deadline holds that can be held.
//!
//! The paper's fallback for when its integer program takes too long, with the rules it leaves open settled in README.md.

use mosel_sdk::{Catalog, Decision, Description, Micros, Policy, PolicyError, Quality, Snapshot, random_below};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct Greedy {
    settings: Settings,
}

/// What can be set.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Squeeze the first job that can be made faster, instead of a random one.
    pub deterministic: bool,
}

const SETTINGS_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "deterministic": {
      "type": "boolean",
      "default": false,
      "description": "Squeeze the first job that can be made faster, instead of a random one."
    }
  },
  "additionalProperties": false
}"#;

impl Policy for Greedy {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "Moves random queued jobs to faster strategies until every deadline holds";
        let description = Description::new("greedy", env!("CARGO_PKG_VERSION"), summary);
        Description { config_schema: SETTINGS_SCHEMA.into(), ..description }
    }

    fn configure(settings: Settings, _: &Catalog) -> Result<Greedy, PolicyError> {
        Ok(Greedy { settings })
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let Squeezed { chosen, all_saved } = squeeze(snapshot, self.settings);
        let quality = if all_saved { Quality::Heuristic } else { Quality::BestEffort };
        Ok(Decision::choosing(snapshot, &chosen, quality))
    }
}

#[cfg(feature = "component")]
mosel_sdk::export_policy!(Greedy);

/// The queue after a squeeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Squeezed {
    /// The strategy of every row.
    pub chosen: Vec<u32>,
    /// Every row is on time, but for those that were marked late.
    pub all_saved: bool,
}

/// Moves rows to faster strategies until every deadline holds that can be held. For policies that need a first answer, or
/// a last one; draws from [`mosel_sdk::random`].
pub fn squeeze(snapshot: &Snapshot, settings: Settings) -> Squeezed {
    let mut squeeze = Squeeze::new(snapshot);
    for row in 0..snapshot.jobs.len() {
        squeeze.admit(row);
        squeeze.save(row, settings);
    }
    Squeezed { chosen: squeeze.chosen, all_saved: squeeze.all_saved }
}

/// The queue up to some row, row by row from the front.
struct Squeeze<'a> {
    snapshot: &'a Snapshot,
    chosen: Vec<u32>,
    /// Rows so far that still have a faster legal strategy.
    squeezable: Vec<usize>,
    /// The rows so far take this long, by the profile.
    work: Micros,
    /// They would take this long if all were as fast as their floors allow.
    least_work: Micros,
    all_saved: bool,
}

impl Squeeze<'_> {
    fn new(snapshot: &Snapshot) -> Squeeze<'_> {
        Squeeze { snapshot, chosen: snapshot.chosen(), squeezable: Vec::new(), work: 0, least_work: 0, all_saved: true }
    }

    /// Takes the next row in.
    fn admit(&mut self, row: usize) {
        let current = self.chosen[row];
        let fastest = self.fastest(row);
        self.work += self.snapshot.latency(row, current);
        self.least_work += self.snapshot.latency(row, fastest);
        if fastest < current {
            self.squeezable.push(row);
        }
    }

    /// The fastest strategy a row may get; a late job is left alone.
    fn fastest(&self, row: usize) -> u32 {
        let current = self.chosen[row];
        if self.snapshot.jobs[row].late {
            return current;
        }
        self.snapshot.fastest_legal(row).map_or(current, |fastest| fastest.min(current))
    }

    /// Squeezes rows so far until the last of them meets its deadline; not at all if nothing could save it.
    fn save(&mut self, row: usize, settings: Settings) {
        let snapshot = self.snapshot;
        let job = &snapshot.jobs[row];
        if job.late || snapshot.end_of(self.work) <= job.deadline {
            return;
        }
        if snapshot.end_of(self.least_work) > job.deadline {
            self.all_saved = false;
            return;
        }
        while snapshot.end_of(self.work) > job.deadline {
            let place = if settings.deterministic { 0 } else { random_below(self.squeezable.len()) };
            self.squeeze(place);
        }
    }

    /// Moves a row that can be made faster one step.
    fn squeeze(&mut self, place: usize) {
        let row = self.squeezable[place];
        let (slower, faster) = (self.chosen[row], self.chosen[row] - 1);
        self.chosen[row] = faster;
        self.work -= self.snapshot.latency(row, slower) - self.snapshot.latency(row, faster);
        if self.snapshot.next_faster(row, faster).is_none() {
            self.squeezable.remove(place);
        }
    }
}

#[cfg(test)]
mod tests;
