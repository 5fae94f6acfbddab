//! One lane's queue, and what every policy wants to know about it.

mod choices;
mod times;
mod worth;

use std::sync::Arc;

use crate::bindings::mosel::policy::types as wire;
use crate::{Catalog, Job, Micros, Model, PolicyError, Strategy, StrategyTable, Trigger};

pub use choices::ACCURACY_TOLERANCE;
pub use worth::StepDown;

/// One lane's queue at one moment, with the catalog its jobs refer to.
///
/// A *row* is a position in `jobs`, a *strategy* an index into the strategy table of a row: 0 is the fastest, the last one the
/// most accurate. *Work* is profiled time; [`Snapshot::end_of`] turns it into a point in time. `chosen` says what if:
/// row `k` on strategy `chosen[k]`.
///
/// | question | method | cost |
/// |---|---|---|
/// | Who would be late? | [`violators`](Snapshot::violators), [`finishes`](Snapshot::finishes) | O(rows) |
/// | Whom does nothing save? | [`hopeless`](Snapshot::hopeless) | O(rows) |
/// | How much time is to spare? | [`slack`](Snapshot::slack), [`allowed_work`](Snapshot::allowed_work) | O(rows), O(1) |
/// | What may a row run on? | [`legal`](Snapshot::legal), [`fastest`](Snapshot::fastest), [`next_faster`](Snapshot::next_faster), [`next_slower`](Snapshot::next_slower) | O(1), `fastest` O(log table) |
/// | What is that worth? | [`value`](Snapshot::value), [`worth`](Snapshot::worth) | O(rows), O(1) |
/// | Which step down harms least? | [`cheapest_step_down`](Snapshot::cheapest_step_down), [`step_down`](Snapshot::step_down) | O(rows), O(1) |
///
/// No method panics on anything that a server can send. A row that is not in the queue, or a strategy that is not on
/// the table where a time or a worth is asked for, is the caller's mistake and does panic, as an index off a slice does.
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

    /// The row of the job of this id, `None` if it is not in the queue.
    pub fn row_of(&self, id: u64) -> Option<usize> {
        self.jobs.iter().position(|job| job.id == id)
    }

    /// The job of this id; for tests, which know that it is there.
    ///
    /// # Panics
    /// If it is not in the queue.
    pub fn job(&self, id: u64) -> &Job {
        &self.jobs[self.row_of(id).expect("the job is in the queue")]
    }

    /// The model of a row; `None` if the server did not say which it is.
    pub fn model(&self, row: usize) -> Option<&Model> {
        self.catalog.model(self.table(row).model)
    }

    /// The table of a row: its strategies, and the model and the number of requests that it is for.
    pub fn table(&self, row: usize) -> &StrategyTable {
        &self.catalog.tables()[self.places[row]]
    }

    /// The strategies of a row: latency and accuracy both strictly increase.
    pub fn strategies(&self, row: usize) -> &[Strategy] {
        &self.table(row).strategies
    }

    /// The present strategy of every row.
    pub fn chosen(&self) -> Vec<u32> {
        self.jobs.iter().map(|job| job.current).collect()
    }

    /// The profiled time of a row with a strategy of its table; [`Snapshot::end_of`] makes a finish of such times.
    pub fn latency(&self, row: usize, strategy: u32) -> Micros {
        self.strategies(row)[strategy as usize].latency
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::Strategy;
    use crate::test::Queue;

    #[test]
    fn a_row_off_its_menu_is_refused() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6)]);
        queue.job(table, 100, 0.0);
        queue.jobs[0].current = 1;
        let refused = queue.try_snapshot().unwrap_err();
        assert_eq!(refused, PolicyError::Unsupported("job 1 has 1 strategies, its current one is 1".into()));
        queue.jobs[0].table = 9;
        let refused = queue.try_snapshot().unwrap_err();
        assert_eq!(refused, PolicyError::Unsupported("job 1 names table 9, which the catalog lacks".into()));
    }

    /// Any number at all, and often those at the edges.
    fn wild<T: From<u8> + Copy + std::fmt::Debug + 'static>(most: T) -> impl proptest::strategy::Strategy<Value = T>
    where
        std::ops::Range<T>: proptest::strategy::Strategy<Value = T>,
    {
        prop_oneof![Just(T::from(0)), Just(T::from(1)), T::from(0)..T::from(200), Just(most)]
    }

    fn wild_float() -> impl proptest::strategy::Strategy<Value = f64> {
        prop_oneof![0.0..1.0, any::<f64>(), Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)]
    }

    prop_compose! {
        fn wild_job()(
            (id, requests, current) in (wild(u64::MAX), wild(u32::MAX), 0..4u32),
            (table, late) in (0..4u32, any::<bool>()),
            (arrival, deadline) in (wild(Micros::MAX), wild(Micros::MAX)),
            (min_accuracy, weight) in (wild_float(), wild_float()),
        ) -> Job {
            Job { id, table, requests, arrival, deadline, min_accuracy, weight, tenant: 0, current, late }
        }
    }

    prop_compose! {
        fn wild_table()(strategies in vec((wild(Micros::MAX), wild_float()), 0..4)) -> Vec<Strategy> {
            let strategy = |(latency, accuracy)| Strategy { latency, accuracy, memory_bytes: 0, steps: vec![] };
            strategies.into_iter().map(strategy).collect()
        }
    }

    proptest! {
        /// Tables that are empty or out of order, numbers that are none, times at the end of time.
        #[test]
        fn whatever_a_server_sends_is_refused_or_harmless(
            jobs in vec(wild_job(), 0..6),
            tables in vec(wild_table(), 4),
            (start, time_factor) in (wild(Micros::MAX), wild_float()),
        ) {
            let tables = (0..).zip(tables);
            let table = |(id, strategies)| StrategyTable { id, model: 9, requests: 0, strategies };
            let queue = Queue { start, time_factor, jobs, tables: tables.map(table).collect(), ..Queue::new() };
            let Ok(snapshot) = queue.try_snapshot() else { return Ok(()) };
            let chosen = snapshot.chosen();
            let _ = (snapshot.finishes(), snapshot.violators(), snapshot.hopeless(), snapshot.slack());
            let _ = (snapshot.value(&chosen), snapshot.cheapest_step_down(&chosen, usize::MAX));
            for row in 0..snapshot.jobs.len() {
                let _ = (snapshot.allowed_work(row), snapshot.row_of(snapshot.jobs[row].id), snapshot.model(row));
                let fastest = snapshot.fastest(row);
                prop_assert!((fastest as usize) < snapshot.strategies(row).len());
                for strategy in 0..6 {
                    let on_menu = |choice: Option<u32>| choice.is_none_or(|choice| snapshot.legal(row, choice));
                    prop_assert!(on_menu(snapshot.next_faster(row, strategy)));
                    prop_assert!(on_menu(snapshot.next_slower(row, strategy)));
                }
            }
        }
    }
}
