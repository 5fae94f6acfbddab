//! Tenants on a lane: who has offered it work of late, how much, and what each may be promised of its time.
//!
//! While others are active, a tenant is promised at most what they leave: all the time until a deadline, less what they have
//! asked for of late with room for what comes by chance, and never less than its own share by weight. So nobody takes what
//! others need, and what they do not need is used.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Fairness, Tenant, Time};

/// The most tenants that a lane remembers; of more, those that were silent longest are forgotten.
const MOST_TENANTS: usize = 1024;
/// Who offered a job within this time is active; demand is a mean over about that time.
const WINDOW: Duration = Duration::from_secs(10);
/// Room for what comes by chance: so many standard deviations of what a Poisson stream of such jobs asks for.
const DEVIATIONS: f64 = 2.0;

/// What a tenant has offered a lane of late, in seconds of device time on the fastest strategies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TenantDemand {
    /// When it offered the last job.
    pub last: Time,
    /// What it offered; older jobs count less.
    pub work_s: f64,
    /// The time over which it offered that; older time counts less in the same way.
    pub over_s: f64,
    /// The largest of its jobs; older ones count less.
    pub largest_s: f64,
}

/// The tenants of a lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tenants {
    pub(crate) demands: BTreeMap<Tenant, TenantDemand>,
}

/// What others leave of a lane to a tenant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Room {
    /// The tenant's share by weight.
    pub(crate) share: f64,
    /// What others ask for, in seconds a second; nobody more than its share.
    rate: f64,
    /// The variance of that, in square seconds a second.
    variance: f64,
    /// The largest job of others, in seconds.
    largest: f64,
}

impl Tenants {
    /// A tenant offers a job that would take that long.
    pub(crate) fn offered(&mut self, now: Time, tenant: Tenant, work: Duration) {
        self.demands.retain(|_, demand| is_active(demand, now));
        if self.demands.len() >= MOST_TENANTS && !self.demands.contains_key(&tenant) {
            let silent = self.demands.iter().min_by_key(|(_, demand)| demand.last).map(|(&tenant, _)| tenant);
            silent.and_then(|tenant| self.demands.remove(&tenant));
        }
        let work = work.as_secs_f64();
        let new = TenantDemand { last: now, work_s: 0.0, over_s: 0.0, largest_s: 0.0 };
        let demand = self.demands.entry(tenant).or_insert(new);
        *demand = demand.aged(now);
        demand.work_s += work;
        demand.largest_s = demand.largest_s.max(work);
    }

    /// As plain facts.
    pub(crate) fn state(&self) -> Vec<(Tenant, TenantDemand)> {
        self.demands.iter().map(|(&tenant, &demand)| (tenant, demand)).collect()
    }

    /// The tenants of this state; `None` if it makes no sense.
    pub(crate) fn resume(state: &[(Tenant, TenantDemand)]) -> Option<Tenants> {
        let sound = |demand: &TenantDemand| {
            [demand.work_s, demand.over_s, demand.largest_s].into_iter().all(|number| (0.0..=1e12).contains(&number))
        };
        let is_sound = state.len() <= MOST_TENANTS && state.iter().all(|(_, demand)| sound(demand));
        is_sound.then(|| Tenants { demands: state.iter().copied().collect() })
    }

    /// What is left to a tenant that asks for more than its share while others are active; `None` if it is alone, or asks
    /// for no more: whatever comes at once then, over a longer time nobody loses by it.
    pub(crate) fn room(&self, now: Time, tenant: Tenant, fairness: &Fairness) -> Option<Room> {
        let others = || self.demands.iter().filter(|&(&other, demand)| other != tenant && is_active(demand, now));
        others().next()?;
        let weights = fairness.weight(tenant) + others().map(|(&other, _)| fairness.weight(other)).sum::<f64>();
        let share = fairness.weight(tenant) / weights;
        if self.demands.get(&tenant).is_some_and(|own| own.aged(now).rate() <= share) {
            return None;
        }
        let mut room = Room { share, rate: 0.0, variance: 0.0, largest: 0.0 };
        for (&other, demand) in others() {
            let rate = demand.aged(now).rate().min(fairness.weight(other) / weights);
            room.rate += rate;
            room.variance += rate * demand.largest_s;
            room.largest = room.largest.max(demand.largest_s);
        }
        Some(room)
    }
}

