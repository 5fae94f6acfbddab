//! One lane's queue, and what every policy wants to know about it.

use std::sync::Arc;

use crate::bindings::mosel::policy::types as wire;
use crate::{Catalog, Job, Micros, PolicyError, Strategy, StrategyTable, Trigger};

/// How far below a floor an accuracy may lie and still keep it: sums of floating-point numbers are not exact.
pub const ACCURACY_TOLERANCE: f64 = 1e-9;

/// One lane's queue at one moment, with the catalog its jobs refer to.
///
/// A *row* is a position in `jobs`, a *strategy* an index into the menu of a row.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Names the question. Strictly increasing, with gaps.
    pub sequence: u64,
    /// Which lane: a queue and the device that works it off.
    pub lane: u32,
    /// Why the policy is asked.
    pub trigger: Trigger,
    /// When the snapshot was taken.
    pub now: Micros,
    /// When the lane is free for the first job.
    pub start: Micros,
    /// How long the policy may think; [`remaining`](crate::remaining) counts it down.
    pub budget: Micros,
    /// Measured over profiled time on this lane, safety margin included.
    pub time_factor: f64,
    /// In execution order; a started job stands first, with what it has left.
    pub jobs: Vec<Job>,
    /// Every table a row may name.
    pub catalog: Arc<Catalog>,
    /// For each row the place of its table in the catalog.
    places: Vec<usize>,
}

impl Snapshot {
    /// The queue the server sent; refused if a row names a table or a strategy that is not there.
    pub(crate) fn new(queue: wire::Snapshot, catalog: Arc<Catalog>) -> Result<Snapshot, PolicyError> {
        let wire::Snapshot { sequence, lane, trigger, now, start, budget, time_factor, catalog_revision: _, jobs } =
            queue;
        let places = jobs.iter().map(|job| place(job, &catalog)).collect::<Result<_, _>>()?;
        Ok(Snapshot { sequence, lane, trigger, now, start, budget, time_factor, jobs, catalog, places })
    }

    /// The job of this id.
    ///
    /// # Panics
    /// If it is not in the queue.
    pub fn job(&self, id: u64) -> &Job {
        self.jobs.iter().find(|job| job.id == id).expect("the job is in the queue")
    }

    /// The table of a row.
    pub fn table(&self, row: usize) -> &StrategyTable {
        &self.catalog.tables()[self.places[row]]
    }

    /// The menu of a row: latency and accuracy both strictly increase.
    pub fn strategies(&self, row: usize) -> &[Strategy] {
        &self.table(row).strategies
    }

    /// The present strategy of every row.
    pub fn chosen(&self) -> Vec<u32> {
        self.jobs.iter().map(|job| job.current).collect()
    }

    /// The profiled time of a row with a strategy of its menu; [`Snapshot::end_of`] makes a finish of such times.
    pub fn latency(&self, row: usize, strategy: u32) -> Micros {
        self.strategies(row)[strategy as usize].latency
    }

    /// When each row is finished if everything stays as it is.
    pub fn finishes(&self) -> Vec<Micros> {
        self.finishes_with(&self.chosen())
    }

    /// When each row is finished if row `k` runs on strategy `chosen[k]`.
    pub fn finishes_with(&self, chosen: &[u32]) -> Vec<Micros> {
        let mut work: Micros = 0;
        let rows = chosen.iter().enumerate();
        rows.map(|(row, &strategy)| {
            work = work.saturating_add(self.latency(row, strategy));
            self.end_of(work)
        })
        .collect()
    }

    /// When the lane has done this much: profiled times of rows from the first one on, added up.
    pub fn end_of(&self, work: Micros) -> Micros {
        self.start.saturating_add(scale(work, self.time_factor))
    }

    /// The rows that would miss their deadline as things are, and can still be helped.
    pub fn violators(&self) -> Vec<usize> {
        self.violators_with(&self.chosen())
    }

    /// The rows that would miss their deadline if row `k` runs on strategy `chosen[k]`; late ones are not counted.
    pub fn violators_with(&self, chosen: &[u32]) -> Vec<usize> {
        let finishes = self.finishes_with(chosen);
        (0..self.jobs.len()).filter(|&row| !self.jobs[row].late && finishes[row] > self.jobs[row].deadline).collect()
    }

