//! What the rest of a journal depends on: configuration and models.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accuracy, Config, DeviceKind, Fairness, Latency, Measurement, ModelId, OverdueLimits, Profile, StrategyMatrix,
    Tenant,
};
use serde::{Deserialize, Serialize};

use super::mode::ModeLine;
use super::nanos;
use super::number::Number;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConfigLine {
    lanes: u32,
    /// The kind of device of each lane; absent where all have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kinds: Vec<u32>,
    max_jobs: usize,
    policy_budget_ns: u64,
    margin: Number,
    /// Absent in journals of programs that had no shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fairness: Option<FairnessLine>,
    /// What follows is absent in version 1.
    #[serde(default)]
    overdue: Option<OverdueLine>,
    #[serde(default)]
    slow: Option<Number>,
    #[serde(default)]
    probe_interval_ns: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct OverdueLine {
    suspect_factor: Number,
    suspect_grace_ns: u64,
    lost_factor: Number,
    lost_grace_ns: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FairnessLine {
    late_share: Number,
    tenant_shares: bool,
    place_factor: Number,
    /// (tenant, weight)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weights: Vec<(u64, Number)>,
}

impl From<&Config> for ConfigLine {
    fn from(config: &Config) -> ConfigLine {
        ConfigLine {
            lanes: config.lanes,
            kinds: config.kinds.iter().map(|kind| kind.0).collect(),
            max_jobs: config.max_jobs,
            policy_budget_ns: nanos(config.policy_budget),
            margin: Number(config.margin),
            fairness: (config.fairness != Fairness::off()).then(|| (&config.fairness).into()),
            overdue: Some(OverdueLine {
                suspect_factor: Number(config.overdue.suspect_factor),
                suspect_grace_ns: nanos(config.overdue.suspect_grace),
                lost_factor: Number(config.overdue.lost_factor),
                lost_grace_ns: nanos(config.overdue.lost_grace),
            }),
            slow: Some(Number(config.slow)),
            probe_interval_ns: Some(nanos(config.probe_interval)),
        }
    }
}

impl ConfigLine {
    /// The configuration, if every value is one that a server could have.
    pub(crate) fn read(self) -> Result<Config, String> {
        let ConfigLine { lanes, kinds, max_jobs, policy_budget_ns, margin: Number(margin), .. } = self;
        let usual = Config::default();
        let overdue = self.overdue.map_or(usual.overdue, OverdueLimits::from);
        let slow = self.slow.map_or(usual.slow, |slow| slow.0);
        let probe_interval = self.probe_interval_ns.map_or(usual.probe_interval, Duration::from_nanos);
        let factors = [overdue.suspect_factor, overdue.lost_factor, slow];
        if !factors.iter().all(|factor| (0.0..=1e6).contains(factor)) || slow <= 1.0 {
            return Err(format!("expected factors of 0 to 1000000, of a slow device above 1, got {factors:?}"));
        }
        if !(1..=1024).contains(&lanes) || kinds.len() > 1024 || max_jobs == 0 || !(0.0..=100.0).contains(&margin) {
            return Err(format!(
                "expected 1 to 1024 lanes, at least 1 job a lane and a margin of 0 to 100, got {lanes}, {max_jobs} and {margin}"
            ));
        }
        let kinds = kinds.into_iter().map(DeviceKind).collect();
        let fairness = self.fairness.map_or(Ok(Fairness::off()), FairnessLine::read)?;
        let policy_budget = Duration::from_nanos(policy_budget_ns);
        Ok(Config { lanes, kinds, max_jobs, policy_budget, margin, fairness, overdue, slow, probe_interval })
    }
}

impl From<OverdueLine> for OverdueLimits {
    fn from(line: OverdueLine) -> OverdueLimits {
        OverdueLimits {
            suspect_factor: line.suspect_factor.0,
            suspect_grace: Duration::from_nanos(line.suspect_grace_ns),
            lost_factor: line.lost_factor.0,
            lost_grace: Duration::from_nanos(line.lost_grace_ns),
        }
    }
}

impl From<&Fairness> for FairnessLine {
    fn from(fairness: &Fairness) -> FairnessLine {
        FairnessLine {
            late_share: Number(fairness.late_share),
            tenant_shares: fairness.tenant_shares,
            place_factor: Number(fairness.place_factor),
            weights: weight_pairs(&fairness.weights),
        }
    }
}

impl FairnessLine {
    fn read(self) -> Result<Fairness, String> {
        let FairnessLine { late_share: Number(late_share), tenant_shares, place_factor: Number(place_factor), weights } =
            self;
        if !((0.0..=0.5).contains(&late_share) && place_factor > 0.0 && place_factor.is_finite()) {
            return Err(format!(
                "expected a late share of 0 to 0.5 and a place factor above 0, got {late_share} and {place_factor}"
            ));
        }
        Ok(Fairness { late_share, tenant_shares, place_factor, weights: read_weights(weights)? })
    }
}

/// Tenants with their weights, as numbers.
pub(super) fn weight_pairs(weights: &BTreeMap<Tenant, f64>) -> Vec<(u64, Number)> {
    weights.iter().map(|(tenant, &weight)| (tenant.0, Number(weight))).collect()
}

/// The weights, if each is a positive number.
pub(super) fn read_weights(pairs: Vec<(u64, Number)>) -> Result<BTreeMap<Tenant, f64>, String> {
    let read = |(tenant, Number(weight)): (u64, Number)| match weight > 0.0 && weight.is_finite() {
        true => Ok((Tenant(tenant), weight)),
        false => Err(format!("expected weights above 0, got {weight}")),
    };
    pairs.into_iter().map(read).collect()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ModelLine {
    name: String,
    /// The largest jobs that are served.
    max_requests: u32,
    profile_id: String,
    modalities: Vec<String>,
    measurements: Vec<MeasurementLine>,
    /// The model as jobs name it, and the kind of device; absent where it is its own and the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member_of: Option<(u32, u32)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct MeasurementLine {
    modalities: ModeLine,
    batch_size: u32,
    mean_ns: u64,
    median_ns: u64,
    p95_ns: u64,
    p99_ns: u64,
    correct: u32,
    samples: u32,
    memory_bytes: u64,
}

impl From<&StrategyMatrix> for ModelLine {
    fn from(matrix: &StrategyMatrix) -> ModelLine {
        let profile = matrix.profile();
        ModelLine {
            name: profile.model.clone(),
            max_requests: matrix.max_requests(),
            profile_id: profile.id.clone(),
            modalities: profile.modalities.clone(),
            measurements: profile.measurements.iter().map(MeasurementLine::from).collect(),
            member_of: variant_of(matrix),
        }
    }
}

/// A day: times of whole queues are added up.
const LONGEST_BATCH_NS: u64 = 86_400_000_000_000;
/// The largest jobs that a journal may be about: tables are computed when it is read.
const MOST_REQUESTS: u32 = 4096;

impl ModelLine {
    /// The strategies of the model, computed anew from its profile.
    pub(crate) fn read(self, id: ModelId) -> Result<Arc<StrategyMatrix>, String> {
        let ModelLine { name, max_requests, profile_id, modalities, measurements, member_of } = self;
        if !(1..=MOST_REQUESTS).contains(&max_requests) || modalities.len() > 32 || measurements.len() > 10_000 {
            return Err(format!(
                "model {name}: expected jobs of 1 to {MOST_REQUESTS} requests, at most 32 modalities and 10000 \
                 measurements, got {max_requests}, {} and {}",
                modalities.len(),
                measurements.len()
            ));
        }
        if let Some(longest) =
            measurements.iter().map(|m| m.mean_ns).max().filter(|longest| *longest > LONGEST_BATCH_NS)
        {
            return Err(format!("model {name}: expected batches of a day at most, got {longest} ns"));
        }
        let measurements = measurements.into_iter().map(Measurement::from).collect();
        let profile = Profile { id: profile_id, model: name, modalities, measurements };
        let name = profile.model.clone();
        let matrix = StrategyMatrix::new(id, Arc::new(profile), max_requests);
        let (model, kind) = member_of.map_or((id, 0), |(model, kind)| (ModelId(model), kind));
        matrix
            .map(|matrix| Arc::new(matrix.on(model, DeviceKind(kind))))
            .map_err(|error| format!("model {name}: {error}"))
    }
}

fn variant_of(matrix: &StrategyMatrix) -> Option<(u32, u32)> {
    let alone = matrix.model() == matrix.variant() && matrix.kind() == DeviceKind(0);
    (!alone).then(|| (matrix.model().0, matrix.kind().0))
}

impl From<&Measurement> for MeasurementLine {
    fn from(measurement: &Measurement) -> MeasurementLine {
        let Latency { mean, median, p95, p99 } = measurement.latency;
        MeasurementLine {
            modalities: ModeLine(measurement.mode),
            batch_size: measurement.batch_size,
            mean_ns: nanos(mean),
            median_ns: nanos(median),
            p95_ns: nanos(p95),
            p99_ns: nanos(p99),
            correct: measurement.accuracy.correct,
            samples: measurement.accuracy.samples,
            memory_bytes: measurement.memory_bytes,
        }
    }
}

impl From<MeasurementLine> for Measurement {
    fn from(line: MeasurementLine) -> Measurement {
        let [mean, median, p95, p99] =
            [line.mean_ns, line.median_ns, line.p95_ns, line.p99_ns].map(Duration::from_nanos);
        Measurement {
            mode: line.modalities.0,
            batch_size: line.batch_size,
            latency: Latency { mean, median, p95, p99 },
            accuracy: Accuracy { correct: line.correct, samples: line.samples },
            memory_bytes: line.memory_bytes,
        }
    }
}
