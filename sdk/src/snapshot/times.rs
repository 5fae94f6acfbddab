//! When rows are finished, and how much work their deadlines leave room for.

use crate::{Micros, Snapshot};

impl Snapshot {
    /// When each row is finished if everything stays as it is.
    pub fn finishes(&self) -> Vec<Micros> {
        self.finishes_with(&self.chosen())
    }

    /// When each row is finished if row `k` runs on strategy `chosen[k]`.
    pub fn finishes_with(&self, chosen: &[u32]) -> Vec<Micros> {
        self.works_with(chosen).map(|work| self.end_of(work)).collect()
    }

    /// When the lane has done this much: profiled times of rows from the first one on, added up.
    ///
    /// Rounds as the server does: up to a whole microsecond.
    pub fn end_of(&self, work: Micros) -> Micros {
        self.start.saturating_add(scale(work, self.time_factor))
    }

    /// The most work that the lane has done by this time: the largest `work` with `end_of(work) <= time`, exactly.
    /// `None` if the lane is not free before it.
    pub fn work_by(&self, time: Micros) -> Option<Micros> {
        let room = time.checked_sub(self.start)?;
        if time == Micros::MAX {
            return Some(Micros::MAX);
        }
        let guess = scale(room, self.time_factor.recip());
        Some(largest(guess, |work| scale(work, self.time_factor) <= room))
    }

    /// The most work that a row's deadline allows, its own and that of the rows before it together.
    /// `None` if the deadline is past before the lane is free.
    pub fn allowed_work(&self, row: usize) -> Option<Micros> {
        self.work_by(self.jobs[row].deadline)
    }

    /// The rows that would miss their deadline as things are; those marked late are not counted.
    pub fn violators(&self) -> Vec<usize> {
        self.violators_with(&self.chosen())
    }

    /// The rows that would miss their deadline if row `k` runs on strategy `chosen[k]`; those marked late are not
    /// counted.
    pub fn violators_with(&self, chosen: &[u32]) -> Vec<usize> {
        let finishes = self.finishes_with(chosen).into_iter().zip(&self.jobs).enumerate();
        finishes.filter(|(_, (finish, job))| !job.late && *finish > job.deadline).map(|(row, _)| row).collect()
    }

    /// The rows that nothing saves: they miss their deadline even if every row runs on its
    /// [fastest](Snapshot::fastest) strategy. Those marked late are not counted.
    ///
    /// To be late with the others on time they need not be touched, nor anyone for their sake.
    pub fn hopeless(&self) -> Vec<usize> {
        let fastest: Vec<u32> = (0..self.jobs.len()).map(|row| self.fastest(row)).collect();
        self.violators_with(&fastest)
    }

    /// [`Snapshot::slack_with`] the present strategies.
    pub fn slack(&self) -> Vec<Micros> {
        self.slack_with(&self.chosen())
    }

    /// For each row how much more work may be put at or before it without making a row at or behind it late, if row `k`
    /// runs on strategy `chosen[k]`.
    ///
    /// It never falls from one row to the next. 0 at and before a violator, [`Micros::MAX`](u64::MAX) where no row
    /// follows that could become late: rows marked late are no reason to hurry.
    ///
    /// ```
    /// use mosel_sdk::test::Queue;
    ///
    /// let mut queue = Queue::new();
    /// let table = queue.table(&[(40, 0.7), (90, 0.8)]);
    /// queue.job(table, 300, 0.0); // ends at 90: 210 to spare, but
    /// queue.job(table, 200, 0.0); // this one ends at 180
    /// queue.job(table, 500, 0.0);
    /// assert_eq!(queue.snapshot().slack(), [20, 20, 230]);
    /// ```
    pub fn slack_with(&self, chosen: &[u32]) -> Vec<Micros> {
        let works = self.works_with(chosen).zip(&self.jobs).enumerate();
        let mut slack: Vec<Micros> = works.map(|(row, (work, job))| self.own_slack(row, work, job.late)).collect();
        let mut least = Micros::MAX;
        for own in slack.iter_mut().rev() {
            least = least.min(*own);
            *own = least;
        }
        slack
    }

