//! The linear relaxation, in closed form.
//!
//! Where a row may be split between two strategies it goes up its hull, step by step. The deadlines bind what rows up
//! to each one take together; sets of steps under such nested limits are a polymatroid, so taking what is best first
//! is optimal. Seen from the front of the queue: take every step of the next row, and when that is too much give back
//! the flattest ones taken so far. The slope at which a deadline stops giving back is what time before it is worth.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use crate::hull;
use crate::point::Point;
use crate::queue::Queue;
use crate::row::Row;
use crate::tables::Tables;

/// The optimum of the relaxation. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Relaxation {
    /// Worth of a microsecond at each row: what giving one back would have to lose. Never increases from row to row.
    pub(crate) prices: Vec<f64>,
    /// What the optimum is worth: no choice is worth more.
    pub(crate) bound: f64,
    /// The optimum, rounded down: it fits.
    pub(crate) chosen: Vec<u32>,
    /// The steps of all rows' hulls.
    steps: Vec<Step>,
    climbs: Vec<Climb>,
    /// For every row that has taken a step its last one, flattest first.
    flattest: BinaryHeap<Reverse<(Slope, u32)>>,
}

/// One step up a hull.
#[derive(Clone, Copy, Debug)]
struct Step {
    to: u32,
    time: f64,
    /// Value gained a microsecond.
    slope: f64,
}

/// How far a row went up its hull.
#[derive(Clone, Copy, Debug)]
struct Climb {
    /// Its first step.
    first: u32,
    /// Past the last one taken.
    end: u32,
    /// How much of the last one was given back.
    given_back: f64,
}

/// A slope that is not negative, as an integer of the same order.
type Slope = u64;

impl Relaxation {
    /// Solves the relaxation of a queue.
    pub(crate) fn solve(&mut self, queue: &Queue, tables: &Tables) {
        self.steps.clear();
        self.climbs.clear();
        self.flattest.clear();
        self.prices.clear();
        let mut used = 0.0;
        for (at, (row, &slack)) in queue.rows.iter().zip(&queue.slack).enumerate() {
            used += self.climb(at, row, row.table(tables));
            let price = if used > slack { self.give_back(&mut used, slack) } else { 0.0 };
            self.prices.push(price);
        }
        let mut price: f64 = 0.0;
        for own in self.prices.iter_mut().rev() {
            price = price.max(*own);
            *own = price;
        }
        self.round_down(queue);
        self.bound = self.value(queue, tables);
    }

    /// Takes every step of the next row; says how long they are.
    fn climb(&mut self, at: usize, row: &Row, table: &[Point]) -> f64 {
        let first = self.steps.len() as u32;
        let mut from = row.fastest();
        let (mut to, mut slope) = first_step(row, table);
        let mut time = 0.0;
        while to != from {
            let step = table[to].latency - table[from].latency;
            self.steps.push(Step { to: to as u32, time: step, slope: row.worth * slope });
            time += step;
            from = to;
            (to, slope) = (table[from].next as usize, table[from].slope);
        }
        let end = self.steps.len() as u32;
        self.climbs.push(Climb { first, end, given_back: 0.0 });
        if end > first {
            self.flattest.push(Reverse((self.steps[end as usize - 1].slope.to_bits(), at as u32)));
        }
        time
    }

    /// Gives the flattest steps back until no more than `slack` is used; says how steep the last of them was.
    fn give_back(&mut self, used: &mut f64, slack: f64) -> f64 {
        loop {
            let mut flattest = self.flattest.peek_mut().expect("rows at their fastest take nothing");
            let Reverse((slope, at)) = *flattest;
            let climb = &mut self.climbs[at as usize];
            let left = self.steps[climb.end as usize - 1].time - climb.given_back;
            let excess = *used - slack;
            if left > excess {
                climb.given_back += excess;
                *used = slack;
                return f64::from_bits(slope);
            }
            *used -= left;
            climb.end -= 1;
            climb.given_back = 0.0;
            if climb.end > climb.first {
                flattest.0.0 = self.steps[climb.end as usize - 1].slope.to_bits();
            } else {
                PeekMut::pop(flattest);
            }
            if *used <= slack {
                return f64::from_bits(slope);
            }
        }
    }

    /// A step that was given back in part is not taken.
    fn round_down(&mut self, queue: &Queue) {
        self.chosen.clear();
        for (row, climb) in queue.rows.iter().zip(&self.climbs) {
            let end = if climb.given_back > 0.0 { climb.end - 1 } else { climb.end };
            let chosen = if end > climb.first { self.steps[end as usize - 1].to } else { row.fastest() as u32 };
            self.chosen.push(chosen);
        }
    }

    /// By duality: each row gets what is best at its price, and the time that is there is paid for.
    fn value(&self, queue: &Queue, tables: &Tables) -> f64 {
        let mut value = 0.0;
        for (at, row) in queue.rows.iter().enumerate() {
            let table = row.table(tables);
            let price = self.prices[at];
            let net = |strategy: usize| row.value(table, strategy) - price * row.time(table, strategy);
            value += net(self.chosen[at] as usize).max(net(row.present));
            let next_price = self.prices.get(at + 1).copied().unwrap_or(0.0);
            if price > next_price {
                value += (price - next_price) * queue.slack[at];
            }
        }
        value
    }
}

/// The first step up a row's hull; its present strategy may lie before the part of the table that keeps the floor.
fn first_step(row: &Row, table: &[Point]) -> (usize, f64) {
    let from = row.fastest();
    if row.present >= row.floor {
        (table[from].next as usize, table[from].slope)
    } else if row.floor == table.len() {
        (from, 0.0)
    } else {
        hull::tangent(table, from, row.floor)
    }
}
