//! What is learned of a device's speed: how long its batches take beside what the profile says.
//!
//! Robust: a correction moves toward the median of the last few ratios only, so that one batch, however long or short it
//! was, moves it no further than the others reach. It forgets while the device is idle: what was learned before may be over.

use std::time::Duration;

use crate::Time;

/// So many ratios are remembered: of five, three have to agree.
pub(crate) const RECENT: usize = 5;
/// How much of the way to the median a batch moves the correction.
const WEIGHT: f64 = 0.2;
/// Ratios beyond are taken for these: what is slower is suspect long before.
const RATIOS: (f64, f64) = (0.05, 1000.0);
/// An idle device's correction is half as far from 1 after this time.
const HALF_LIFE: Duration = Duration::from_secs(30);
/// After so many halvings nothing is left.
const MOST_HALVINGS: u64 = 64;

/// What is learned of a device's speed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// Measured over profiled time, when the device was busy last.
    pub(crate) correction: f64,
    /// The last ratios, the oldest first.
    pub(crate) recent: [f64; RECENT],
    /// Since when nothing is on the device; `None` while something is, or nothing ever was.
    pub(crate) idle_since: Option<Time>,
}

impl Default for Estimate {
    fn default() -> Estimate {
        Estimate { correction: 1.0, recent: [1.0; RECENT], idle_since: None }
    }
}

impl Estimate {
    /// The correction at this time.
    pub(crate) fn at(&self, now: Time) -> f64 {
        toward_one(self.correction, self.left(now))
    }

    /// A batch begins: from here on nothing is forgotten.
    pub(crate) fn begin(&mut self, now: Time) {
        let left = self.left(now);
        self.correction = toward_one(self.correction, left);
        self.recent = self.recent.map(|ratio| toward_one(ratio, left));
        self.idle_since = None;
    }

    /// The device has nothing to do.
    pub(crate) fn rest(&mut self, now: Time) {
        self.idle_since = Some(now);
    }

    /// Learns from a batch that took so many times what the profile says of it. Upwards times are averaged, downwards speeds:
    /// a device that is well again is trusted as soon as one that is slow is not.
    pub(crate) fn learn(&mut self, ratio: f64) {
        if !ratio.is_finite() {
            return;
        }
        self.recent.rotate_left(1);
        self.recent[RECENT - 1] = ratio.clamp(RATIOS.0, RATIOS.1);
        let (old, median) = (self.correction, median(self.recent));
        let moved = if median > old {
            old + WEIGHT * (median - old)
        } else {
            (old.recip() + WEIGHT * (median.recip() - old.recip())).recip()
        };
        // rounding must not carry it past where it goes
        self.correction = moved.clamp(old.min(median), old.max(median));
    }

    /// When an idle device's correction will have come down to this limit, which is above 1; `None` if it will not, or has.
    pub(crate) fn down_at(&self, limit: f64) -> Option<Time> {
        let since = self.idle_since?;
        let mut above = self.correction - 1.0;
        let mut halvings = 0;
        while above / 2.0 > limit - 1.0 && halvings < MOST_HALVINGS {
            above /= 2.0;
            halvings += 1;
        }
        let share = 2.0 * (1.0 - (limit - 1.0) / above);
        let whole = HALF_LIFE.saturating_mul(halvings as u32);
        (self.correction > limit && (0.0..=1.0).contains(&share)).then(|| since + whole + HALF_LIFE.mul_f64(share))
    }

    /// The share of the distance from 1 that is left at this time: whole halvings, and linear between them.
    fn left(&self, now: Time) -> f64 {
        let Some(since) = self.idle_since else { return 1.0 };
        let (idle, half_life) = (now.since(since).as_micros() as u64, HALF_LIFE.as_micros() as u64);
        let (halvings, rest) = (idle / half_life, idle % half_life);
        if halvings >= MOST_HALVINGS {
            return 0.0;
        }
        let whole = (0..halvings).fold(1.0, |left, _| left / 2.0);
        whole * (1.0 - rest as f64 / (2 * half_life) as f64)
    }
}

fn toward_one(value: f64, left: f64) -> f64 {
    if left == 1.0 { value } else { 1.0 + (value - 1.0) * left }
}

fn median(mut ratios: [f64; RECENT]) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[RECENT / 2]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(seconds: u64) -> Time {
        Time::START + Duration::from_secs(seconds)
    }

    fn after(ratios: &[f64]) -> Estimate {
        let mut estimate = Estimate::default();
        ratios.iter().for_each(|&ratio| estimate.learn(ratio));
        estimate
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn one_measurement_moves_the_correction_no_further_than_the_others_reach(
            before in prop::collection::vec(0.01..2000.0_f64, 0..20),
            one in prop_oneof![Just(0.0), Just(1e-9), Just(1e12), 0.01..5000.0_f64],
        ) {
            let estimate = after(&before);
            let others = &estimate.recent[1..];
            let all = others.iter().copied().chain([estimate.correction]);
            let (least, most) = all.fold((f64::MAX, f64::MIN), |(least, most), one| (least.min(one), most.max(one)));
            let mut moved = estimate.clone();
            moved.learn(one);
            prop_assert!((least..=most).contains(&moved.correction), "{estimate:?} went to {moved:?} by {one}");
        }
    }

    #[test]
    fn one_pause_moves_nothing_and_a_lasting_change_is_followed_within_a_dozen_batches() {
        assert_eq!(after(&[1.0, 1.0, 150.0, 1.0, 1.0]).correction, 1.0);
        assert_eq!(after(&[150.0]).correction, 1.0);
        for slower in [3.0, 30.0, 500.0] {
            let slow = after(&[slower; 12]);
            assert!(slow.correction > 0.89 * slower && slow.correction <= slower, "{slow:?}");
            let well = [vec![slower; 40], vec![1.0; 14]].concat();
            assert!(after(&well).correction < 1.12, "{:?}", after(&well));
        }
    }

    #[test]
    fn an_idle_device_is_forgotten_by_halves() {
        let mut estimate = after(&[9.0; 60]);
        estimate.correction = 9.0;
        estimate.rest(seconds(10));
        let at = |now| estimate.at(seconds(now));
        assert_eq!([10, 25, 40, 55, 70, 100].map(at), [9.0, 7.0, 5.0, 4.0, 3.0, 2.0]);
        assert_eq!((at(10 + 30 * 64), at(1 << 40)), (1.0, 1.0));
        for (limit, when) in [(5.0, 40), (7.0, 25), (3.0, 70)] {
            assert_eq!(estimate.down_at(limit), Some(seconds(when)), "{limit}");
        }
        assert_eq!((estimate.down_at(9.0), estimate.down_at(20.0)), (None, None));
        estimate.begin(seconds(40));
        assert_eq!((estimate.at(seconds(400)), estimate.recent), (5.0, [5.0; RECENT]));
        assert_eq!(estimate.down_at(3.0), None);
    }
}
