//! Shares: what a tenant may hold and be promised beside others, computed once more.

use std::time::Duration;

use mosel_core::{Config, Job, OverShare, Tenant, TenantDemand, Time, scale};

use super::invariant::{Breach, Invariant};
use super::queue::Queue;
use super::transition::Transition;

/// Who offered a job within this time is active, and demand is a mean over about as long.
const WINDOW: Duration = Duration::from_secs(10);
/// The most tenants that a lane remembers.
const MOST_TENANTS: usize = 1024;
/// Sums of floats in another order differ by no more than that.
const ROUNDING: Duration = Duration::from_micros(1);

/// Who is remembered is active or has just offered something, and there are not too many.
pub(super) fn check(transition: &Transition<'_>) -> Result<(), Breach> {
    let (config, now) = (transition.scheduler.config(), transition.now);
    let lanes = if config.fairness.tenant_shares { transition.after.lanes.len() } else { 0 };
    Invariant::Share.demand(transition.after.tenants.len() == lanes, || "not every lane has its tenants".into())?;
    for (before, after) in transition.before.tenants.iter().zip(&transition.after.tenants) {
        let bounded = after.len() <= MOST_TENANTS;
        let remembered = |&(tenant, demand): &(Tenant, TenantDemand)| {
            !is_active(&demand, now)
                || bounded && after.iter().any(|&(other, _)| other == tenant)
                || after.len() == MOST_TENANTS
        };
        Invariant::Share.demand(bounded && before.iter().all(remembered), || {
            format!("active tenants were forgotten: before {before:?}, after {after:?}")
        })?;
    }
    Ok(())
}

/// The tenant may have one more place on this lane.
pub(super) fn has_place(config: &Config, queue: &Queue<'_>, tenant: Tenant) -> bool {
    let free = config.max_jobs.saturating_sub(queue.jobs.len());
    let held = held(queue, tenant);
    let fairness = &config.fairness;
    let within = || held as f64 <= fairness.place_factor * fairness.weight(tenant) * free as f64;
    free > 0 && (!fairness.tenant_shares || held == 0 || within())
}

pub(super) fn held(queue: &Queue<'_>, tenant: Tenant) -> usize {
    queue.jobs.iter().filter(|waiting| waiting.entry.job.tenant == tenant).count()
}

/// The job, which takes so long, would be within its tenant's share of this lane if it were due then; `slack` is what
/// the bound is moved by.
pub(super) fn allows(
    transition: &Transition<'_>,
    lane: usize,
    queue: &Queue<'_>,
    claim: &Claim<'_>,
    slack: Slack,
) -> bool {
    let Claim { job, latency, deadline } = *claim;
    let config = transition.scheduler.config();
    let Some(demands) = transition.before.tenants.get(lane) else { return true };
    let deadlines = deadlines(queue, job.tenant);
    if deadlines.is_empty() {
        return true;
    }
    let own = scale(latency, queue.factor);
    let later = deadlines.into_iter().filter(|due| *due >= deadline);
    std::iter::once(deadline).chain(later).all(|until| {
        let promised = own + promised(queue, transition.now, job.tenant, until);
        let most = most(config, demands, transition.now, job.tenant, until.since(transition.now));
        most.is_none_or(|most| match slack {
            Slack::More => promised <= most + ROUNDING,
            Slack::Less => promised + ROUNDING <= most,
        })
    })
}

/// A job that may be promised time.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) job: &'a Job,
    /// On its fastest legal strategy.
    pub(super) latency: Duration,
    pub(super) deadline: Time,
}

/// Which way rounding counts.
#[derive(Clone, Copy)]
pub(super) enum Slack {
    /// What is within the bound up to rounding is within it.
    More,
    /// What is at the bound up to rounding is above it.
    Less,
}

/// What a refusal says of a share is possible.
pub(super) fn is_sound(transition: &Transition<'_>, job: &Job, of: OverShare) -> bool {
    let others = |demands: &Vec<(Tenant, TenantDemand)>| {
        demands.iter().any(|(tenant, demand)| *tenant != job.tenant && is_active(demand, transition.now))
    };
    match of {
        OverShare::Places { held, most } => transition.scheduler.config().fairness.tenant_shares && held > most,
        OverShare::DeviceTime { promised, most, share } => {
            promised > most && share > 0.0 && share < 1.0 && transition.before.tenants.iter().any(others)
        }
    }
}

/// The tenant's jobs due by then that can be on time, on their fastest strategies, and what is left of its batch.
fn promised(queue: &Queue<'_>, now: Time, tenant: Tenant, until: Time) -> Duration {
    let due = |job: &Job| job.tenant == tenant && job.deadline <= until;
    let work = queue.on_time().filter(|waiting| due(&waiting.entry.job)).map(|waiting| waiting.fastest).sum();
    let running = queue.state.running.and_then(|running| queue.find(running.batch.job));
    let left =
        running.filter(|waiting| !waiting.late && due(&waiting.entry.job)).map(|_| queue.free_at(now).since(now));
    scale(work, queue.factor) + left.unwrap_or_default()
}

fn deadlines(queue: &Queue<'_>, tenant: Tenant) -> Vec<Time> {
    queue
        .on_time()
        .map(|waiting| &waiting.entry.job)
        .filter(|job| job.tenant == tenant)
        .map(|job| job.deadline)
        .collect()
}

/// What others leave until then: all but their demand, two standard deviations of a Poisson stream of such jobs and one of
/// them more, and at least the share by weight.
fn most(
    config: &Config,
    demands: &[(Tenant, TenantDemand)],
    now: Time,
    tenant: Tenant,
    span: Duration,
) -> Option<Duration> {
    let weight = |tenant| config.fairness.weight(tenant);
    let others: Vec<&(Tenant, TenantDemand)> =
        demands.iter().filter(|(other, demand)| *other != tenant && is_active(demand, now)).collect();
    if others.is_empty() {
        return None;
    }
    let weights = weight(tenant) + others.iter().map(|(other, _)| weight(*other)).sum::<f64>();
    let asked = |demand: &TenantDemand| {
        let passed = now.since(demand.last).as_secs_f64();
        let kept = WINDOW.as_secs_f64() / (WINDOW.as_secs_f64() + passed);
        demand.work_s * kept / (demand.over_s * kept + passed)
    };
    let own = demands.iter().find(|(other, _)| *other == tenant);
    if own.is_some_and(|(_, demand)| asked(demand) <= weight(tenant) / weights) {
        return None;
    }
    let (mut rate, mut variance, mut largest) = (0.0, 0.0, 0.0_f64);
    for (other, demand) in others {
        let wanted = asked(demand).min(weight(*other) / weights);
        rate += wanted;
        variance += wanted * demand.largest_s;
        largest = largest.max(demand.largest_s);
    }
    let span = span.as_secs_f64();
    let left = span - rate * span - 2.0 * (variance * span).sqrt() - largest;
    Some(Duration::try_from_secs_f64(left.max(span * weight(tenant) / weights)).unwrap_or(Duration::MAX))
}

fn is_active(demand: &TenantDemand, now: Time) -> bool {
    now.since(demand.last) <= WINDOW
}
