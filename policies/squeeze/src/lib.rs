//! The squeeze: moves jobs of a queue to faster strategies until every deadline holds that can be held.
//!
//! The policy `greedy` answers with it, and a policy that may run out of time starts from it.

use mosel_sdk::{Micros, Snapshot, random_below};

/// Which row is squeezed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Any, by [`mosel_sdk::random`].
    Random,
    /// The first one that can be made faster.
    First,
}

/// A queue after the squeeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Squeezed {
    /// The strategy of every row: the present one or a faster one that keeps the floor.
    pub chosen: Vec<u32>,
    /// Every row is on time, but for those that were marked late.
    pub all_saved: bool,
}

/// Goes through the queue from the front. As long as a row would miss its deadline, it or one before it becomes a step
/// faster; nobody does for a row that nothing saves.
///
/// ```
/// use mosel_sdk::test::Queue;
/// use policy_squeeze::{Pick, squeeze};
///
/// let mut queue = Queue::new();
/// let table = queue.table(&[(40, 0.70), (90, 0.85)]);
/// queue.job(table, 200, 0.65);
/// queue.job(table, 140, 0.65);
/// assert_eq!(squeeze(&queue.snapshot(), Pick::First).chosen, [0, 1]);
/// ```
pub fn squeeze(snapshot: &Snapshot, pick: Pick) -> Squeezed {
    let mut squeeze = Squeeze::new(snapshot);
    for row in 0..snapshot.jobs.len() {
        squeeze.admit(row);
        squeeze.save(row, pick);
    }
    Squeezed { chosen: squeeze.chosen, all_saved: squeeze.all_saved }
}

/// The queue up to some row, row by row from the front.
struct Squeeze<'a> {
    snapshot: &'a Snapshot,
    chosen: Vec<u32>,
    /// Rows so far that still have a faster legal strategy.
    squeezable: Vec<usize>,
    /// The rows so far take this long, by the profile.
    work: Micros,
    /// They would take this long if all were as fast as their floors allow.
    least_work: Micros,
    all_saved: bool,
}

impl Squeeze<'_> {
    fn new(snapshot: &Snapshot) -> Squeeze<'_> {
        Squeeze { snapshot, chosen: snapshot.chosen(), squeezable: Vec::new(), work: 0, least_work: 0, all_saved: true }
    }

    /// Takes the next row in.
    fn admit(&mut self, row: usize) {
        let current = self.chosen[row];
        let fastest = self.fastest(row);
        self.work += self.snapshot.latency(row, current);
        self.least_work += self.snapshot.latency(row, fastest);
        if fastest < current {
            self.squeezable.push(row);
        }
    }

    /// The fastest strategy a row may get; a late job is left alone.
    fn fastest(&self, row: usize) -> u32 {
        let current = self.chosen[row];
        if self.snapshot.jobs[row].late {
            return current;
        }
        self.snapshot.fastest_legal(row).map_or(current, |fastest| fastest.min(current))
    }

    /// Squeezes rows so far until the last of them meets its deadline; not at all if nothing could save it.
    fn save(&mut self, row: usize, pick: Pick) {
        let snapshot = self.snapshot;
        let job = &snapshot.jobs[row];
        if job.late || snapshot.end_of(self.work) <= job.deadline {
            return;
        }
        if snapshot.end_of(self.least_work) > job.deadline {
            self.all_saved = false;
            return;
        }
        while snapshot.end_of(self.work) > job.deadline {
            let place = match pick {
                Pick::Random => random_below(self.squeezable.len()),
                Pick::First => 0,
            };
            self.squeeze(place);
        }
    }

    /// Moves a row that can be made faster one step.
    fn squeeze(&mut self, place: usize) {
        let row = self.squeezable[place];
        let (slower, faster) = (self.chosen[row], self.chosen[row] - 1);
        self.chosen[row] = faster;
        self.work -= self.snapshot.latency(row, slower) - self.snapshot.latency(row, faster);
        if self.snapshot.next_faster(row, faster).is_none() {
            self.squeezable.remove(place);
        }
    }
}
