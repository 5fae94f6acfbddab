//! What each row may run on, and how much time there is to share out.

use mosel_sdk::{Micros, Snapshot};

/// A queue as the program sees it.
///
/// All times are by the profile and *extra*: on top of what the same rows take on their fastest open strategies.
#[derive(Debug)]
pub(crate) struct RowOptions<'a> {
    snapshot: &'a Snapshot,
    /// For each row the strategies it may run on: the present one and those that keep its floor, fastest first, so that
    /// the last one is the most accurate. A row that is late keeps its strategy.
    open: Vec<Vec<u32>>,
    /// For each row the most extra time the rows up to it may take; `None` where no deadline depends on it.
    spare: Vec<Option<Micros>>,
}

impl RowOptions<'_> {
    /// Every row that can be on time has to be.
    pub(crate) fn due_each(snapshot: &Snapshot) -> RowOptions<'_> {
        let mut options = RowOptions::without_deadlines(snapshot);
        let (mut least, mut most): (Micros, Micros) = (0, 0);
        for row in 0..options.open.len() {
            (least, most) = options.with(row, least, most);
            let job = &snapshot.jobs[row];
            if !job.late && snapshot.end_of(least) <= job.deadline && job.deadline < snapshot.end_of(most) {
                options.spare[row] = Some(work_until(snapshot, job.deadline, least, most) - least);
            }
        }
        options
    }

    /// The last row that is not late has to be on time, and no other; `None` if it cannot be.
    pub(crate) fn due_at_the_end(snapshot: &Snapshot) -> Option<RowOptions<'_>> {
        let mut options = RowOptions::without_deadlines(snapshot);
        let Some(last) = snapshot.jobs.iter().rposition(|job| !job.late) else { return Some(options) };
        let (least, most) = (0..=last).fold((0, 0), |(least, most), row| options.with(row, least, most));
        let deadline = snapshot.jobs[last].deadline;
        if snapshot.end_of(least) > deadline {
            return None;
        }
        if snapshot.end_of(most) > deadline {
            options.spare[last] = Some(work_until(snapshot, deadline, least, most) - least);
        }
        Some(options)
    }

    fn without_deadlines(snapshot: &Snapshot) -> RowOptions<'_> {
        let rows = 0..snapshot.jobs.len();
        RowOptions { snapshot, spare: vec![None; rows.len()], open: rows.map(|row| open(snapshot, row)).collect() }
    }

    /// The least and the most work with one more row.
    fn with(&self, row: usize, least: Micros, most: Micros) -> (Micros, Micros) {
        let (fastest, slowest) = (self.open[row][0], self.most_accurate(row));
        let latency = |strategy| self.snapshot.latency(row, strategy);
        (least.saturating_add(latency(fastest)), most.saturating_add(latency(slowest)))
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.open.len()
    }

    /// What a row may run on, fastest first; never empty.
    pub(crate) fn open(&self, row: usize) -> &[u32] {
        &self.open[row]
    }

    /// The most extra time the rows up to this one may take; `None` where no deadline depends on it.
    pub(crate) fn spare(&self, row: usize) -> Option<Micros> {
        self.spare[row]
    }

    /// How much longer a row takes than on its fastest open strategy.
    pub(crate) fn extra(&self, row: usize, strategy: u32) -> Micros {
        self.snapshot.latency(row, strategy) - self.snapshot.latency(row, self.open[row][0])
    }

    /// Every row on the most accurate strategy it may have.
    pub(crate) fn best(&self) -> Vec<u32> {
        (0..self.rows()).map(|row| self.most_accurate(row)).collect()
    }

    fn most_accurate(&self, row: usize) -> u32 {
        *self.open[row].last().expect("a row may always keep its strategy")
    }

    /// Every deadline holds, to the microsecond.
    pub(crate) fn fits(&self, chosen: &[u32]) -> bool {
        let mut taken: Micros = 0;
        (0..self.rows()).all(|row| {
            taken = taken.saturating_add(self.extra(row, chosen[row]));
            self.spare[row].is_none_or(|spare| taken <= spare)
        })
    }

    /// What is maximized: the sum over all rows.
    pub(crate) fn value(&self, chosen: &[u32]) -> f64 {
        (0..self.rows()).map(|row| self.worth(row, chosen[row])).sum()
    }

    /// A row's share of the value: its weight times its requests times their accuracy.
    pub(crate) fn worth(&self, row: usize, strategy: u32) -> f64 {
        self.importance(row) * self.snapshot.strategies(row)[strategy as usize].accuracy
    }

    /// What a row would be worth if every answer were right.
    pub(crate) fn importance(&self, row: usize) -> f64 {
        let job = &self.snapshot.jobs[row];
        job.weight * f64::from(job.requests)
    }

    /// How many binary variables the program has: one for each strategy of every row with a choice.
    pub(crate) fn variables(&self) -> usize {
        self.open.iter().map(Vec::len).filter(|&strategies| strategies > 1).sum()
    }
}

fn open(snapshot: &Snapshot, row: usize) -> Vec<u32> {
    let (job, count) = (&snapshot.jobs[row], snapshot.strategies(row).len() as u32);
    match snapshot.fastest_legal(row) {
        Some(first) if !job.late => {
            let present = (job.current < first).then_some(job.current);
            present.into_iter().chain(first..count).collect()
        }
        _ => vec![job.current],
    }
}

/// The most work that is done by the deadline. `least` is, `most` is not.
fn work_until(snapshot: &Snapshot, deadline: Micros, least: Micros, most: Micros) -> Micros {
    let (mut done, mut undone) = (least, most);
    while undone - done > 1 {
        let middle = done + (undone - done) / 2;
        if snapshot.end_of(middle) <= deadline { done = middle } else { undone = middle }
    }
    done
}
