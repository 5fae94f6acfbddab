//! What strategies are worth, and what a step down costs.

use std::cmp::Ordering;

use crate::{Micros, Snapshot};

/// A row moved to its next faster strategy: what it brings, what it costs. See [`Snapshot::step_down`].
///
/// Ordered by what a second gained costs: the greatest is the cheapest, so that it is on top of a
/// [`BinaryHeap`](std::collections::BinaryHeap); of equals, the one of the earliest row.
#[derive(Clone, Copy, Debug)]
pub struct StepDown {
    /// The row that moves.
    pub row: usize,
    /// Its new strategy.
    pub strategy: u32,
    /// Profiled time it takes less; never 0.
    pub gained: Micros,
    /// Weight x requests x accuracy it gives up.
    pub lost: f64,
}

impl StepDown {
    /// Weighted right answers lost for each second of profiled time gained.
    pub fn loss_per_second(&self) -> f64 {
        self.lost / (self.gained as f64 / 1e6)
    }
}

impl Snapshot {
    /// What a row brings with a strategy of its table: weight x requests x accuracy, its weighted right answers.
    pub fn worth(&self, row: usize, strategy: u32) -> f64 {
        let job = &self.jobs[row];
        job.weight * f64::from(job.requests) * self.strategies(row)[strategy as usize].accuracy
    }

    /// What the queue brings if row `k` runs on strategy `chosen[k]`: the sum of [`Snapshot::worth`], what most
    /// policies maximize. Rows marked late count too.
    ///
    /// Not finite if a weight is not: check it before it becomes an objective, which has to be.
    pub fn value(&self, chosen: &[u32]) -> f64 {
        chosen.iter().enumerate().map(|(row, &strategy)| self.worth(row, strategy)).sum()
    }

    /// The step of a row from a strategy to the next faster one; `None` if that would break the floor, would gain no
    /// time, or if the row is marked late.
    pub fn step_down(&self, row: usize, strategy: u32) -> Option<StepDown> {
        if self.jobs[row].late {
            return None;
        }
        let faster = self.next_faster(row, strategy)?;
        let gained = self.latency(row, strategy).saturating_sub(self.latency(row, faster));
        let lost = self.worth(row, strategy) - self.worth(row, faster);
        (gained > 0).then_some(StepDown { row, strategy: faster, gained, lost })
    }

    /// The step down that loses the least weighted accuracy for each second gained, of the rows up to and including
    /// `last`, if row `k` runs on strategy `chosen[k]`. `None` if no row there can become faster.
    ///
    /// Looks at every row. Who takes many steps keeps them in a heap: [`StepDown`] is ordered for it.
    ///
    /// ```
    /// use mosel_sdk::test::Queue;
    ///
    /// let mut queue = Queue::new();
    /// let cheap = queue.table(&[(40, 0.79), (90, 0.80)]);
    /// let dear = queue.table(&[(40, 0.60), (90, 0.80)]);
    /// queue.job(dear, 100, 0.0);
    /// queue.job(cheap, 130, 0.0);
    /// let snapshot = queue.snapshot();
    /// let step = snapshot.cheapest_step_down(&snapshot.chosen(), 1).unwrap();
    /// assert_eq!((step.row, step.strategy, step.gained), (1, 0, 50));
    /// ```
    pub fn cheapest_step_down(&self, chosen: &[u32], last: usize) -> Option<StepDown> {
        let rows = chosen.iter().enumerate().take(last.saturating_add(1));
        rows.filter_map(|(row, &strategy)| self.step_down(row, strategy)).max()
    }
}

impl Ord for StepDown {
    fn cmp(&self, other: &StepDown) -> Ordering {
        let cost = other.loss_per_second().total_cmp(&self.loss_per_second());
        cost.then(other.row.cmp(&self.row)).then(self.strategy.cmp(&other.strategy))
    }
}

impl PartialOrd for StepDown {
    fn partial_cmp(&self, other: &StepDown) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for StepDown {
    fn eq(&self, other: &StepDown) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for StepDown {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Queue;

    #[test]
    fn value_counts_weight_requests_and_accuracy() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.5), (20, 0.75)]);
        queue.job(table, 100, 0.0);
        queue.job(table, 100, 0.0);
        queue.jobs[1].weight = 2.0;
        queue.jobs[1].requests = 8;
        let snapshot = queue.snapshot();
        assert_eq!(snapshot.value(&[1, 1]), 12.75);
        assert_eq!(snapshot.value(&[0, 0]), 8.5);
        assert_eq!(snapshot.worth(1, 0), 8.0);
    }

    #[test]
    fn the_cheapest_step_counts_time_and_weight() {
        let mut queue = Queue::new();
        let table = queue.table(&[(20, 0.5), (30, 0.6), (80, 0.7)]);
        let _ = [100; 3].map(|deadline| queue.job(table, deadline, 0.0));
        queue.jobs[0].weight = 3.0;
        let snapshot = queue.snapshot();
        let cheapest = |chosen: [u32; 3], last| snapshot.cheapest_step_down(&chosen, last).map(|step| step.row);
        assert_eq!(cheapest([2, 2, 2], 2), Some(1), "the same loss weighs less there, and of equals the first");
        assert_eq!(cheapest([2, 1, 2], 2), Some(2), "the other one gains a fifth");
        assert_eq!(cheapest([2, 1, 2], 1), Some(0));
        assert_eq!(cheapest([0, 0, 0], 2), None);
        let step = snapshot.step_down(0, 2).unwrap();
        assert_eq!((step.strategy, step.gained), (1, 50));
        assert!((step.loss_per_second() - 6000.0).abs() < 1e-6, "{step:?}");
    }

    #[test]
    fn floors_and_lateness_forbid_a_step() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        queue.job(table, 100, 0.7);
        queue.job(table, 100, 0.0);
        queue.jobs[1].late = true;
        let snapshot = queue.snapshot();
        assert_eq!(snapshot.cheapest_step_down(&[1, 1], usize::MAX), None);
    }

    #[test]
    fn a_heap_gives_the_cheapest_first() {
        let step = |row, lost| StepDown { row, strategy: 0, gained: 10, lost };
        let mut heap: std::collections::BinaryHeap<_> = [step(0, 3.0), step(2, 1.0), step(1, 1.0)].into();
        let rows: Vec<usize> = std::iter::from_fn(|| heap.pop()).map(|step| step.row).collect();
        assert_eq!(rows, [1, 2, 0]);
    }
}
