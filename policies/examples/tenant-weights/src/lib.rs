//! An example with settings: the jobs of dear tenants are squeezed last.
//!
//! Squeezes the queue as far as its deadlines ask for, each time where the least is lost for the time that is gained, and
//! what a loss is worth depends on whose job it is.

use std::collections::BTreeMap;

use mosel_sdk::{Catalog, Decision, Description, Micros, Policy, PolicyError, Quality, Snapshot, tenant};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct TenantWeights {
    /// By [`Job::tenant`](mosel_sdk::Job).
    weights: BTreeMap<u64, f64>,
    default: f64,
}

/// What can be set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How much the accuracy of a tenant's jobs counts, by the tenant's name. Positive.
    pub weights: BTreeMap<String, f64>,
    /// The same for everybody else, and for jobs that are nobody's.
    pub default: f64,
}

/// The most tenants that can be named.
pub const MOST_TENANTS: usize = 1000;

impl Default for Settings {
    fn default() -> Settings {
        Settings { weights: BTreeMap::new(), default: 1.0 }
    }
}

const SETTINGS_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "weights": {
      "type": "object",
      "maxProperties": 1000,
      "propertyNames": { "minLength": 1 },
      "additionalProperties": { "type": "number", "exclusiveMinimum": 0 },
      "default": {},
      "description": "How much the accuracy of a tenant's jobs counts, by the tenant's name."
    },
    "default": {
      "type": "number",
      "exclusiveMinimum": 0,
      "default": 1,
      "description": "The same for everybody else, and for jobs that are nobody's."
    }
  },
  "additionalProperties": false
}"#;

impl Policy for TenantWeights {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "Squeezes the jobs of dear tenants last";
        let description = Description::new("tenant-weights", env!("CARGO_PKG_VERSION"), summary);
        Description { config_schema: SETTINGS_SCHEMA.into(), ..description }
    }

    fn configure(settings: Settings, _: &Catalog) -> Result<TenantWeights, PolicyError> {
        check(&settings).map_err(PolicyError::BadConfig)?;
        let weights = settings.weights.iter().map(|(name, &weight)| (tenant(name), weight)).collect();
        Ok(TenantWeights { weights, default: settings.default })
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let mut squeeze = Squeeze::new(snapshot, self.importances(snapshot));
        for row in 0..snapshot.jobs.len() {
            squeeze.admit(row);
            squeeze.save(row);
        }
        let quality = if squeeze.all_saved { Quality::Heuristic } else { Quality::BestEffort };
        Ok(Decision::choosing(snapshot, &squeeze.chosen, quality))
    }
}

mosel_sdk::export_policy!(TenantWeights);

fn check(settings: &Settings) -> Result<(), String> {
    let count = settings.weights.len();
    if count > MOST_TENANTS {
        return Err(format!("at most {MOST_TENANTS} tenants can have weights, not {count}"));
    }
    if settings.weights.contains_key("") {
        return Err("a tenant in weights has no name; jobs that are nobody's have the default".into());
    }
    let weights = settings.weights.iter().map(|(name, &weight)| (format!("the weight of {name:?}"), weight));
    for (whose, weight) in weights.chain([("default".into(), settings.default)]) {
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(format!("{whose} must be a positive number, not {weight}"));
        }
    }
    Ok(())
}

impl TenantWeights {
    /// What the accuracy of each row counts: its requests, its own weight, its tenant's.
    fn importances(&self, snapshot: &Snapshot) -> Vec<f64> {
        let weight = |tenant| self.weights.get(&tenant).copied().unwrap_or(self.default);
        snapshot.jobs.iter().map(|job| f64::from(job.requests) * job.weight * weight(job.tenant)).collect()
    }
}

/// The queue up to some row, row by row from the front.
struct Squeeze<'a> {
    snapshot: &'a Snapshot,
    importances: Vec<f64>,
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
    fn new(snapshot: &Snapshot, importances: Vec<f64>) -> Squeeze<'_> {
        let chosen = snapshot.chosen();
        Squeeze { snapshot, importances, chosen, squeezable: Vec::new(), work: 0, least_work: 0, all_saved: true }
    }

    /// Takes the next row in. A late job is left alone.
    fn admit(&mut self, row: usize) {
        let (job, current) = (&self.snapshot.jobs[row], self.chosen[row]);
        let fastest = self.snapshot.fastest_legal(row).filter(|&fastest| fastest < current && !job.late);
        self.work += self.snapshot.latency(row, current);
        self.least_work += self.snapshot.latency(row, fastest.unwrap_or(current));
        if fastest.is_some() {
            self.squeezable.push(row);
        }
    }

    /// Squeezes rows so far until the last of them meets its deadline; not at all if nothing could save it.
    fn save(&mut self, row: usize) {
        let (snapshot, job) = (self.snapshot, &self.snapshot.jobs[row]);
        if job.late || snapshot.end_of(self.work) <= job.deadline {
            return;
        }
        if snapshot.end_of(self.least_work) > job.deadline {
            self.all_saved = false;
            return;
        }
        while snapshot.end_of(self.work) > job.deadline {
            self.squeeze();
        }
    }

    /// Moves the row that loses the least for the time it gains one step.
    fn squeeze(&mut self) {
        let losses = self.squeezable.iter().map(|&row| self.loss(row)).enumerate();
        let cheapest = losses.min_by(|(_, one), (_, other)| one.total_cmp(other));
        let (place, _) = cheapest.expect("a job that can be saved is not, so some row before it can be faster");
        let row = self.squeezable[place];
        self.chosen[row] -= 1;
        self.work -= self.gain(row, self.chosen[row]);
        if self.snapshot.next_faster(row, self.chosen[row]).is_none() {
            self.squeezable.remove(place);
        }
    }

    /// What a row would lose with one step, for each microsecond it would gain.
    fn loss(&self, row: usize) -> f64 {
        let (table, faster) = (self.snapshot.strategies(row), self.chosen[row] as usize - 1);
        let lost = table[faster + 1].accuracy - table[faster].accuracy;
        self.importances[row] * lost / self.gain(row, faster as u32) as f64
    }

    /// The time between a strategy and the next slower one.
    fn gain(&self, row: usize, faster: u32) -> Micros {
        self.snapshot.latency(row, faster + 1) - self.snapshot.latency(row, faster)
    }
}

#[cfg(test)]
mod tests;
