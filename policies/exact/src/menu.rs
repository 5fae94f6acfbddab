//! The strategy tables in the form that decisions need: columns, and the hull of every suffix.

use mosel_sdk::{Catalog, PolicyError, StrategyTable};

use crate::hull;

/// More strategies than that in one table are refused; servers keep 32.
const MOST_STRATEGIES: usize = 1 << 12;

/// The menus of a catalog, made once and used by every decision until the catalog changes.
#[derive(Debug, Default)]
pub(crate) struct Menus {
    revision: u64,
    /// Ids of the tables, ascending.
    tables: Vec<u32>,
    /// Where in the columns the menu of each table begins, and where the last one ends.
    starts: Vec<usize>,
    latencies: Vec<f64>,
    accuracies: Vec<f64>,
    next: Vec<u32>,
    slopes: Vec<f64>,
}

/// One menu. Latencies (whole microseconds) and accuracies both strictly increase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Menu<'a> {
    pub(crate) latencies: &'a [f64],
    pub(crate) accuracies: &'a [f64],
    /// The next strategy on the hull of what begins here; the last strategy is its own.
    pub(crate) next: &'a [u32],
    /// Accuracy gained a microsecond on the way to it.
    pub(crate) slopes: &'a [f64],
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

    /// The place of a table's menu.
    pub(crate) fn find(&self, table: u32) -> Option<usize> {
        self.tables.binary_search(&table).ok()
    }

    pub(crate) fn menu(&self, place: usize) -> Menu<'_> {
        let columns = self.starts[place]..self.starts[place + 1];
        Menu {
            latencies: &self.latencies[columns.clone()],
            accuracies: &self.accuracies[columns.clone()],
            next: &self.next[columns.clone()],
            slopes: &self.slopes[columns],
        }
    }

    fn push(&mut self, table: &StrategyTable) {
        let start = self.latencies.len();
        self.tables.push(table.id);
        self.latencies.extend(table.strategies.iter().map(|strategy| strategy.latency as f64));
        self.accuracies.extend(table.strategies.iter().map(|strategy| strategy.accuracy));
        let end = self.latencies.len();
        self.starts.push(end);
        self.next.resize(end, 0);
        self.slopes.resize(end, 0.0);
        let (latencies, accuracies) = (&self.latencies[start..], &self.accuracies[start..]);
        hull::of_every_suffix(latencies, accuracies, &mut self.next[start..], &mut self.slopes[start..]);
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
    let rises = |pair: &[mosel_sdk::Strategy]| pair[0].latency < pair[1].latency && pair[0].accuracy < pair[1].accuracy;
    match menu.windows(2).position(|pair| !rises(pair)) {
        Some(at) => {
            Err(format!("expected latency and accuracy both to rise, they do not from strategy {at} to the next"))
        }
        None => Ok(()),
    }
}
