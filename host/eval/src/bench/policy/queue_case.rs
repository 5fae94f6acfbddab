//! A random queue that policies decide, and what an answer to it is worth.

use anyhow::{Context, Result};
use mosel_conformance::queues::{self, Pressure, Shape};
use mosel_core::{Catalog, Decision, DecisionId, Forecast, Plan, Snapshot};
use mosel_sandbox::{Engine, LoadedPolicy, RunningPolicy};

use super::args::{BUDGET, PolicyBenchArgs};

/// The policy whose bound others are measured by: ours that proves one.
pub(super) const BOUND: &str = "exact";
/// Its settings then: a bound on all plans, not only on those that keep a reserve.
const UNRESERVED: &str = r#"{"reserve": 0}"#;

/// How large the queues are.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) jobs: u32,
    pub(super) strategies: u32,
}

/// A queue, and what is known of it.
pub(super) struct QueueCase {
    pub(super) catalog: Catalog,
    pub(super) snapshot: Snapshot,
    /// No plan in this order is worth more.
    pub(super) bound: Option<f64>,
    /// Jobs that are late whatever is done.
    pub(super) lost: usize,
}

impl QueueCase {
    /// The queue of this number; its bound is proved by the policy that is given.
    pub(super) fn draw(
        args: &PolicyBenchArgs,
        size: Size,
        instance: u32,
        measured_by: Option<&LoadedPolicy>,
    ) -> Result<QueueCase> {
        let shape = Shape {
            jobs: size.jobs as usize,
            tables: args.tables as usize,
            strategies: size.strategies as usize,
            pressure: Pressure::Tight,
        };
        let (catalog, snapshot) = queues::random(args.seed.wrapping_add(u64::from(instance)), shape);
        let snapshot = Snapshot { decision: DecisionId(u64::from(instance) + 1), budget: BUDGET, ..snapshot };
        let lost = Forecast::with_fallback(&snapshot, &catalog).violators().count();
        let mut case = QueueCase { catalog, snapshot, bound: None, lost };
        if let Some(loaded) = measured_by {
            let mut policy = RunningPolicy::start(loaded.clone(), UNRESERVED, &case.catalog, args.seed)
                .with_context(|| format!("starting {BOUND}"))?;
            case.bound = policy.decide(&case.snapshot).answer.ok().and_then(|decision| decision.bound);
        }
        Ok(case)
    }
}

/// The policy that proves bounds, if it is shipped.
pub(super) fn measured_by(engine: &Engine) -> Result<Option<LoadedPolicy>> {
    let loaded = mosel_policies::shipped(BOUND).map(|bytes| engine.load(BOUND, bytes)).transpose();
    loaded.with_context(|| format!("loading {BOUND}"))
}

/// What an answer is worth.
pub(super) struct PlanQuality {
    /// Adopted whole.
    pub(super) feasible: bool,
    /// Jobs late under it that need not be.
    pub(super) late: usize,
    /// (bound - value) / bound by the bound that it proved, else by that of [`BOUND`].
    pub(super) gap: Option<f64>,
    /// The bound is its own.
    pub(super) own: bool,
}

impl PlanQuality {
    pub(super) fn of(case: &QueueCase, decision: &Decision) -> PlanQuality {
        let plan = Plan::check(&case.snapshot, &case.catalog, decision);
        let forecast = plan.and_then(|plan| Forecast::under(&case.snapshot, &case.catalog, &plan));
        let feasible = forecast.is_ok();
        let forecast = forecast.unwrap_or_else(|_| Forecast::as_it_is(&case.snapshot, &case.catalog));
        let late = forecast.violators().count().saturating_sub(case.lost);
        let gap = |bound: f64, value: f64| (bound != 0.0).then(|| (bound - value) / bound.abs());
        match (decision.objective, decision.bound) {
            (Some(objective), Some(bound)) => PlanQuality { feasible, late, gap: gap(bound, objective), own: true },
            // a plan that leaves jobs late is not one that the bound is of
            _ if late > 0 => PlanQuality { feasible, late, gap: None, own: false },
            _ => {
                let gap = case.bound.and_then(|bound| gap(bound, forecast.value(&case.catalog)));
                PlanQuality { feasible, late, gap, own: false }
            }
        }
    }
}
