//! From the relaxation to the optimum: pass after pass, until the gap is closed or the work is used up.

use mosel_sdk::Micros;

use crate::beam::Beam;
use crate::core::Core;
use crate::fill::Fill;
use crate::queue::Queue;
use crate::relaxation::Relaxation;
use crate::tables::Tables;

/// The passes of a search, each tried again for as long as it finds something better.
///
/// The first ones look only for choices that close most of the gap, which leaves few strategies and few states; what
/// they find makes the later ones cheap.
const PASSES: [Pass; 6] = [
    Pass { ambition: 0.7, width: 16 },
    Pass { ambition: 0.4, width: 16 },
    Pass { ambition: 0.0, width: 64 },
    Pass { ambition: 0.0, width: 512 },
    Pass { ambition: 0.0, width: 4096 },
    Pass { ambition: 0.0, width: 1 << 15 },
];
/// A narrower beam finds nothing.
const LEAST_WIDTH: usize = 4;
/// Two values are told apart if they differ by this share: sums of floating-point numbers are not exact.
const TOLERANCE: f64 = 2e-13;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// It ends when the best choice is proven to be within this share of the optimum.
    pub(crate) gap: f64,
    /// States it may look at.
    pub(crate) work: usize,
    /// It ends as well when less time than this remains of the call.
    pub(crate) reserve: Micros,
}

/// One look for something better.
#[derive(Clone, Copy, Debug)]
struct Pass {
    /// The share of the gap that a choice has to close to be looked for.
    ambition: f64,
    /// States a row.
    width: usize,
}

/// Everything a search needs. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Search {
    relaxation: Relaxation,
    fill: Fill,
    core: Core,
    beam: Beam,
    chosen: Vec<u32>,
    present: Vec<u32>,
}

/// The best choice that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Best<'a> {
    pub(crate) chosen: &'a [u32],
    /// No choice is worth more than this; loyalty included.
    pub(crate) bound: f64,
    /// It is the optimum.
    pub(crate) optimal: bool,
}

impl Search {
    /// What no choice for a queue is worth more than, by the relaxation alone.
    pub(crate) fn limit(&mut self, queue: &Queue, tables: &Tables) -> f64 {
        self.relaxation.solve(queue, tables);
        self.relaxation.bound
    }

    /// The best choice for a queue that can be found with this effort.
    pub(crate) fn run(&mut self, queue: &Queue, tables: &Tables, effort: Effort) -> Best<'_> {
        self.relaxation.solve(queue, tables);
        let mut bound = self.relaxation.bound;
        let tolerance = TOLERANCE * bound.abs();
        let mut value = self.first_choice(queue, tables);
        let open = |bound: f64, value: f64| bound - value > tolerance.max(effort.gap * bound.abs());
        self.beam.work = 0;
        let mut passes = PASSES.iter().peekable();
        if open(bound, value) {
            self.core.open(queue, tables, &self.relaxation, value + tolerance);
        }
        while open(bound, value)
            && let Some(&&Pass { ambition, width }) = passes.peek()
        {
            let target = value + ambition * (bound - value) + tolerance;
            if !self.core.reduce(queue, &self.relaxation, target) {
                bound = target;
                passes.next();
                continue;
            }
            bound = bound.min(self.core.bound);
            if !open(bound, value) {
                break;
            }
            let width = width.min((effort.work - self.beam.work) / self.core.breadth());
            if width < LEAST_WIDTH || mosel_sdk::remaining() < effort.reserve {
                break;
            }
            let found = self.beam.pass(&mut self.core, target, width);
            match found.better {
                Some(better) => {
                    value = better;
                    self.chosen.copy_from_slice(&self.core.chosen);
                }
                None => drop(passes.next()),
            }
            bound = bound.min(found.missed.max(value));
        }
        Best { chosen: &self.chosen, bound, optimal: bound <= value + tolerance }
    }

    /// The relaxation rounded down or the present choice, whichever is worth more once time left over is used.
    fn first_choice(&mut self, queue: &Queue, tables: &Tables) -> f64 {
        self.chosen.clone_from(&self.relaxation.chosen);
        self.fill.fill(queue, tables, &mut self.chosen);
        let value = queue.value(tables, &self.chosen);
        self.present.clear();
        self.present.extend(queue.rows.iter().map(|row| row.present as u32));
        if !queue.fits(tables, &self.present) {
            return value;
        }
        self.fill.fill(queue, tables, &mut self.present);
        let present_value = queue.value(tables, &self.present);
        if present_value >= value {
            std::mem::swap(&mut self.chosen, &mut self.present);
        }
        value.max(present_value)
    }
}
