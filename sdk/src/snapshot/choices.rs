//! Which strategies a row may be given.

use crate::{Snapshot, Strategy};

/// How far below a floor an accuracy may lie and still keep it: sums of floating-point numbers are not exact.
///
/// The server is a little more generous, so that what keeps a floor here keeps it there.
pub const ACCURACY_TOLERANCE: f64 = 1e-9;

impl Snapshot {
    /// The row keeps its floor with this strategy. Never true for one that is not on the table.
    pub fn legal(&self, row: usize, strategy: u32) -> bool {
        self.strategies(row).get(strategy as usize).is_some_and(|strategy| self.keeps_floor(row, strategy))
    }

    /// The next faster strategy of a row, if it keeps the floor.
    pub fn next_faster(&self, row: usize, strategy: u32) -> Option<u32> {
        strategy.checked_sub(1).filter(|&faster| self.legal(row, faster))
    }

    /// The next slower, more accurate strategy of a row, if there is one and it keeps the floor.
    pub fn next_slower(&self, row: usize, strategy: u32) -> Option<u32> {
        strategy.checked_add(1).filter(|&slower| self.legal(row, slower))
    }

    /// The fastest strategy of a row that keeps its floor; `None` if no strategy does.
    pub fn fastest_legal(&self, row: usize) -> Option<u32> {
        let table = self.strategies(row);
        let first = table.partition_point(|strategy| !self.keeps_floor(row, strategy));
        (first < table.len()).then_some(first as u32)
    }

    /// The fastest strategy that a row may be given: the fastest legal one, or the present one if no other is both
    /// legal and faster. A row marked late keeps what it has.
    ///
    /// ```
    /// use mosel_sdk::test::Queue;
    ///
    /// let mut queue = Queue::new();
    /// let table = queue.table(&[(10, 0.6), (20, 0.7), (30, 0.8)]);
    /// queue.job(table, 100, 0.65);
    /// queue.job(table, 100, 0.9); // no strategy keeps this floor: what it has is as good as any
    /// queue.job(table, 5, 0.0);
    /// queue.jobs[2].late = true;
    /// assert_eq!([0, 1, 2].map(|row| queue.snapshot().fastest(row)), [1, 2, 2]);
    /// ```
    pub fn fastest(&self, row: usize) -> u32 {
        let job = &self.jobs[row];
        if job.late {
            return job.current;
        }
        self.fastest_legal(row).map_or(job.current, |fastest| fastest.min(job.current))
    }

    fn keeps_floor(&self, row: usize, strategy: &Strategy) -> bool {
        strategy.accuracy >= self.jobs[row].min_accuracy - ACCURACY_TOLERANCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Queue;

    #[test]
    fn floors_are_kept_to_within_the_tolerance() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (20, 0.7), (30, 0.8)]);
        queue.job(table, 100, 0.7 + ACCURACY_TOLERANCE / 2.0);
        queue.job(table, 100, 0.7 + ACCURACY_TOLERANCE * 2.0);
        queue.job(table, 100, 0.9);
        let snapshot = queue.snapshot();
        assert_eq!([0, 1, 2].map(|row| snapshot.fastest_legal(row)), [Some(1), Some(2), None]);
        assert_eq!([2, 1, 0].map(|strategy| snapshot.next_faster(0, strategy)), [Some(1), None, None]);
        assert_eq!(
            [0, 1, 2, u32::MAX].map(|strategy| snapshot.next_slower(0, strategy)),
            [Some(1), Some(2), None, None]
        );
        assert!(!snapshot.legal(0, 3), "there is no fourth strategy");
    }

    #[test]
    fn what_the_sdk_calls_legal_is_legal_for_the_server() {
        let accuracy = 0.7;
        let floor = accuracy + ACCURACY_TOLERANCE;
        assert!(mosel_core::at_least(accuracy, floor));
    }

    #[test]
    fn a_floor_that_is_no_number_is_kept_by_nothing() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (20, 0.7)]);
        queue.job(table, 100, f64::NAN);
        let snapshot = queue.snapshot();
        assert_eq!((snapshot.fastest_legal(0), snapshot.fastest(0)), (None, 1));
        assert!(!snapshot.legal(0, 1));
    }
}
