//! The dynamic program over the core: the best choices by time used, row by row, as many as the beam is wide.
//!
//! A state that takes longer than another one and is worth no more is dominated. A state whose bound is not above
//! the best known choice is pruned (Lawler; Dyer). Where more states are left than the beam holds, those with the
//! greatest bounds stay, and the greatest bound of the others limits what may have been missed.

use crate::core::{Choice, Core, Line};

/// Buckets of bounds, to find out which states stay without sorting them.
const BUCKETS: usize = 32;

/// The states. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Beam {
    /// The states of a stage by rising time and rising value, then `END`; what lies behind is old.
    states: Vec<State>,
    /// The states that a stage could have: for each choice those by rising time and rising value, then `END`.
    offered: Vec<State>,
    /// By how much the bound of each of them is above the best known value.
    surpluses: Vec<f64>,
    /// Where those of each choice begin, and where their `END` is.
    runs: Vec<(usize, usize)>,
    merging: Vec<State>,
    /// Where each state that was kept came from.
    origins: Vec<u32>,
    layers: Vec<Layer>,
    /// States that were looked at since the decision began.
    pub(crate) work: usize,
}

/// Choices for the rows so far.
#[derive(Clone, Copy, Debug)]
struct State {
    time: f64,
    value: f64,
    /// Choice times number of states of the stage before, plus the state's place there.
    origin: u32,
}

/// A stage that was passed.
#[derive(Clone, Copy, Debug)]
struct Layer {
    /// Its first origin.
    first: usize,
    /// Number of states of the stage before.
    before: u32,
}

const START: State = State { time: 0.0, value: 0.0, origin: 0 };
const END: State = State { time: f64::INFINITY, value: f64::NEG_INFINITY, origin: 0 };

/// What a pass found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// What the best choice is worth, if it is worth more than what was known; it is in `Core::chosen`.
    pub(crate) better: Option<f64>,
    /// The greatest bound among the states that were left out for want of width; if there were none, what was known.
    pub(crate) missed: f64,
}

impl Beam {
    /// Looks for a choice that is worth more than `known`, with at most `width` states a stage.
    pub(crate) fn pass(&mut self, core: &mut Core, known: f64, width: usize) -> Found {
        self.origins.clear();
        self.layers.clear();
        make_room(&mut self.states, 2, END)[..2].copy_from_slice(&[START, END]);
        let mut count = 1;
        let mut missed = 0.0;
        for at in 0..core.stages.len() {
            self.layers.push(Layer { first: self.origins.len(), before: count as u32 });
            let lines = core.lines(at);
            let outlook = Outlook { most_time: core.stages[at].most_time, lines, known: known - core.base };
            let (offers, most_surplus) = self.offer(core.choices(at), count, &outlook);
            if offers > width {
                missed = self.select(width, most_surplus).max(missed);
            }
            count = self.merge();
            self.origins.extend(self.states[..count].iter().map(|state| state.origin));
        }
        let missed = known + missed;
        // The last state is worth the most.
        let Some(best) = count.checked_sub(1) else { return Found { better: None, missed } };
        let value = core.base + self.states[best].value;
        self.trace(core, best);
        Found { better: Some(value), missed }
    }

    /// Makes every choice in every state; says how many states are worth going on with, and the greatest surplus.
    fn offer(&mut self, choices: &[Choice], count: usize, outlook: &Outlook) -> (usize, f64) {
        self.runs.clear();
        self.work += choices.len() * count;
        let most = choices.len() * (count + 1);
        let offered = make_room(&mut self.offered, most, END);
        let surpluses = make_room(&mut self.surpluses, most, 0.0);
        let (mut end, mut most_surplus) = (0, 0.0);
        for (number, choice) in choices.iter().enumerate() {
            let first = end;
            let origins = (number * count) as u32..;
            let mut lines = outlook.lines.iter().rev();
            let mut line = Offset::new(lines.next(), choice, outlook.known);
            for (state, origin) in self.states[..count].iter().zip(origins) {
                let time = state.time + choice.time;
                if time > outlook.most_time {
                    break;
                }
                while time > line.until {
                    line = Offset::new(lines.next(), choice, outlook.known);
                }
                let surplus = line.reach + state.value - line.price * state.time;
                offered[end] = State { time, value: state.value + choice.value, origin };
                surpluses[end] = surplus;
                end += usize::from(surplus > 0.0);
                most_surplus = if surplus > most_surplus { surplus } else { most_surplus };
            }
            offered[end] = END;
            self.runs.push((first, end));
            end += 1;
        }
        (end - choices.len(), most_surplus)
    }

