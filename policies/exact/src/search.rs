//! From the relaxation to the optimum: pass after pass with a wider beam, until the gap or the work is used up.

use mosel_sdk::Micros;

use crate::beam::Beam;
use crate::core::Core;
use crate::fill::Fill;
use crate::menu::Menus;
use crate::queue::Queue;
use crate::relaxation::Relaxation;

/// States a row in the first pass, and how many times more in the next one each time.
const FIRST_WIDTH: usize = 64;
const WIDER: usize = 8;
/// A narrower beam finds nothing.
const LEAST_WIDTH: usize = 4;
/// Origins are 32 bits: states of a stage times strategies of a menu.
const GREATEST_WIDTH: usize = 1 << 16;
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
    pub(crate) fn run(&mut self, queue: &Queue, menus: &Menus, effort: Effort) -> Best<'_> {
        self.relaxation.solve(queue, menus);
        let mut bound = self.relaxation.bound;
        let tolerance = TOLERANCE * bound.abs();
        let mut value = self.first_choice(queue, menus);
        self.beam.work = 0;
        let mut width = FIRST_WIDTH;
        while bound > value + tolerance {
            if !self.core.reduce(queue, menus, &self.relaxation, value + tolerance) {
                bound = value;
                break;
            }
            bound = bound.min(self.core.bound);
            if bound - value <= effort.gap * bound.abs() {
                break;
            }
            let affordable = (effort.work - self.beam.work) / self.core.breadth();
            width = width.min(affordable).min(GREATEST_WIDTH);
            if width < LEAST_WIDTH || mosel_sdk::remaining() < effort.reserve {
                break;
            }
            let found = self.beam.pass(&mut self.core, value + tolerance, width);
            if let Some(better) = found.better {
                value = better;
                self.chosen.copy_from_slice(&self.core.chosen);
            }
            bound = bound.min(found.missed.max(value));
            width *= WIDER;
        }
        Best { chosen: &self.chosen, bound, optimal: bound <= value + tolerance }
    }

    /// The relaxation rounded down or the present choice, whichever is worth more once time left over is used.
    fn first_choice(&mut self, queue: &Queue, menus: &Menus) -> f64 {
        self.chosen.clone_from(&self.relaxation.chosen);
        self.fill.fill(queue, menus, &mut self.chosen);
        let value = queue.value(menus, &self.chosen);
        self.present.clear();
        self.present.extend(queue.rows.iter().map(|row| row.present as u32));
        if !queue.fits(menus, &self.present) {
            return value;
        }
        self.fill.fill(queue, menus, &mut self.present);
        let present_value = queue.value(menus, &self.present);
        if present_value >= value {
            std::mem::swap(&mut self.chosen, &mut self.present);
        }
        value.max(present_value)
    }
}
