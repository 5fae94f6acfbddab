//! The dynamic program over the core: the best choices by time used, row by row, as many as the beam is wide.
//!
//! A state that takes longer than another one and is worth no more is dominated. A state whose bound is not above
//! the best known choice is pruned (Lawler; Dyer). Where more states are left than the beam holds, those with the
//! greatest bounds stay, and the greatest bound of the others limits what may have been missed.

use crate::core::{Choice, Core, Stage};

/// Buckets of bounds, to find out which states stay without sorting them.
const BUCKETS: usize = 64;

/// The states. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Beam {
    /// The states of a stage by rising time and rising value, then `END`.
    states: Vec<State>,
    /// The states of the next stage in the making, likewise; what lies behind `END` is old.
    merged: Vec<State>,
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
        self.states.clear();
        self.states.extend([START, END]);
        let mut missed = 0.0;
        for at in 0..core.stages.len() {
            self.layers.push(Layer { first: self.origins.len(), before: self.states.len() as u32 - 1 });
            let limit = Limit::new(core, at, known);
            let count = self.merge(core.choices(at), &limit);
            missed = self.keep(count, width, &limit).max(missed);
        }
        let missed = known + missed;
        // The last state before `END` is worth the most.
        let Some(best) = self.states.len().checked_sub(2) else { return Found { better: None, missed } };
        let value = core.base + self.states[best].value;
        self.trace(core, best);
        Found { better: Some(value), missed }
    }

    /// Makes the states of the next stage in `merged`; says how many there are.
    fn merge(&mut self, choices: &[Choice], limit: &Limit) -> usize {
        let before = self.states.len() - 1;
        let mut count = 0;
        make_room(&mut self.merged, 1)[0] = END;
        for (number, choice) in choices.iter().enumerate() {
            let first = self.states[..before].partition_point(|state| state.time + choice.time < limit.least_time);
            let source = Source { states: &self.states[first..], choice, origin: (number * before + first) as u32 };
            let room = make_room(&mut self.merging, count + source.states.len() + 1);
            self.work += count + source.states.len();
            count = merge(&self.merged[..=count], &source, limit, room);
            std::mem::swap(&mut self.merged, &mut self.merging);
        }
        count
    }

    /// Makes the merged states, or the best of them, those of this stage. The greatest surplus of the others is given.
    fn keep(&mut self, count: usize, width: usize, limit: &Limit) -> f64 {
        let mut missed = 0.0;
        if count <= width {
            std::mem::swap(&mut self.states, &mut self.merged);
            self.states.truncate(count + 1);
        } else {
            let (bar, mut places) = bar(&self.merged[..count], width, limit);
            self.states.clear();
            for state in &self.merged[..count] {
                let surplus = limit.surplus(state.time, state.value);
                let bucket = limit.bucket(surplus);
                if bucket > bar {
                    self.states.push(*state);
                } else if bucket == bar && places > 0 {
                    places -= 1;
                    self.states.push(*state);
                } else if surplus > missed {
                    missed = surplus;
                }
            }
            self.states.push(END);
        }
        let kept = &self.states[..self.states.len() - 1];
        self.origins.extend(kept.iter().map(|state| state.origin));
        missed
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
struct Limit {
    least_time: f64,
    most_time: f64,
    /// Worth of a microsecond behind the stage.
    price: f64,
    /// A state's bound is above the best known value by this, plus its value, minus its time at the price.
    reach: f64,
    buckets_a_surplus: f64,
}

impl Limit {
    fn new(core: &Core, at: usize, known: f64) -> Limit {
        let Stage { least_time, most_time, bound, .. } = core.stages[at];
        let reach = core.bound - known - bound;
        let buckets_a_surplus = BUCKETS as f64 / (core.bound - known);
        Limit { least_time, most_time, price: core.next_price(at), reach, buckets_a_surplus }
    }

    /// By how much the state's bound is above the best known value.
    fn surplus(&self, time: f64, value: f64) -> f64 {
        self.reach + value - self.price * time
    }

    fn bucket(&self, surplus: f64) -> usize {
        ((surplus * self.buckets_a_surplus) as usize).min(BUCKETS - 1)
    }
}

/// States that make one choice more.
struct Source<'a> {
    /// Up to `END`.
    states: &'a [State],
    choice: &'a Choice,
    /// Of the first one.
    origin: u32,
}

/// Merges two fronts into one; says how many states it has. `END` is behind the last one.
fn merge(left: &[State], right: &Source, limit: &Limit, merged: &mut [State]) -> usize {
    let (mut from_left, mut from_right, mut count) = (0, 0, 0);
    let mut most_value = f64::NEG_INFINITY;
    loop {
        let a = left[from_left];
        let b = right.states[from_right];
        let b = State {
            time: b.time + right.choice.time,
            value: b.value + right.choice.value,
            origin: right.origin + from_right as u32,
        };
        let left_first = (a.time < b.time) | ((a.time == b.time) & (a.value >= b.value));
        let state = if left_first { a } else { b };
        if state.time > limit.most_time || state.time == f64::INFINITY {
            merged[count] = END;
            return count;
        }
        from_left += usize::from(left_first);
        from_right += usize::from(!left_first);
        let stays = (state.value > most_value) & (limit.surplus(state.time, state.value) > 0.0);
        most_value = if state.value > most_value { state.value } else { most_value };
        merged[count] = state;
        count += usize::from(stays);
    }
}

/// The bucket of surpluses at which the width is reached, and how many states of it find a place.
fn bar(states: &[State], width: usize, limit: &Limit) -> (usize, usize) {
    let mut counts = [0; BUCKETS];
    for state in states {
        counts[limit.bucket(limit.surplus(state.time, state.value))] += 1;
    }
    let mut places = width;
    for (bucket, &count) in counts.iter().enumerate().rev() {
        if count > places {
            return (bucket, places);
        }
        places -= count;
    }
    (0, places)
}

fn make_room(states: &mut Vec<State>, count: usize) -> &mut [State] {
    if states.len() < count {
        states.resize(count, END);
    }
    states
}
