//! A queue made up in a few lines.

use std::sync::Arc;

use crate::bindings::mosel::policy::types as wire;
use crate::{Catalog, Job, Micros, PolicyError, Snapshot, Step, Strategy, StrategyTable, Trigger};

/// A queue under construction. Its public fields are for what the methods do not cover.
#[derive(Clone, Debug)]
pub struct Queue {
    /// [`Snapshot::sequence`]
    pub sequence: u64,
    /// [`Snapshot::start`]; it is `now` as well.
    pub start: Micros,
    /// [`Snapshot::time_factor`]
    pub time_factor: f64,
    /// In execution order, ids from 1.
    pub jobs: Vec<Job>,
    /// The tables so far.
    pub tables: Vec<StrategyTable>,
}

/// A table of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(u32);

/// What a [`Table`] was called at first.
#[deprecated = "it is called Table"]
pub type Menu = Table;

impl Default for Queue {
    fn default() -> Queue {
        Queue { sequence: 1, start: 0, time_factor: 1.0, jobs: Vec::new(), tables: Vec::new() }
    }
}

impl Queue {
    /// An empty queue on a lane that is free at time 0.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// A table of (latency, accuracy), both strictly increasing.
    pub fn table(&mut self, strategies: &[(Micros, f64)]) -> Table {
        let rising = strategies.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        assert!(rising && !strategies.is_empty(), "a table is not empty, and latency and accuracy both increase");
        let id = self.tables.len() as u32;
        let strategies = strategies.iter().map(|&(latency, accuracy)| strategy(latency, accuracy)).collect();
        self.tables.push(StrategyTable { id, model: 0, requests: 1, strategies });
        Table(id)
    }

    /// What [`Queue::table`] was called at first.
    #[deprecated = "it is called table"]
    pub fn menu(&mut self, strategies: &[(Micros, f64)]) -> Table {
        self.table(strategies)
    }

    /// A job at the end of the queue, on the most accurate strategy of its table. Gives its id.
    pub fn job(&mut self, table: Table, deadline: Micros, min_accuracy: f64) -> u64 {
        let id = self.jobs.len() as u64 + 1;
        let current = self.tables[table.0 as usize].strategies.len() as u32 - 1;
        self.jobs.push(Job {
            id,
            table: table.0,
            requests: 1,
            arrival: 0,
            deadline,
            min_accuracy,
            weight: 1.0,
            tenant: 0,
            current,
            late: false,
        });
        id
    }

    /// The queue as a policy sees it.
    ///
    /// # Panics
    /// If a job's fields were set to a table or a strategy that is not there.
    pub fn snapshot(&self) -> Snapshot {
        self.try_snapshot().expect("every job has a table and a place on it")
    }

    pub(crate) fn try_snapshot(&self) -> Result<Snapshot, PolicyError> {
        let mut catalog = Catalog::default();
        catalog.merge(wire::Catalog { revision: 1, models: Vec::new(), tables: self.tables.clone() });
        let queue = wire::Snapshot {
            sequence: self.sequence,
            lane: 0,
            trigger: Trigger::Violation,
            now: self.start,
            start: self.start,
            budget: 10_000,
            time_factor: self.time_factor,
            catalog_revision: 1,
            jobs: self.jobs.clone(),
        };
        Snapshot::new(queue, Arc::new(catalog))
    }
}

fn strategy(latency: Micros, accuracy: f64) -> Strategy {
    let step = Step { modalities: 1, batch_size: 1, batches: 1, requests: 1, batch_latency: latency };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}
