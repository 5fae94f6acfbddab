//! The strategy tables in the form that decisions need: one list of points, with the hull of every suffix.

use std::ops::Range;

use mosel_sdk::{Catalog, PolicyError, Strategy, StrategyTable};

use crate::hull;

/// More strategies than that in one table are refused; servers keep 32.
const MOST_STRATEGIES: usize = 1 << 12;

/// The menus of a catalog, made once and used by every decision until the catalog changes.
#[derive(Debug, Default)]
pub(crate) struct Menus {
    revision: u64,
    /// Ids of the tables, ascending.
    tables: Vec<u32>,
    /// Where the menu of each table begins, and where the last one ends.
    starts: Vec<usize>,
    points: Vec<Point>,
}

/// A strategy of a menu. Along a menu latencies (whole microseconds) and accuracies both strictly increase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) latency: f64,
    pub(crate) accuracy: f64,
    /// Accuracy gained a microsecond on the way to `next`.
    pub(crate) slope: f64,
    /// The next strategy on the hull of what begins here; the last strategy is its own.
    pub(crate) next: u32,
}

impl Point {
    /// A point that is on no hull yet.
    pub(crate) fn new(latency: f64, accuracy: f64) -> Point {
        Point { latency, accuracy, slope: 0.0, next: 0 }
    }
}

impl Menus {
    /// Refuses tables that are not menus.
    pub(crate) fn new(catalog: &Catalog) -> Result<Menus, PolicyError> {
        let mut menus = Menus { revision: catalog.revision(), starts: vec![0], ..Menus::default() };
        for table in catalog.tables() {
            check(table).map_err(|reason| PolicyError::Unsupported(format!("table {}: {reason}", table.id)))?;
            menus.push(table);
        }
        Ok(menus)
    }

    /// Of which catalog they are.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Where a table's menu is; [`Menus::at`] gives it.
    pub(crate) fn find(&self, table: u32) -> Option<Range<usize>> {
        let place = self.tables.binary_search(&table).ok()?;
        Some(self.starts[place]..self.starts[place + 1])
    }

    pub(crate) fn at(&self, place: Range<usize>) -> &[Point] {
        &self.points[place]
    }

    fn push(&mut self, table: &StrategyTable) {
        let first = self.points.len();
        self.tables.push(table.id);
        let point = |strategy: &Strategy| Point::new(strategy.latency as f64, strategy.accuracy);
        self.points.extend(table.strategies.iter().map(point));
        self.starts.push(self.points.len());
        hull::of_every_suffix(&mut self.points[first..]);
    }
}

fn check(table: &StrategyTable) -> Result<(), String> {
    let menu = &table.strategies;
    if menu.is_empty() || menu.len() > MOST_STRATEGIES {
        return Err(format!("expected 1 to {MOST_STRATEGIES} strategies, it has {}", menu.len()));
    }
    if let Some(odd) = menu.iter().position(|strategy| !strategy.accuracy.is_finite()) {
        return Err(format!("expected accuracies to be numbers, that of strategy {odd} is {}", menu[odd].accuracy));
    }
    let rises = |pair: &[Strategy]| pair[0].latency < pair[1].latency && pair[0].accuracy < pair[1].accuracy;
    match menu.windows(2).position(|pair| !rises(pair)) {
        Some(at) => {
            Err(format!("expected latency and accuracy both to rise, they do not from strategy {at} to the next"))
        }
        None => Ok(()),
    }
}
