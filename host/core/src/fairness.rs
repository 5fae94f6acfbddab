//! Fairness: what late jobs and tenants get of the lanes, as it is configured.

use std::collections::BTreeMap;

use crate::Tenant;

/// How lanes are shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Fairness {
    /// The share of a busy device that late jobs get, 0 to 0.5. With 0 they run only when nobody on time waits.
    pub late_share: f64,
    /// Tenants have shares of queue places and of device time.
    pub tenant_shares: bool,
    /// A tenant may hold so many times its weight as many places of a lane as are free there.
    pub place_factor: f64,
    /// What tenants count relative to one another, 0.01 to 100; 1 for those that are not named.
    pub weights: BTreeMap<Tenant, f64>,
}

impl Default for Fairness {
    fn default() -> Fairness {
        Fairness { late_share: 0.05, tenant_shares: true, place_factor: 9.0, weights: BTreeMap::new() }
    }
}

impl Fairness {
    /// No shares: whoever comes first is served first, and late jobs wait behind everybody. The rules of older journals.
    pub fn off() -> Fairness {
        Fairness { late_share: 0.0, tenant_shares: false, ..Fairness::default() }
    }

    /// What a tenant counts.
    pub fn weight(&self, tenant: Tenant) -> f64 {
        self.weights.get(&tenant).copied().unwrap_or(1.0)
    }

    /// With so many places free on a lane, a tenant that holds so many there may have one more. After Choudhury and Hahne,
    /// "Dynamic queue length thresholds for shared-memory packet switches" (1998): there is always room for somebody new.
    pub(crate) fn has_place(&self, tenant: Tenant, held: usize, free: usize) -> bool {
        free > 0 && (!self.tenant_shares || held == 0 || held as f64 <= self.most_places(tenant, free))
    }

    /// The most places that a tenant may hold before it asks for one more, with so many free.
    pub(crate) fn most_places(&self, tenant: Tenant, free: usize) -> f64 {
        self.place_factor * self.weight(tenant) * free as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Tenant = Tenant(1);

    /// Places that one tenant can fill alone, of so many.
    fn filled(fairness: &Fairness, places: usize) -> usize {
        (0..=places).find(|&held| !fairness.has_place(ALICE, held, places - held)).expect("a full lane has no place")
    }

    #[test]
    fn one_tenant_leaves_a_tenth_of_a_lane_to_others_and_a_short_lane_is_used_to_its_end() {
        let fairness = Fairness::default();
        assert_eq!([1, 2, 10, 100, 1024].map(|places| filled(&fairness, places)), [1, 2, 10, 91, 922]);
        assert_eq!([2, 1024].map(|places| filled(&Fairness::off(), places)), [2, 1024]);
    }

    #[test]
    fn weights_move_the_bound_and_everybody_may_have_one_place() {
        let weighing = |weight| Fairness { weights: [(ALICE, weight)].into(), ..Fairness::default() };
        assert_eq!([0.01, 0.1, 4.0].map(|weight| filled(&weighing(weight), 1000)), [83, 474, 973]);
        assert_eq!([0.01, 0.1].map(|weight| filled(&weighing(weight), 5)), [1, 3]);
        assert!(weighing(0.01).has_place(ALICE, 0, 1) && !weighing(0.01).has_place(ALICE, 0, 0));
    }
}
