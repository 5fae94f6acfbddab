//! A snapshot as a knapsack: what each row may get, what that is worth, and the time that rows share.

use mosel_sdk::{ACCURACY_TOLERANCE, PolicyError, Snapshot};

use crate::deadlines;
use crate::menu::{Menu, Menus};

/// Times are added up in floating point, which is exact for whole numbers up to here (285 years in microseconds).
const LONGEST_QUEUE: f64 = (1u64 << 53) as f64;
/// Weights are numbers up to here; nothing is gained from larger ones, and sums stay finite.
const GREATEST_WEIGHT: f64 = 1e100;
/// What staying on the present strategy is worth, as a share of what the row is worth at all: enough to settle ties.
const LOYALTY: f64 = 1e-10;

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

/// A row: the strategies it may get are those from `floor` on, and its present one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The place of its menu.
    pub(crate) place: usize,
    /// The first strategy of its menu that keeps the floor; past the end if none does, or if the row is late.
    pub(crate) floor: usize,
    pub(crate) present: usize,
    /// Weight times requests: what one unit of accuracy counts.
    pub(crate) worth: f64,
    /// What staying counts.
    loyalty: f64,
}

impl Queue {
    /// Reads a snapshot whose tables are all in `menus`.
    pub(crate) fn read(&mut self, snapshot: &Snapshot, menus: &Menus) -> Result<(), PolicyError> {
        self.rows.clear();
        let mut longest = 0.0;
        for row in 0..snapshot.jobs.len() {
            let row = read_row(snapshot, row, menus)?;
            let menu = menus.menu(row.place);
            longest += menu.latencies[row.slowest(menu)];
            self.rows.push(row);
        }
        if longest > LONGEST_QUEUE {
            return Err(PolicyError::Unsupported(format!(
                "expected the queue to take at most {LONGEST_QUEUE} microseconds, it may take {longest}"
            )));
        }
        self.hopeless = deadlines::slack(snapshot, menus, &self.rows, &mut self.slack);
        Ok(())
    }

    /// Every deadline holds that can be held.
    pub(crate) fn fits(&self, menus: &Menus, chosen: &[u32]) -> bool {
        let mut time = 0.0;
        self.rows.iter().zip(chosen).zip(&self.slack).all(|((row, &strategy), &slack)| {
            time += row.time(menus.menu(row.place), strategy as usize);
            time <= slack
        })
    }

    /// What a choice is worth, loyalty included.
    pub(crate) fn value(&self, menus: &Menus, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.value(menus.menu(row.place), strategy as usize)).sum()
    }

    /// Weight x requests x accuracy, added up.
    pub(crate) fn objective(&self, menus: &Menus, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.worth * menus.menu(row.place).accuracies[strategy as usize]).sum()
    }
}

fn read_row(snapshot: &Snapshot, row: usize, menus: &Menus) -> Result<Row, PolicyError> {
    let job = &snapshot.jobs[row];
    let place = menus.find(job.table);
    let place = place.ok_or_else(|| PolicyError::Internal(format!("table {} was never announced", job.table)))?;
    let menu = menus.menu(place);
    let below = |accuracy: &f64| *accuracy < job.min_accuracy - ACCURACY_TOLERANCE;
    let floor = if job.late || job.min_accuracy.is_nan() {
        menu.accuracies.len()
    } else {
        menu.accuracies.partition_point(below)
    };
    let present = job.current as usize;
    let weight = if job.weight >= 0.0 { job.weight.min(GREATEST_WEIGHT) } else { 0.0 };
    let worth = weight * f64::from(job.requests);
    Ok(Row { place, floor, present, worth, loyalty: LOYALTY * worth * menu.accuracies[present].abs() })
}

impl Row {
    /// The fastest strategy it may get.
    pub(crate) fn fastest(&self) -> usize {
        self.floor.min(self.present)
    }

    /// The slowest strategy it may get.
    pub(crate) fn slowest(&self, menu: Menu) -> usize {
        let last = menu.latencies.len() - 1;
        if self.floor <= last { last } else { self.present }
    }

    /// The next slower strategy it may get.
    pub(crate) fn slower(&self, menu: Menu, strategy: usize) -> Option<usize> {
        let slower = (strategy + 1).max(self.floor);
        (slower < menu.latencies.len()).then_some(slower)
    }

    /// What it takes beyond its fastest strategy.
    pub(crate) fn time(&self, menu: Menu, strategy: usize) -> f64 {
        menu.latencies[strategy] - menu.latencies[self.fastest()]
    }

    /// What a strategy counts, loyalty included.
    pub(crate) fn value(&self, menu: Menu, strategy: usize) -> f64 {
        let loyalty = if strategy == self.present { self.loyalty } else { 0.0 };
        self.worth * menu.accuracies[strategy] + loyalty
    }

    /// Calls back with every strategy it may get, fastest first.
    pub(crate) fn for_each_strategy(&self, menu: Menu, mut visit: impl FnMut(usize)) {
        if self.present < self.floor {
            visit(self.present);
        }
        (self.floor..menu.latencies.len()).for_each(visit);
    }
}
