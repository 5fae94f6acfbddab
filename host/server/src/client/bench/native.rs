//! Shipped policies as native code, in this very program: what a sandbox costs is the difference.

use mosel_core::{Catalog, JobRow, Profile, Snapshot, Strategy, StrategyTable, Trigger};
use mosel_sdk::bindings::mosel::policy::types as wire;
use mosel_sdk::export::Running;
use mosel_sdk::test::host;
use mosel_sdk::{Decision, Policy, PolicyError};

/// A configured policy.
pub(super) trait Native {
    /// What its component would answer.
    fn decide(&mut self, queue: wire::Snapshot) -> Result<Decision, PolicyError>;
}

impl<P: Policy> Native for Running<P> {
    fn decide(&mut self, queue: wire::Snapshot) -> Result<Decision, PolicyError> {
        Running::decide(self, queue)
    }
}

/// Starts a policy with settings and a catalog.
pub(super) type Start = fn(&str, wire::Catalog) -> Result<Box<dyn Native>, PolicyError>;

/// The policies that this program has as native code too: one line each.
const NATIVES: &[(&str, Start)] = &[
    ("highest-accuracy", start::<policy_highest_accuracy::HighestAccuracy>),
    ("greedy", start::<policy_greedy::Greedy>),
    ("ilp", start::<policy_ilp::Ilp>),
    ("exact", start::<policy_exact::Exact>),
];

/// How to start the native form of a shipped policy, if there is one.
pub(super) fn of(policy: &str) -> Option<Start> {
    NATIVES.iter().find(|(name, _)| *name == policy).map(|(_, start)| *start)
}

/// Begins a call: the numbers that the policy draws, and its clock.
pub(super) fn begin(seed: u64, queue: &wire::Snapshot) {
    host::begin(seed, queue.sequence, queue.now, queue.budget);
}

fn start<P: Policy + 'static>(settings: &str, catalog: wire::Catalog) -> Result<Box<dyn Native>, PolicyError> {
    Ok(Box::new(Running::<P>::configure(settings, catalog)?))
}

/// The catalog as policies are sent it.
pub(super) fn catalog(catalog: &Catalog) -> wire::Catalog {
    let model = |(id, profile): &(mosel_core::ModelId, std::sync::Arc<Profile>)| model(id.0, profile);
    wire::Catalog {
        revision: catalog.revision,
        models: catalog.models.iter().map(model).collect(),
        tables: catalog.tables.iter().map(|sent| table(sent)).collect(),
    }
}

/// The queue as policies are sent it.
pub(super) fn queue(snapshot: &Snapshot) -> wire::Snapshot {
    wire::Snapshot {
        sequence: snapshot.plan.0,
        lane: snapshot.lane,
        trigger: match snapshot.trigger {
            Trigger::Violation => wire::Trigger::Violation,
            Trigger::Arrival => wire::Trigger::Arrival,
            Trigger::Completion => wire::Trigger::Completion,
            Trigger::Rehearsal => wire::Trigger::Rehearsal,
        },
        now: snapshot.now.micros(),
        start: snapshot.start.micros(),
        budget: micros(snapshot.budget),
        time_factor: snapshot.time_factor,
        catalog_revision: snapshot.catalog_revision,
        jobs: snapshot.jobs.iter().map(job).collect(),
    }
}

fn job(row: &JobRow) -> wire::Job {
    wire::Job {
        id: row.id.0,
        table: row.table.0,
        requests: row.requests,
        arrival: row.arrival.micros(),
        deadline: row.deadline.micros(),
        min_accuracy: row.min_accuracy,
        weight: row.weight,
        tenant: row.tenant.0,
        current: row.current,
        late: row.late,
    }
}

fn model(id: u32, profile: &Profile) -> wire::Model {
    let entry = |measurement: &mosel_core::Measurement| wire::ProfileEntry {
        modalities: measurement.modalities.bits(),
        batch_size: measurement.batch_size,
        latency: micros(measurement.latency.mean),
        accuracy: measurement.accuracy.mean(),
        memory_bytes: measurement.memory_bytes,
    };
    wire::Model {
        id,
        name: profile.model.clone(),
        modalities: profile.modalities.iter().map(|name| wire::Modality { name: name.clone() }).collect(),
        profile: profile.measurements.iter().map(entry).collect(),
    }
}

fn table(table: &StrategyTable) -> wire::StrategyTable {
    wire::StrategyTable {
        id: table.id.0,
        model: table.model.0,
        requests: table.requests,
        strategies: table.strategies.iter().map(strategy).collect(),
    }
}

fn strategy(strategy: &Strategy) -> wire::Strategy {
    let step = |step: &mosel_core::Step| wire::Step {
        modalities: step.modalities.bits(),
        batch_size: step.batch_size,
        batches: step.batches,
        requests: step.requests,
        batch_latency: micros(step.batch_latency),
    };
    wire::Strategy {
        latency: micros(strategy.latency),
        accuracy: strategy.accuracy,
        memory_bytes: strategy.memory_bytes,
        steps: strategy.steps.iter().map(step).collect(),
    }
}

/// Rounded up, as the sandbox does.
fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX)
}
