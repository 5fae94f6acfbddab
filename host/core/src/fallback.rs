//! The fallback: the host's own answer of last resort when no policy gives one. Deterministic, of one queue and nothing else.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::Time;

/// A job as the fallback sees it.
pub(crate) trait FallbackJob {
    fn deadline(&self) -> Time;
    /// Profiled time on its strategy.
    fn latency(&self) -> Duration;
    /// Profiled time on its fastest legal strategy.
    fn fastest(&self) -> Duration;
    /// The next faster strategy that keeps the floor.
    fn next_faster(&self) -> Option<u32>;
    /// Weighted right answers lost per second gained by moving there.
    fn loss_per_second(&self, choice: u32) -> f64;
    fn choose(&mut self, choice: u32);
}

/// Moves jobs of a queue to faster legal strategies, least loss of accuracy for the time gained first, until every one
/// that can be saved is on time. Gives the places of those it moved, in the order of their first moves.
pub(crate) fn speed_up<S: FallbackJob>(queue: &mut [S], start: Time, factor: f64) -> Vec<usize> {
    let mut moves = Moves::default();
    let (mut current, mut fastest) = (Duration::ZERO, Duration::ZERO);
    let mut moved = Vec::new();
    let mut is_moved = vec![false; queue.len()];
    for place in 0..queue.len() {
        let job = &queue[place];
        current += job.latency();
        fastest += job.fastest();
        let deadline = job.deadline();
        moves.offer(place, job);
        if start.after(fastest, factor) > deadline {
            continue;
        }
        while start.after(current, factor) > deadline {
            let Some((place, choice)) = moves.take() else { break };
            let job = &mut queue[place];
            let before = job.latency();
            job.choose(choice);
            current -= before.saturating_sub(job.latency());
            moves.offer(place, job);
            if !std::mem::replace(&mut is_moved[place], true) {
                moved.push(place);
            }
        }
    }
    moved
}

/// The steps down that may be taken next, cheapest first.
#[derive(Default)]
struct Moves {
    heap: BinaryHeap<Move>,
}

impl Moves {
    fn offer<S: FallbackJob>(&mut self, place: usize, job: &S) {
        let Some(choice) = job.next_faster() else { return };
        self.heap.push(Move { cost: job.loss_per_second(choice), place, choice });
    }

    fn take(&mut self) -> Option<(usize, u32)> {
        self.heap.pop().map(|step| (step.place, step.choice))
    }
}

/// One job to one faster strategy.
struct Move {
    cost: f64,
    place: usize,
    choice: u32,
}

impl Ord for Move {
    /// The heap's greatest is the cheapest move of the earliest job.
    fn cmp(&self, other: &Move) -> Ordering {
        other.cost.total_cmp(&self.cost).then(other.place.cmp(&self.place)).then(self.choice.cmp(&other.choice))
    }
}

impl PartialOrd for Move {
    fn partial_cmp(&self, other: &Move) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Move {
    fn eq(&self, other: &Move) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Move {}