    /// The row keeps its floor with this strategy.
    pub fn legal(&self, row: usize, strategy: u32) -> bool {
        let strategy = self.strategies(row).get(strategy as usize);
        strategy.is_some_and(|strategy| strategy.accuracy >= self.jobs[row].min_accuracy - ACCURACY_TOLERANCE)
    }

    /// The next faster strategy of a row that keeps its floor.
    pub fn next_faster(&self, row: usize, strategy: u32) -> Option<u32> {
        strategy.checked_sub(1).filter(|&faster| self.legal(row, faster))
    }

    /// The fastest strategy of a row that keeps its floor; `None` if no strategy does.
    pub fn fastest_legal(&self, row: usize) -> Option<u32> {
        let floor = self.jobs[row].min_accuracy - ACCURACY_TOLERANCE;
        let menu = self.strategies(row);
        let first = menu.partition_point(|strategy| strategy.accuracy < floor);
        (first < menu.len()).then_some(first as u32)
    }
}

fn place(job: &Job, catalog: &Catalog) -> Result<usize, PolicyError> {
    let Job { id, table, current, .. } = job;
    let place = catalog.place_of_table(*table);
    let place = place
        .ok_or_else(|| PolicyError::Unsupported(format!("job {id} names table {table}, which the catalog lacks")))?;
    let count = catalog.tables()[place].strategies.len();
    if *current as usize >= count {
        return Err(PolicyError::Unsupported(format!("job {id} has {count} strategies, its current one is {current}")));
    }
    Ok(place)
}

/// The server's own rounding: to the nanosecond, then up to the microsecond. A factor that makes no sense is ignored.
fn scale(latency: Micros, factor: f64) -> Micros {
    if !factor.is_finite() || factor <= 0.0 {
        return latency;
    }
    let nanos = (latency as f64 * factor * 1000.0).round();
    (nanos / 1000.0).ceil() as Micros
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Queue;

    #[test]
    fn finishes_follow_the_time_factor() {
        let mut queue = Queue::new();
        queue.start = 100;
        queue.time_factor = 1.1;
        let menu = queue.menu(&[(40, 0.7), (90, 0.85)]);
        queue.job(menu, 150, 0.0);
        queue.job(menu, 298, 0.0);
        let snapshot = queue.snapshot();
        assert_eq!(snapshot.finishes(), [199, 298]);
        assert_eq!(snapshot.finishes_with(&[0, 1]), [144, 243]);
        assert_eq!(snapshot.violators(), [0]);
        assert!(snapshot.violators_with(&[0, 1]).is_empty());
    }

    #[test]
    fn late_jobs_are_nobodys_violators() {
        let mut queue = Queue::new();
        let menu = queue.menu(&[(40, 0.7)]);
        queue.job(menu, 10, 0.0);
        queue.jobs[0].late = true;
        assert!(queue.snapshot().violators().is_empty());
    }

    #[test]
    fn floors_are_kept_to_within_the_tolerance() {
        let mut queue = Queue::new();
        let menu = queue.menu(&[(10, 0.6), (20, 0.7), (30, 0.8)]);
        queue.job(menu, 100, 0.7 + ACCURACY_TOLERANCE / 2.0);
        queue.job(menu, 100, 0.7 + ACCURACY_TOLERANCE * 2.0);
        queue.job(menu, 100, 0.9);
        let snapshot = queue.snapshot();
        assert_eq!([0, 1, 2].map(|row| snapshot.fastest_legal(row)), [Some(1), Some(2), None]);
        assert_eq!([2, 1, 0].map(|strategy| snapshot.next_faster(0, strategy)), [Some(1), None, None]);
        assert!(!snapshot.legal(0, 3), "there is no fourth strategy");
    }

    #[test]
    fn a_row_off_its_menu_is_refused() {
        let mut queue = Queue::new();
        let menu = queue.menu(&[(10, 0.6)]);
        queue.job(menu, 100, 0.0);
        queue.jobs[0].current = 1;
        let refused = queue.try_snapshot().unwrap_err();
        assert_eq!(refused, PolicyError::Unsupported("job 1 has 1 strategies, its current one is 1".into()));
        queue.jobs[0].table = 9;
        let refused = queue.try_snapshot().unwrap_err();
        assert_eq!(refused, PolicyError::Unsupported("job 1 names table 9, which the catalog lacks".into()));
    }
}
