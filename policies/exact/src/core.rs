//! What is left to decide once a good choice is known.
//!
//! At the prices of the relaxation every strategy of a row loses something against the row's best one, and whoever
//! takes it loses that much against the bound. A strategy that loses more than the best known choice can be left out
//! (reduced-cost fixing); rows with one strategy left are decided. The rest, the core, is a knapsack of the same form.

use crate::menu::Menus;
use crate::queue::Queue;
use crate::relaxation::Relaxation;

/// The core is reduced again while that tightens the gap by this share, and not more often than that.
const WORTHWHILE: f64 = 0.1;
const MOST_REDUCTIONS: usize = 4;

/// The core of a queue. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Open rows, in queue order.
    pub(crate) stages: Vec<Stage>,
    /// The strategies that are left, row by row, fastest first.
    choices: Vec<Choice>,
    /// Strategies of the rows that are decided; the fastest that is left of the others.
    pub(crate) chosen: Vec<u32>,
    /// What no choice of the core is worth more than; what was left out is worth less than the best known choice.
    pub(crate) bound: f64,
    /// What `chosen` is worth before open rows go up.
    pub(crate) base: f64,
}

/// An open row. Times and values are relative to its fastest strategy that is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) row: u32,
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// Worth of a microsecond from this row on.
    pub(crate) price: f64,
    /// The most that open rows up to this one may take together.
    pub(crate) most_time: f64,
    /// With less than that too much time is left unused to beat the best known choice.
    pub(crate) least_time: f64,
    /// The bound on what rows up to this one are worth, if time behind it is paid for at the next price.
    pub(crate) bound: f64,
}

/// A strategy of an open row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) strategy: u32,
    pub(crate) time: f64,
    pub(crate) value: f64,
}

impl Core {
    /// Leaves out what cannot be part of a choice that is worth more than `known`. False if no choice is left.
    pub(crate) fn reduce(&mut self, queue: &Queue, menus: &Menus, relaxation: &Relaxation, known: f64) -> bool {
        let mut bound = relaxation.bound;
        // A smaller core has a tighter bound, which may make it smaller still.
        for _ in 0..MOST_REDUCTIONS {
            if !self.fix(queue, menus, relaxation, bound - known) || self.bound <= known {
                return false;
            }
            let gained = bound - self.bound;
            bound = self.bound;
            if gained < WORTHWHILE * (bound - known) {
                break;
            }
        }
        self.least_times(known);
        true
    }

    /// Keeps the strategies that lose less than `room`.
    fn fix(&mut self, queue: &Queue, menus: &Menus, relaxation: &Relaxation, room: f64) -> bool {
        self.stages.clear();
        self.choices.clear();
        self.chosen.clear();
        self.base = 0.0;
        let mut fixed_time = 0.0;
        for (at, row) in queue.rows.iter().enumerate() {
            let menu = menus.menu(row.place);
            let price = relaxation.prices[at];
            let net = |strategy: usize| row.value(menu, strategy) - price * row.time(menu, strategy);
            let best = net(relaxation.chosen[at] as usize).max(net(row.present));
            let first = self.choices.len();
            row.for_each_strategy(menu, |strategy| {
                let value = row.value(menu, strategy);
                let time = row.time(menu, strategy);
                if best - (value - price * time) < room {
                    self.choices.push(Choice { strategy: strategy as u32, time, value });
                }
            });
            let Some(&fastest) = self.choices.get(first) else { return false };
            fixed_time += fastest.time;
            self.base += fastest.value;
            self.chosen.push(fastest.strategy);
            let most_time = queue.slack[at] - fixed_time;
            if self.choices.len() - first == 1 {
                self.choices.truncate(first);
                match self.stages.last_mut() {
                    Some(stage) => stage.most_time = stage.most_time.min(most_time),
                    None if most_time < 0.0 => return false,
                    None => {}
                }
                continue;
            }
            for option in &mut self.choices[first..] {
                option.time -= fastest.time;
                option.value -= fastest.value;
            }
            let (first, end) = (first as u32, self.choices.len() as u32);
            let stage =
                Stage { row: at as u32, first, end, price, most_time, least_time: f64::NEG_INFINITY, bound: 0.0 };
            self.stages.push(stage);
        }
        self.tighten()
    }

    /// Lets no open row use up what those behind it need, and adds the bound up. False if nothing fits.
    fn tighten(&mut self) -> bool {
        let mut least = f64::INFINITY;
        for stage in self.stages.iter_mut().rev() {
            least = least.min(stage.most_time);
            stage.most_time = least;
        }
        if least < 0.0 {
            return false;
        }
        let mut bound = 0.0;
        for at in 0..self.stages.len() {
            let stage = self.stages[at];
            let options = &self.choices[stage.first as usize..stage.end as usize];
            bound += options.iter().map(|option| option.value - stage.price * option.time).fold(0.0, f64::max);
            let paid = stage.price - self.next_price(at);
            if paid > 0.0 {
                bound += paid * stage.most_time;
            }
            self.stages[at].bound = bound;
        }
        self.bound = self.base + bound;
        true
    }

    /// The strategies that are left of an open row.
    pub(crate) fn choices(&self, stage: usize) -> &[Choice] {
        let Stage { first, end, .. } = self.stages[stage];
        &self.choices[first as usize..end as usize]
    }

    /// States that a pass looks at for each state that the beam is wide.
    pub(crate) fn breadth(&self) -> usize {
        // Strategies are merged one after another, so the first is looked at as often as there are others.
        let looks = |stage: &Stage| {
            let count = (stage.end - stage.first) as usize;
            count * (count + 1) / 2
        };
        self.stages.iter().map(looks).sum::<usize>().max(1)
    }

    /// Worth of a microsecond behind a stage.
    pub(crate) fn next_price(&self, stage: usize) -> f64 {
        self.stages.get(stage + 1).map_or(0.0, |stage| stage.price)
    }

    fn least_times(&mut self, known: f64) {
        let room = self.bound - known;
        let mut least = f64::NEG_INFINITY;
        for at in (0..self.stages.len()).rev() {
            let paid = self.stages[at].price - self.next_price(at);
            let stage = &mut self.stages[at];
            if paid > 0.0 {
                least = least.max(stage.most_time - room / paid);
            }
            // Whole microseconds, and a little more for rounding.
            stage.least_time = least - 1.0;
            let slowest = self.choices[stage.end as usize - 1].time;
            least -= slowest;
        }
    }
}
