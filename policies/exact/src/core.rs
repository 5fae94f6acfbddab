//! What is left to decide once a good choice is known.
//!
//! At the prices of the relaxation every strategy of a row loses something against the row's best one, and whoever
//! takes it loses that much against the bound. A strategy that loses more than the best known choice can be left out
//! (reduced-cost fixing); rows with one strategy left are decided. The rest, the core, is a knapsack of the same form.

use crate::queue::Queue;
use crate::relaxation::Relaxation;
use crate::tables::Tables;

/// The core is reduced again while that tightens the gap by this share, and not more often than that.
const WORTHWHILE: f64 = 0.1;
const MOST_REDUCTIONS: usize = 4;

/// So many steps of rows behind a stage are told apart; the flattest of more are taken for endless.
const MOST_STEPS: usize = 256;
/// So many lines describe what rows behind a stage are worth; what lies further from the deadline is extrapolated.
const MOST_LINES: usize = 32;

/// The core of a queue. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Core {
    /// Open rows, in queue order.
    pub(crate) stages: Vec<Stage>,
    /// Every strategy that loses less than the best choice known at the start, row by row, fastest first.
    candidates: Vec<Candidate>,
    /// Where each row's candidates end.
    ends: Vec<u32>,
    /// What the time that the relaxation had is worth to it.
    relaxed_bound: f64,
    /// The strategies that are left of open rows, row by row, fastest first.
    choices: Vec<Choice>,
    lines: Vec<Line>,
    /// Strategies of the rows that are decided; the fastest that is left of the others.
    pub(crate) chosen: Vec<u32>,
    /// What `chosen` is worth before open rows go up.
    pub(crate) base: f64,
    /// What no choice of the core is worth more than; what was left out is worth less than the best known choice.
    pub(crate) bound: f64,
    /// Steps of rows behind a stage, the steepest last.
    ahead: Vec<Step>,
}

/// An open row. Times and values are relative to its fastest strategy that is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stage {
    pub(crate) row: u32,
    /// The most that open rows up to this one may take together.
    pub(crate) most_time: f64,
    price: f64,
    choices: (u32, u32),
    lines: (u32, u32),
}

/// A strategy of an open row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) strategy: u32,
    pub(crate) time: f64,
    pub(crate) value: f64,
}

/// A strategy of any row, relative to the row's fastest one.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    strategy: u32,
    time: f64,
    value: f64,
    /// What it loses against the best strategy of its row, at the row's price.
    loss: f64,
}

/// What rows behind a stage are worth at most, by the relaxation, where up to `until` is used: `reach` less the time
/// used at the price.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) until: f64,
    pub(crate) reach: f64,
    pub(crate) price: f64,
}

/// A step up the hull of an open row.
#[derive(Clone, Copy, Debug)]
struct Step {
    slope: f64,
    time: f64,
}

impl Core {
    /// Begins with all strategies that can be part of a choice that is worth more than `known`.
    pub(crate) fn open(&mut self, queue: &Queue, tables: &Tables, relaxation: &Relaxation, known: f64) {
        self.candidates.clear();
        self.ends.clear();
        self.relaxed_bound = relaxation.bound;
        let room = relaxation.bound - known;
        for (at, row) in queue.rows.iter().enumerate() {
            let table = row.table(tables);
            let price = relaxation.prices[at];
            // Where time is for nothing, only the best will do.
            let room = if queue.slack[at] == f64::INFINITY { f64::MIN_POSITIVE } else { room };
            let net = |strategy: usize| row.value(table, strategy) - price * row.time(table, strategy);
            let best = net(relaxation.chosen[at] as usize).max(net(row.present));
            let mut offer = |strategy: usize| {
                let (value, time) = (row.value(table, strategy), row.time(table, strategy));
                let loss = best - (value - price * time);
                if loss < room {
                    self.candidates.push(Candidate { strategy: strategy as u32, time, value, loss });
                }
            };
            if row.present < row.floor {
                offer(row.present);
            }
            (row.floor..table.len()).for_each(offer);
            self.ends.push(self.candidates.len() as u32);
        }
    }

    /// Leaves out what cannot be part of a choice that is worth more than `known`. False if no choice is left.
    pub(crate) fn reduce(&mut self, queue: &Queue, relaxation: &Relaxation, known: f64) -> bool {
        let mut bound = self.relaxed_bound;
        // A smaller core has a tighter bound, which may make it smaller still.
        for _ in 0..MOST_REDUCTIONS {
            if !self.fix(queue, relaxation, bound - known) || !self.tighten() {
                return false;
            }
            let tighter = self.bound_at_prices();
            if tighter <= known {
                return false;
            }
            let gained = bound - tighter;
            bound = tighter;
            if gained < WORTHWHILE * (bound - known) {
                break;
            }
        }
        self.look_ahead();
        self.bound > known
    }

    /// The strategies that are left of an open row.
    pub(crate) fn choices(&self, stage: usize) -> &[Choice] {
        let (first, end) = self.stages[stage].choices;
        &self.choices[first as usize..end as usize]
    }

