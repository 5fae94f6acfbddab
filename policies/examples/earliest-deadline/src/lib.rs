//! An example that reorders the queue: the most urgent job runs first, and only what is late even so is squeezed.

use mosel_sdk::{Catalog, Decision, Description, Micros, NoSettings, Policy, PolicyError, Quality, Snapshot};

/// The policy.
#[derive(Debug)]
pub struct EarliestDeadline;

impl Policy for EarliestDeadline {
    type Settings = NoSettings;

    fn describe() -> Description {
        let summary = "Runs the most urgent job first, and squeezes only what that does not save";
        Description::new("earliest-deadline", env!("CARGO_PKG_VERSION"), summary)
    }

    fn configure(_: NoSettings, _: &Catalog) -> Result<EarliestDeadline, PolicyError> {
        Ok(EarliestDeadline)
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let mut plan = Plan::squeezed(snapshot, by_deadline(snapshot));
        if plan.breaks_a_promise() {
            plan = Plan::squeezed(snapshot, (0..snapshot.jobs.len()).collect());
        }
        Ok(plan.decision())
    }
}

mosel_sdk::export_policy!(EarliestDeadline);

/// The rows in the order of their deadlines.
///
/// The first one stays: it may have been started, and what is left of it should not wait behind others. Rows that are late
/// come last, which is where the server runs them.
fn by_deadline(snapshot: &Snapshot) -> Vec<usize> {
    let mut order: Vec<usize> = (0..snapshot.jobs.len()).collect();
    order.sort_by_key(|&row| {
        let job = &snapshot.jobs[row];
        (job.late, row > 0, if job.late { 0 } else { job.deadline })
    });
    order
}

/// An order, and the strategies that go with it.
struct Plan<'a> {
    snapshot: &'a Snapshot,
    /// Every row once.
    order: Vec<usize>,
    /// By row.
    chosen: Vec<u32>,
    /// The fastest strategy that each row may get.
    fastest: Vec<u32>,
}

impl Plan<'_> {
    /// In this order, with rows as fast as deadlines ask for.
    fn squeezed(snapshot: &Snapshot, order: Vec<usize>) -> Plan<'_> {
        let fastest = (0..order.len()).map(|row| fastest(snapshot, row)).collect();
        let mut plan = Plan { snapshot, order, chosen: snapshot.chosen(), fastest };
        let (mut work, mut least_work): (Micros, Micros) = (0, 0);
        for place in 0..plan.order.len() {
            let row = plan.order[place];
            work += snapshot.latency(row, plan.chosen[row]);
            least_work += snapshot.latency(row, plan.fastest[row]);
            let job = &snapshot.jobs[row];
            // Nobody is squeezed for a job that is late anyway, by the server's word or by what the rows can do.
            let savable = !job.late && snapshot.end_of(least_work) <= job.deadline;
            while savable && snapshot.end_of(work) > job.deadline {
                work -= plan.squeeze(place);
            }
        }
        plan
    }

    /// Moves the row that gains the most time by it, of those up to this place, one step; gives the time.
    fn squeeze(&mut self, place: usize) -> Micros {
        let can = self.order[..=place].iter().copied().filter(|&row| self.fastest[row] < self.chosen[row]);
        let gains = can.map(|row| (self.gain(row), row));
        let (gain, row) = gains.max().expect("a job that can be saved is not, so some row before it can be faster");
        self.chosen[row] -= 1;
        gain
    }

    /// What a row takes less with one step.
    fn gain(&self, row: usize) -> Micros {
        let current = self.chosen[row];
        self.snapshot.latency(row, current) - self.snapshot.latency(row, current - 1)
    }

    /// Some job is on time as things are and would not be under this plan: the server would refuse all of it.
    fn breaks_a_promise(&self) -> bool {
        let violators = self.snapshot.violators();
        self.late_rows().any(|row| !violators.contains(&row))
    }

    /// The rows that miss their deadlines, but for those that were late before.
    fn late_rows(&self) -> impl Iterator<Item = usize> {
        let mut work: Micros = 0;
        self.order.iter().copied().filter(move |&row| {
            work += self.snapshot.latency(row, self.chosen[row]);
            let job = &self.snapshot.jobs[row];
            !job.late && self.snapshot.end_of(work) > job.deadline
        })
    }

    fn decision(&self) -> Decision {
        let quality = if self.late_rows().next().is_none() { Quality::Heuristic } else { Quality::BestEffort };
        let decision = Decision::choosing(self.snapshot, &self.chosen, quality);
        if self.order.is_sorted() {
            return decision;
        }
        let order = self.order.iter().map(|&row| self.snapshot.jobs[row].id).collect();
        Decision { order, ..decision }
    }
}

/// A late job is left alone, and no job becomes slower.
fn fastest(snapshot: &Snapshot, row: usize) -> u32 {
    let job = &snapshot.jobs[row];
    let fastest = snapshot.fastest_legal(row).filter(|&fastest| fastest < job.current && !job.late);
    fastest.unwrap_or(job.current)
}

#[cfg(test)]
mod tests;
