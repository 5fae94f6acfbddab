//! The strategy tables in the form that decisions need: one list of points, with the hull of every suffix.

use std::ops::Range;

use mosel_sdk::{Catalog, PolicyError, Strategy, StrategyTable};

use crate::hull;
use crate::point::Point;

/// More strategies than that in one table are refused; servers keep 32.
const MOST_STRATEGIES: usize = 1 << 12;

/// The strategy tables of a catalog, made once and used by every decision until the catalog changes.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    revision: u64,
    /// Ascending.
    ids: Vec<u32>,
    /// Where each table begins, and where the last one ends.
    starts: Vec<usize>,
    points: Vec<Point>,
}

impl Tables {
    /// Refuses tables whose strategies do not rise.
    pub(crate) fn new(catalog: &Catalog) -> Result<Tables, PolicyError> {
        let mut tables = Tables { revision: catalog.revision(), starts: vec![0], ..Tables::default() };
        for table in catalog.tables() {
            check(table).map_err(|reason| PolicyError::Unsupported(format!("table {}: {reason}", table.id)))?;
            tables.push(table);
        }
        Ok(tables)
    }

    /// Of which catalog they are.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Where a table is; [`Tables::at`] gives it.
    pub(crate) fn find(&self, table: u32) -> Option<Range<usize>> {
        let place = self.ids.binary_search(&table).ok()?;
        Some(self.starts[place]..self.starts[place + 1])
    }

    pub(crate) fn at(&self, place: Range<usize>) -> &[Point] {
        &self.points[place]
    }

    fn push(&mut self, table: &StrategyTable) {
        let first = self.points.len();
        self.ids.push(table.id);
        let point = |strategy: &Strategy| Point::new(strategy.latency as f64, strategy.accuracy);
        self.points.extend(table.strategies.iter().map(point));
        self.starts.push(self.points.len());
        hull::of_every_suffix(&mut self.points[first..]);
    }
}

fn check(table: &StrategyTable) -> Result<(), String> {
    let strategies = &table.strategies;
    if strategies.is_empty() || strategies.len() > MOST_STRATEGIES {
        return Err(format!("expected 1 to {MOST_STRATEGIES} strategies, it has {}", strategies.len()));
    }
    if let Some(odd) = strategies.iter().position(|strategy| !strategy.accuracy.is_finite()) {
        return Err(format!(
            "expected accuracies to be numbers, that of strategy {odd} is {}",
            strategies[odd].accuracy
        ));
    }
    let rises = |pair: &[Strategy]| pair[0].latency < pair[1].latency && pair[0].accuracy < pair[1].accuracy;
    match strategies.windows(2).position(|pair| !rises(pair)) {
        Some(at) => {
            Err(format!("expected latency and accuracy both to rise, they do not from strategy {at} to the next"))
        }
        None => Ok(()),
    }
}