    /// What rows behind a stage are worth at most; the last line is for the least time used.
    pub(crate) fn lines(&self, stage: usize) -> &[Line] {
        let (first, end) = self.stages[stage].lines;
        &self.lines[first as usize..end as usize]
    }

    /// States that a pass looks at for each state that the beam is wide.
    pub(crate) fn breadth(&self) -> usize {
        self.choices.len().max(1)
    }

    /// Keeps the strategies that lose less than `room`. False if a row has none left.
    fn fix(&mut self, queue: &Queue, relaxation: &Relaxation, room: f64) -> bool {
        self.stages.clear();
        self.choices.clear();
        self.chosen.clear();
        self.base = 0.0;
        let mut fixed_time = 0.0;
        let mut from = 0;
        for (at, &end) in self.ends.iter().enumerate() {
            let first = self.choices.len();
            for candidate in &self.candidates[from..end as usize] {
                let &Candidate { strategy, time, value, loss } = candidate;
                if loss < room {
                    self.choices.push(Choice { strategy, time, value });
                }
            }
            from = end as usize;
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
            for choice in &mut self.choices[first..] {
                choice.time -= fastest.time;
                choice.value -= fastest.value;
            }
            let choices = (first as u32, self.choices.len() as u32);
            let price = relaxation.prices[at];
            self.stages.push(Stage { row: at as u32, most_time, price, choices, lines: (0, 0) });
        }
        true
    }

    /// Lets no open row use up what those behind it need. False if nothing fits.
    fn tighten(&mut self) -> bool {
        let mut least = f64::INFINITY;
        for stage in self.stages.iter_mut().rev() {
            least = least.min(stage.most_time);
            stage.most_time = least;
        }
        least >= 0.0
    }

    /// Each row gets what is best at its price, and the time that is there is paid for.
    fn bound_at_prices(&self) -> f64 {
        let mut bound = self.base;
        for (at, stage) in self.stages.iter().enumerate() {
            let net = |choice: &Choice| choice.value - stage.price * choice.time;
            bound += self.choices(at).iter().map(net).fold(0.0, f64::max);
            let next_price = self.stages.get(at + 1).map_or(0.0, |stage| stage.price);
            bound += (stage.price - next_price) * stage.most_time;
        }
        bound
    }

    /// Solves the relaxation of the rows behind each stage for every time that may be used up to it.
    fn look_ahead(&mut self) {
        self.lines.clear();
        self.ahead.clear();
        // What rows behind the stage gain in any case.
        let mut sure = 0.0;
        for at in (0..self.stages.len()).rev() {
            self.draw_lines(at, sure);
            self.add_steps(at);
            let before = if at == 0 { 0.0 } else { self.stages[at - 1].most_time };
            sure += self.take(self.stages[at].most_time - before);
        }
        self.bound = self.base + sure;
    }

    /// The steps ahead, steepest first, as lines over the time used up to a stage.
    fn draw_lines(&mut self, at: usize, sure: f64) {
        let first = self.lines.len();
        let mut until = self.stages[at].most_time;
        let mut worth = sure;
        for step in self.ahead.iter().rev().take(MOST_LINES) {
            self.lines.push(Line { until, reach: worth + step.slope * until, price: step.slope });
            worth += step.slope * step.time;
            until -= step.time;
        }
        if self.ahead.len() < MOST_LINES {
            self.lines.push(Line { until, reach: worth, price: 0.0 });
        }
        self.stages[at].lines = (first as u32, self.lines.len() as u32);
    }

    /// Adds the steps up a row's hull.
    fn add_steps(&mut self, at: usize) {
        let (first, end) = self.stages[at].choices;
        let mut from = first as usize;
        while from + 1 < end as usize {
            let Choice { time, value, .. } = self.choices[from];
            let step_to = |to: usize| {
                let time = self.choices[to].time - time;
                Step { slope: (self.choices[to].value - value) / time, time }
            };
            let (mut steepest, mut steepest_to) = (step_to(from + 1), from + 1);
            for to in from + 2..end as usize {
                let step = step_to(to);
                if step.slope >= steepest.slope {
                    (steepest, steepest_to) = (step, to);
                }
            }
            from = steepest_to;
            if steepest.slope <= 0.0 {
                break;
            }
            let place = self.ahead.partition_point(|step| step.slope < steepest.slope);
            self.ahead.insert(place, steepest);
        }
        if self.ahead.len() > MOST_STEPS {
            self.ahead.drain(..self.ahead.len() - MOST_STEPS);
            self.ahead[0].time = f64::INFINITY;
        }
    }

    /// Takes the steepest steps ahead until `time` is used up; says what they gain.
    fn take(&mut self, mut time: f64) -> f64 {
        let mut gain = 0.0;
        while time > 0.0
            && let Some(steepest) = self.ahead.last_mut()
        {
            if steepest.time > time {
                steepest.time -= time;
                return gain + steepest.slope * time;
            }
            gain += steepest.slope * steepest.time;
            time -= steepest.time;
            self.ahead.pop();
        }
        gain
    }
}