impl Room {
    /// The most time that the tenant may be promised until then.
    pub(crate) fn until(&self, deadline: Duration) -> Duration {
        let span = deadline.as_secs_f64();
        let others = self.rate * span + DEVIATIONS * (self.variance * span).sqrt() + self.largest;
        Duration::try_from_secs_f64((span - others).max(self.share * span)).unwrap_or(Duration::MAX)
    }
}

impl TenantDemand {
    /// As it counts now. Without an exponential, whose last digits depend on the machine.
    fn aged(&self, now: Time) -> TenantDemand {
        let passed = now.since(self.last).as_secs_f64();
        let kept = WINDOW.as_secs_f64() / (WINDOW.as_secs_f64() + passed);
        TenantDemand {
            last: now,
            work_s: self.work_s * kept,
            over_s: self.over_s * kept + passed,
            largest_s: self.largest_s * kept,
        }
    }

    /// Seconds of work a second; infinite where all was offered at once.
    fn rate(&self) -> f64 {
        self.work_s / self.over_s
    }
}

fn is_active(demand: &TenantDemand, now: Time) -> bool {
    now.since(demand.last) <= WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Tenant = Tenant(1);
    const BOB: Tenant = Tenant(2);
    const CAROL: Tenant = Tenant(3);
    const JOB: Duration = Duration::from_millis(20);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// Each of these offers a job every so many milliseconds, for 20 s.
    fn offering(every: &[(Tenant, u64)]) -> Tenants {
        let mut tenants = Tenants::default();
        for millis in 0..20_000 {
            for &(tenant, _) in every.iter().filter(|(_, every)| millis % every == 0) {
                tenants.offered(at(millis), tenant, JOB);
            }
        }
        tenants
    }

    /// The share of a second that is left to Alice.
    fn left(tenants: &Tenants, fairness: &Fairness) -> Option<f64> {
        let room = tenants.room(at(20_000), ALICE, fairness)?;
        Some((room.until(Duration::from_secs(1)).as_secs_f64() * 100.0).round() / 100.0)
    }

    #[test]
    fn who_is_alone_has_no_bound_and_who_is_not_keeps_its_share() {
        let fairness = Fairness::default();
        assert_eq!(left(&offering(&[(ALICE, 5)]), &fairness), None);
        assert_eq!(left(&offering(&[(ALICE, 5), (BOB, 10)]), &fairness), Some(0.5));
        assert_eq!(left(&offering(&[(ALICE, 5), (BOB, 10), (CAROL, 10)]), &fairness), Some(0.33));
        let weighted = Fairness { weights: [(ALICE, 3.0)].into(), ..fairness };
        assert_eq!(left(&offering(&[(ALICE, 5), (BOB, 10)]), &weighted), Some(0.75));
    }

    #[test]
    fn who_asks_for_no_more_than_its_share_has_no_bound() {
        assert_eq!(left(&offering(&[(ALICE, 45), (BOB, 5)]), &Fairness::default()), None);
        assert_eq!(left(&offering(&[(ALICE, 38), (BOB, 5)]), &Fairness::default()), Some(0.5));
    }

    #[test]
    fn what_others_do_not_ask_for_is_left() {
        // 0.1 of the device, two deviations of 2.2 jobs a second, and one job
        assert_eq!(left(&offering(&[(ALICE, 5), (BOB, 200)]), &Fairness::default()), Some(0.79));
        assert_eq!(left(&offering(&[(ALICE, 5), (BOB, 9_000)]), &Fairness::default()), Some(0.96));
    }

    #[test]
    fn who_was_silent_for_ten_seconds_has_no_share() {
        let mut tenants = Tenants::default();
        tenants.offered(at(0), BOB, JOB);
        assert!(tenants.room(at(10_000), ALICE, &Fairness::default()).is_some());
        assert!(tenants.room(at(10_001), ALICE, &Fairness::default()).is_none());
    }

    #[test]
    fn of_too_many_tenants_the_one_that_was_silent_longest_is_forgotten() {
        let mut tenants = Tenants::default();
        (0..=MOST_TENANTS as u64).for_each(|id| tenants.offered(at(id), Tenant(id), JOB));
        assert_eq!(tenants.demands.len(), MOST_TENANTS);
        assert!(!tenants.demands.contains_key(&Tenant(0)) && tenants.demands.contains_key(&Tenant(1)));
    }
}