    fn own_slack(&self, row: usize, work: Micros, late: bool) -> Micros {
        if late {
            return Micros::MAX;
        }
        self.allowed_work(row).map_or(0, |most| most.saturating_sub(work))
    }

    /// The profiled time of each row and all before it.
    fn works_with(&self, chosen: &[u32]) -> impl Iterator<Item = Micros> {
        let rows = chosen.iter().enumerate();
        rows.scan(0, |work: &mut Micros, (row, &strategy)| {
            *work = work.saturating_add(self.latency(row, strategy));
            Some(*work)
        })
    }
}

/// A float this far above a whole microsecond is rounding, not time. The server has the same number.
const ROUNDING: f64 = 1e-6;

/// The server's own rounding: up to the microsecond. A factor that makes no sense is ignored.
fn scale(latency: Micros, factor: f64) -> Micros {
    if !factor.is_finite() || factor <= 0.0 {
        return latency;
    }
    (latency as f64 * factor - ROUNDING).ceil() as Micros
}

/// The largest number that fits, given one near it. 0 fits, and so does whatever is smaller than one that does.
///
/// The guess alone would be off by one here and there: neither multiplication nor division is exact.
fn largest(guess: u64, fits: impl Fn(u64) -> bool) -> u64 {
    if fits(u64::MAX) {
        return u64::MAX;
    }
    let (mut low, mut high, mut stride) = (guess, guess, 1u64);
    while !fits(low) || fits(high) {
        low = low.saturating_sub(stride);
        high = high.saturating_add(stride);
        stride = stride.saturating_mul(2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mosel_core::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::test::Queue;

    fn lane(start: Micros, time_factor: f64) -> Snapshot {
        Queue { start, time_factor, ..Queue::new() }.snapshot()
    }

    #[test]
    fn finishes_follow_the_time_factor() {
        let mut queue = Queue::new();
        queue.start = 100;
        queue.time_factor = 1.1;
        let table = queue.table(&[(40, 0.7), (90, 0.85)]);
        queue.job(table, 150, 0.0);
        queue.job(table, 298, 0.0);
        let snapshot = queue.snapshot();
        assert_eq!(snapshot.finishes(), [199, 298]);
        assert_eq!(snapshot.finishes_with(&[0, 1]), [144, 243]);
        assert_eq!(snapshot.violators(), [0]);
        assert!(snapshot.violators_with(&[0, 1]).is_empty());
    }

    #[test]
    fn late_jobs_are_nobodys_violators() {
        let mut queue = Queue::new();
        let table = queue.table(&[(40, 0.7)]);
        queue.job(table, 10, 0.0);
        queue.jobs[0].late = true;
        let snapshot = queue.snapshot();
        assert!(snapshot.violators().is_empty());
        assert!(snapshot.hopeless().is_empty());
        assert_eq!(snapshot.slack(), [Micros::MAX]);
    }

    #[test]
    fn only_what_floors_forbid_to_save_is_hopeless() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        queue.job(table, 5, 0.0); // nothing is that fast
        queue.job(table, 20, 0.0); // if both are on their fastest
        queue.job(table, 69, 0.7); // its floor costs 1 too much
        queue.job(table, 80, 0.0);
        assert_eq!(queue.snapshot().hopeless(), [0, 2]);
        assert_eq!(queue.snapshot().violators(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_violator_leaves_no_slack_at_or_before_it() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        let _ = [100, 60, 400].map(|deadline| queue.job(table, deadline, 0.0));
        assert_eq!(queue.snapshot().slack(), [0, 0, 250]);
        assert_eq!(queue.snapshot().slack_with(&[0, 1, 0]), [0, 0, 330]);
        assert_eq!(queue.snapshot().slack_with(&[0, 0, 1]), [40, 40, 330]);
    }

    #[test]
    fn a_lane_that_is_busy_until_after_the_deadline_allows_nothing() {
        let snapshot = lane(100, 1.3);
        assert_eq!(snapshot.work_by(99), None);
        assert_eq!(snapshot.work_by(100), Some(0));
        assert_eq!(snapshot.work_by(102), Some(1));
        assert_eq!(snapshot.work_by(Micros::MAX), Some(Micros::MAX));
    }

    /// Half a million pairs, factors that divide evenly and factors that do not.
    #[test]
    fn work_by_is_the_exact_inverse_of_end_of() {
        for factor in [0.05, 1.0 / 3.0, 0.5, 0.999, 1.0, 1.05, 1.1, 1.155, 4.0 / 3.0, 2.0, 2.5, 7.3, 20.0] {
            for start in [0, 17] {
                let snapshot = lane(start, factor);
                for time in start..start + 20_000 {
                    check_inverse(&snapshot, time);
                }
            }
        }
    }

    fn check_inverse(snapshot: &Snapshot, time: Micros) {
        let most = snapshot.work_by(time).expect("the lane is free");
        assert!(snapshot.end_of(most) <= time, "factor {}: {most} is too much by {time}", snapshot.time_factor);
        if let Some(more) = most.checked_add(1) {
            assert!(snapshot.end_of(more) > time, "factor {}: {more} fits by {time}", snapshot.time_factor);
        }
    }

    #[test]
    fn ends_are_the_servers_to_the_microsecond() {
        for factor in [0.05, 1.0 / 3.0, 0.999, 1.0, 1.05, 1.1, 1.155, 4.0 / 3.0, 20.0] {
            for work in (0..20_000).chain((0..40_000_000_000).step_by(9_999_991)) {
                let server = Time::from_micros(3).after(Duration::from_micros(work), factor);
                assert_eq!(lane_end(3, factor, work), server.micros(), "factor {factor}, work {work}");
            }
        }
    }

    fn lane_end(start: Micros, factor: f64, work: Micros) -> Micros {
        start.saturating_add(scale(work, factor))
    }

    fn any_factor() -> impl Strategy<Value = f64> {
        prop_oneof![0.05..20.0, 1.0..1.2, 1e-12..1e12, any::<f64>()]
    }

    fn any_time() -> impl Strategy<Value = Micros> {
        prop_oneof![0..10_000u64, 0..1u64 << 40, any::<u64>(), u64::MAX - 100..=u64::MAX]
    }

    proptest! {
        #[test]
        fn the_inverse_is_exact_for_any_lane(start in any_time(), factor in any_factor(), time in any_time()) {
            let snapshot = lane(start, factor);
            match snapshot.work_by(time) {
                None => prop_assert!(time < start),
                Some(_) => check_inverse(&snapshot, time),
            }
        }

        #[test]
        fn ends_are_the_servers_for_a_century(
            start in 0..1u64 << 52, factor in 0.05..20.0f64, work in 0..1u64 << 52
        ) {
            let server = Time::from_micros(start).after(Duration::from_micros(work), factor);
            prop_assert_eq!(lane(start, factor).end_of(work), server.micros());
        }

        #[test]
        fn slack_is_used_up_to_the_microsecond(
            rows in prop::collection::vec((1..500u64, 0..3_000u64, any::<bool>()), 1..12),
            factor in 0.5..2.0f64,
            place in 0..12usize,
        ) {
            let mut queue = Queue { time_factor: factor, ..Queue::new() };
            for &(latency, deadline, late) in &rows {
                let table = queue.table(&[(latency, 0.5)]);
                queue.job(table, deadline, 0.0);
                queue.jobs.last_mut().expect("it was just put there").late = late;
            }
            let place = place % rows.len();
            let before = queue.snapshot();
            let slack = before.slack()[place];
            prop_assert!(before.slack().is_sorted());
            // A violator is late already; all others must be no later for it, and for no more than it.
            let on_time = |queue: &Queue| queue.snapshot().violators().iter().filter(|&&row| row >= place).count();
            let with = |more: Micros| {
                let mut queue = queue.clone();
                let latency = &mut queue.tables[place].strategies[0].latency;
                *latency = latency.saturating_add(more);
                on_time(&queue)
            };
            if slack < Micros::MAX {
                let late_anyway = before.violators().iter().any(|&row| row >= place);
                prop_assert_eq!(late_anyway, late_anyway && slack == 0);
                prop_assert!(late_anyway || with(slack) == 0 && with(slack + 1) > 0);
            } else {
                prop_assert_eq!(with(1 << 40), 0);
            }
        }
    }
}
