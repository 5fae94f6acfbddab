//! What a plan would make of a queue.

use std::time::Duration;

use mosel_core::{Catalog, JobId, JobRow, Plan, Snapshot};

/// A queue under a plan, in numbers that add up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Forecast {
    /// Jobs that are expected to miss their deadline and were not given up before.
    pub(super) violations: u64,
    /// Requests of the jobs that are expected to be on time.
    pub(super) requests: u64,
    /// Of these, the expected number that is answered right.
    pub(super) right: f64,
    /// The queue as it would be: jobs and their strategies.
    pub(super) queue: Vec<(JobId, u32)>,
}

impl Forecast {
    /// The queue if the plan is adopted at once; late jobs stay behind all others.
    pub(super) fn new(snapshot: &Snapshot, catalog: &Catalog, plan: &Plan) -> Forecast {
        let mut rows: Vec<&JobRow> = snapshot.jobs.iter().collect();
        rows.sort_by_key(|row| (row.late, plan.order.get(&row.id).copied().unwrap_or(0)));
        let mut forecast = Forecast::default();
        let mut work = Duration::ZERO;
        for row in rows {
            let choice = plan.choices.get(&row.id).copied().unwrap_or(row.current);
            forecast.queue.push((row.id, choice));
            // a checked plan names strategies that are there
            let Some(table) = catalog.table(row.table) else { continue };
            let strategy = table.strategy(choice);
            work += strategy.latency;
            if snapshot.start.after(work, snapshot.time_factor) <= row.deadline {
                forecast.requests += u64::from(row.requests);
                forecast.right += f64::from(row.requests) * strategy.accuracy;
            } else if !row.late {
                forecast.violations += 1;
            }
        }
        forecast
    }
}
