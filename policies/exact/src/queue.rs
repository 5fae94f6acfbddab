//! A snapshot as a knapsack: what each row may get, what that is worth, and the time that rows share.

use mosel_sdk::{PolicyError, Snapshot};

use crate::deadlines;
use crate::row::Row;
use crate::tables::Tables;

/// Times are added up in floating point, which is exact for whole numbers up to here (285 years in microseconds).
const LONGEST_QUEUE: f64 = (1u64 << 53) as f64;
/// Of any reserve, this share is for devices that are not as fast as they were, and left free whatever the horizon.
const UNSTEADY: f64 = 0.25;

/// One snapshot's queue. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) rows: Vec<Row>,
    /// What rows up to each one may take together beyond their fastest strategies; never decreases from row to row.
    /// Infinite where no deadline follows.
    pub(crate) slack: Vec<f64>,
    /// How many rows miss their deadlines whatever is chosen; late ones are not counted.
    pub(crate) hopeless: usize,
}

impl Queue {
    /// Reads a snapshot whose tables are all in `tables`.
    pub(crate) fn read(&mut self, snapshot: &Snapshot, tables: &Tables) -> Result<(), PolicyError> {
        self.rows.clear();
        let mut longest = 0.0;
        for row in 0..snapshot.jobs.len() {
            let row = Row::read(snapshot, row, tables)?;
            longest += row.table(tables)[row.slowest()].latency;
            self.rows.push(row);
        }
        if longest > LONGEST_QUEUE {
            return Err(PolicyError::Unsupported(format!(
                "expected the queue to take at most {LONGEST_QUEUE} microseconds, it may take {longest}"
            )));
        }
        self.hopeless = deadlines::slack(snapshot, tables, &self.rows, &mut self.slack);
        Ok(())
    }

    /// Some deadline does not leave time for everything.
    pub(crate) fn presses(&self) -> bool {
        self.slack.iter().any(|slack| slack.is_finite())
    }

    /// Leaves some of the time that rows may take beyond their fastest strategies free, where deadlines press: `reserve`
    /// of it, or less if everything is done so early that jobs like these find room, which is what `horizon` says.
    pub(crate) fn keep(&mut self, reserve: f64, horizon: f64, snapshot: &Snapshot, tables: &Tables) {
        let near = self.until(horizon, snapshot, tables);
        let most = 1.0 - reserve.min(UNSTEADY);
        // whole microseconds add up exactly
        let kept = |slack: f64| (slack * (1.0 - reserve)).max(near).min(slack * most).floor();
        self.slack.iter_mut().for_each(|slack| *slack = kept(*slack));
    }

    /// What all rows may take together beyond their fastest strategies, to be done within this share of the shortest time
    /// that any of them was given on its arrival.
    fn until(&self, horizon: f64, snapshot: &Snapshot, tables: &Tables) -> f64 {
        let on_time = snapshot.jobs.iter().filter(|job| !job.late);
        let Some(given) = on_time.map(|job| job.deadline.saturating_sub(job.arrival)).min() else { return 0.0 };
        let end = snapshot.now as f64 + horizon * given as f64;
        let fastest: f64 = self.rows.iter().map(|row| row.table(tables)[row.fastest()].latency).sum();
        deadlines::work_until(snapshot, end) - fastest
    }

    /// Every deadline holds that can be held.
    pub(crate) fn fits(&self, tables: &Tables, chosen: &[u32]) -> bool {
        let mut time = 0.0;
        self.rows.iter().zip(chosen).zip(&self.slack).all(|((row, &strategy), &slack)| {
            time += row.time(row.table(tables), strategy as usize);
            time <= slack
        })
    }

    /// What a choice is worth, loyalty included.
    pub(crate) fn value(&self, tables: &Tables, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.value(row.table(tables), strategy as usize)).sum()
    }

    /// Weight x requests x accuracy, added up.
    pub(crate) fn objective(&self, tables: &Tables, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.worth * row.table(tables)[strategy as usize].accuracy).sum()
    }
}