    /// Keeps the offered states of the greatest surplus. The greatest surplus of the others is given.
    fn select(&mut self, width: usize, most_surplus: f64) -> f64 {
        let buckets_a_surplus = BUCKETS as f64 / most_surplus;
        let bucket = |surplus: f64| ((surplus * buckets_a_surplus) as usize).min(BUCKETS - 1);
        let mut counts = [0_u32; BUCKETS];
        for &(first, end) in &self.runs {
            self.surpluses[first..end].iter().for_each(|&surplus| counts[bucket(surplus)] += 1);
        }
        let (bar, mut places) = bar(&counts, width);
        let mut missed = 0.0;
        let mut kept = 0;
        for (first, end) in &mut self.runs {
            let begin = kept;
            for at in *first..*end {
                let surplus = self.surpluses[at];
                let bucket = bucket(surplus);
                let at_bar = (bucket == bar) & (places > 0);
                let stays = (bucket > bar) | at_bar;
                places -= usize::from(at_bar);
                self.offered[kept] = self.offered[at];
                kept += usize::from(stays);
                missed = if !stays & (surplus > missed) { surplus } else { missed };
            }
            self.offered[kept] = END;
            (*first, *end) = (begin, kept);
            kept += 1;
        }
        missed
    }

    /// Makes the offered states those of this stage, without those that are dominated; says how many there are.
    fn merge(&mut self) -> usize {
        let mut runs = self.runs.iter().filter(|(first, end)| first < end);
        let Some(&(first, end)) = runs.next() else { return 0 };
        let mut count = end - first;
        make_room(&mut self.states, count + 1, END)[..=count].copy_from_slice(&self.offered[first..=end]);
        for &(first, end) in runs {
            let merging = make_room(&mut self.merging, count + end - first + 1, END);
            count = merge(&self.states[..=count], &self.offered[first..=end], merging);
            std::mem::swap(&mut self.states, &mut self.merging);
        }
        count
    }

    /// Writes the choice that a state of the last stage stands for.
    fn trace(&self, core: &mut Core, state: usize) {
        let mut state = state as u32;
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let origin = self.origins[layer.first + state as usize];
            let choice = core.choices(at)[(origin / layer.before) as usize];
            core.chosen[core.stages[at].row as usize] = choice.strategy;
            state = origin % layer.before;
        }
    }
}

/// Which states of a stage are worth going on with.
struct Outlook<'a> {
    most_time: f64,
    lines: &'a [Line],
    /// The best known value, counted as those of states.
    known: f64,
}

/// A line, shifted by a choice and by what is known: it gives surpluses of states before the choice.
struct Offset {
    until: f64,
    reach: f64,
    price: f64,
}

impl Offset {
    /// There is always a line; the one for the most time used reaches as far as time does.
    fn new(line: Option<&Line>, choice: &Choice, known: f64) -> Offset {
        let Some(&Line { until, reach, price }) = line else {
            return Offset { until: f64::INFINITY, reach: f64::NEG_INFINITY, price: 0.0 };
        };
        Offset { until, reach: reach + choice.value - price * choice.time - known, price }
    }
}

/// Merges two fronts, each with its `END`, into one; says how many states it has.
fn merge(left: &[State], right: &[State], merged: &mut [State]) -> usize {
    let (mut from_left, mut from_right, mut count) = (0, 0, 0);
    let mut most_value = f64::NEG_INFINITY;
    for _ in 2..left.len() + right.len() {
        let (a, b) = (left[from_left], right[from_right]);
        let left_first = a.time <= b.time;
        let state = if left_first { a } else { b };
        from_left += usize::from(left_first);
        from_right += usize::from(!left_first);
        merged[count] = state;
        let stays = state.value > most_value;
        count += usize::from(stays);
        most_value = if stays { state.value } else { most_value };
    }
    merged[count] = END;
    count
}

/// The bucket at which the width is reached from above, and how many states of it find a place.
fn bar(counts: &[u32; BUCKETS], width: usize) -> (usize, usize) {
    let mut places = width;
    for (bucket, &count) in counts.iter().enumerate().rev() {
        let count = count as usize;
        if count > places {
            return (bucket, places);
        }
        places -= count;
    }
    (0, places)
}

/// The list, made longer if it is shorter than that.
fn make_room<T: Copy>(list: &mut Vec<T>, count: usize, filler: T) -> &mut [T] {
    if list.len() < count {
        list.resize(count, filler);
    }
    list
}
