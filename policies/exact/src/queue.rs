//! A snapshot as a knapsack: what each row may get, what that is worth, and the time that rows share.

use mosel_sdk::{ACCURACY_TOLERANCE, PolicyError, Snapshot};

use crate::deadlines;
use crate::menu::{Menus, Point};

/// Times are added up in floating point, which is exact for whole numbers up to here (285 years in microseconds).
const LONGEST_QUEUE: f64 = (1u64 << 53) as f64;
/// Weights are numbers up to here; nothing is gained from larger ones, and sums stay finite.
const GREATEST_WEIGHT: f64 = 1e100;
/// Of any reserve, this share is for devices that are not as fast as they were, and left free whatever the horizon.
const UNSTEADY: f64 = 0.25;
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
    /// Where its menu is among all menus.
    menu: (u32, u32),
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
            longest += row.menu(menus)[row.slowest()].latency;
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

    /// Some deadline does not leave time for everything.
    pub(crate) fn presses(&self) -> bool {
        self.slack.iter().any(|slack| slack.is_finite())
    }

    /// Leaves some of the time that rows may take beyond their fastest strategies free, where deadlines press: `reserve`
    /// of it, or less if everything is done so early that jobs like these find room, which is what `horizon` says.
    pub(crate) fn keep(&mut self, reserve: f64, horizon: f64, snapshot: &Snapshot, menus: &Menus) {
        let near = self.until(horizon, snapshot, menus);
        let most = 1.0 - reserve.min(UNSTEADY);
        // whole microseconds add up exactly
        let kept = |slack: f64| (slack * (1.0 - reserve)).max(near).min(slack * most).floor();
        self.slack.iter_mut().for_each(|slack| *slack = kept(*slack));
    }

    /// What all rows may take together beyond their fastest strategies, to be done within this share of the shortest time
    /// that any of them was given on its arrival.
    fn until(&self, horizon: f64, snapshot: &Snapshot, menus: &Menus) -> f64 {
        let on_time = snapshot.jobs.iter().filter(|job| !job.late);
        let Some(given) = on_time.map(|job| job.deadline.saturating_sub(job.arrival)).min() else { return 0.0 };
        let end = snapshot.now as f64 + horizon * given as f64;
        let fastest: f64 = self.rows.iter().map(|row| row.menu(menus)[row.fastest()].latency).sum();
        deadlines::work_until(snapshot, end) - fastest
    }

    /// Every deadline holds that can be held.
    pub(crate) fn fits(&self, menus: &Menus, chosen: &[u32]) -> bool {
        let mut time = 0.0;
        self.rows.iter().zip(chosen).zip(&self.slack).all(|((row, &strategy), &slack)| {
            time += row.time(row.menu(menus), strategy as usize);
            time <= slack
        })
    }

    /// What a choice is worth, loyalty included.
    pub(crate) fn value(&self, menus: &Menus, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.value(row.menu(menus), strategy as usize)).sum()
    }

    /// Weight x requests x accuracy, added up.
    pub(crate) fn objective(&self, menus: &Menus, chosen: &[u32]) -> f64 {
        let rows = self.rows.iter().zip(chosen);
        rows.map(|(row, &strategy)| row.worth * row.menu(menus)[strategy as usize].accuracy).sum()
    }
}

fn read_row(snapshot: &Snapshot, row: usize, menus: &Menus) -> Result<Row, PolicyError> {
    let job = &snapshot.jobs[row];
    let place = menus.find(job.table);
    let place = place.ok_or_else(|| PolicyError::Internal(format!("table {} was never announced", job.table)))?;
    let (first, end) = (place.start as u32, place.end as u32);
    let menu = menus.at(place);
    let below = |point: &Point| point.accuracy < job.min_accuracy - ACCURACY_TOLERANCE;
    let floor = if job.late || job.min_accuracy.is_nan() { menu.len() } else { menu.partition_point(below) };
    let present = job.current as usize;
    let weight = if job.weight >= 0.0 { job.weight.min(GREATEST_WEIGHT) } else { 0.0 };
    let worth = weight * f64::from(job.requests);
    let loyalty = LOYALTY * worth * menu[present].accuracy.abs();
    Ok(Row { menu: (first, end), floor, present, worth, loyalty })
}

impl Row {
    /// Its menu.
    #[inline]
    pub(crate) fn menu<'a>(&self, menus: &'a Menus) -> &'a [Point] {
        menus.at(self.menu.0 as usize..self.menu.1 as usize)
    }

    /// The fastest strategy it may get.
    #[inline]
    pub(crate) fn fastest(&self) -> usize {
        self.floor.min(self.present)
    }

    /// The slowest strategy it may get.
    #[inline]
    pub(crate) fn slowest(&self) -> usize {
        let last = (self.menu.1 - self.menu.0) as usize - 1;
        if self.floor <= last { last } else { self.present }
    }

    /// What it takes beyond its fastest strategy.
    #[inline]
    pub(crate) fn time(&self, menu: &[Point], strategy: usize) -> f64 {
        menu[strategy].latency - menu[self.fastest()].latency
    }

    /// What a strategy counts, loyalty included.
    #[inline]
    pub(crate) fn value(&self, menu: &[Point], strategy: usize) -> f64 {
        let loyalty = if strategy == self.present { self.loyalty } else { 0.0 };
        self.worth * menu[strategy].accuracy + loyalty
    }

    /// The most accurate strategy it may get that takes no more than `room` beyond `now`.
    #[inline]
    pub(crate) fn highest(&self, menu: &[Point], now: usize, room: f64) -> usize {
        let mut highest = now;
        let mut next = (now + 1).max(self.floor);
        let most = menu[now].latency + room;
        while next < menu.len() && menu[next].latency <= most {
            highest = next;
            next += 1;
        }
        highest
    }
}
