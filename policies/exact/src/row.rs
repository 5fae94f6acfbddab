//! A job of the queue as a row of the knapsack.

use mosel_sdk::{ACCURACY_TOLERANCE, PolicyError, Snapshot};

use crate::point::Point;
use crate::tables::Tables;

/// Weights are numbers up to here; nothing is gained from larger ones, and sums stay finite.
const GREATEST_WEIGHT: f64 = 1e100;
/// What staying on the present strategy is worth, as a share of what the row is worth at all: enough to settle ties.
const LOYALTY: f64 = 1e-10;

/// A row: the strategies it may get are those from `floor` on, and its present one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Where its table is among all tables.
    table: (u32, u32),
    /// The first strategy of its table that keeps the floor; past the end if none does, or if the row is late.
    pub(crate) floor: usize,
    pub(crate) present: usize,
    /// Weight times requests: what one unit of accuracy counts.
    pub(crate) worth: f64,
    /// What staying counts.
    loyalty: f64,
}

impl Row {
    /// Reads a job of a snapshot whose tables are all in `tables`.
    pub(crate) fn read(snapshot: &Snapshot, row: usize, tables: &Tables) -> Result<Row, PolicyError> {
        let job = &snapshot.jobs[row];
        let place = tables.find(job.table);
        let place = place.ok_or_else(|| PolicyError::Internal(format!("table {} was never announced", job.table)))?;
        let (first, end) = (place.start as u32, place.end as u32);
        let table = tables.at(place);
        let below = |point: &Point| point.accuracy < job.min_accuracy - ACCURACY_TOLERANCE;
        let floor = if job.late || job.min_accuracy.is_nan() { table.len() } else { table.partition_point(below) };
        let present = job.current as usize;
        let weight = if job.weight >= 0.0 { job.weight.min(GREATEST_WEIGHT) } else { 0.0 };
        let worth = weight * f64::from(job.requests);
        let loyalty = LOYALTY * worth * table[present].accuracy.abs();
        Ok(Row { table: (first, end), floor, present, worth, loyalty })
    }

    /// Its table.
    #[inline]
    pub(crate) fn table<'a>(&self, tables: &'a Tables) -> &'a [Point] {
        tables.at(self.table.0 as usize..self.table.1 as usize)
    }

    /// The fastest strategy it may get.
    #[inline]
    pub(crate) fn fastest(&self) -> usize {
        self.floor.min(self.present)
    }

    /// The slowest strategy it may get.
    #[inline]
    pub(crate) fn slowest(&self) -> usize {
        let last = (self.table.1 - self.table.0) as usize - 1;
        if self.floor <= last { last } else { self.present }
    }

    /// What it takes beyond its fastest strategy.
    #[inline]
    pub(crate) fn time(&self, table: &[Point], strategy: usize) -> f64 {
        table[strategy].latency - table[self.fastest()].latency
    }

    /// What a strategy counts, loyalty included.
    #[inline]
    pub(crate) fn value(&self, table: &[Point], strategy: usize) -> f64 {
        let loyalty = if strategy == self.present { self.loyalty } else { 0.0 };
        self.worth * table[strategy].accuracy + loyalty
    }

    /// The most accurate strategy it may get that takes no more than `room` beyond `now`.
    #[inline]
    pub(crate) fn highest(&self, table: &[Point], now: usize, room: f64) -> usize {
        let mut highest = now;
        let mut next = (now + 1).max(self.floor);
        let most = table[now].latency + room;
        while next < table.len() && table[next].latency <= most {
            highest = next;
            next += 1;
        }
        highest
    }
}
