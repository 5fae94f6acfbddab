//! Rehearsals: before a policy is put in place it has to answer for the queues as they are, and for one that is made up,
//! since the queues may be empty.

use mosel_core::{Catalog, JobId, JobRow, Plan, Snapshot, StrategyTable, Tenant, Time};
use mosel_sandbox::RunningPolicy;

use super::error::SwapError;
use super::prepared::PreparedPolicy;

/// Jobs of the queue that is made up.
const MADE_UP_JOBS: usize = 8;
/// How much of the way from the fastest to the most accurate strategies its deadlines leave room for.
const ROOM: f64 = 0.3;

/// Asks a policy about these queues, the first of which is replaced by one that is made up: it says most about a policy.
pub(super) fn rehearse(
    prepared: &mut PreparedPolicy,
    mut snapshots: Vec<Snapshot>,
    catalog: &Catalog,
) -> Result<(), SwapError> {
    if let Some(first) = snapshots.first_mut() {
        make_up(first, catalog);
    }
    let name = prepared.name.clone();
    let refused = |(kind, words): (&str, String)| SwapError::Rehearsal { name: name.clone(), kind: kind.into(), words };
    let told = prepared.policy.update_catalog(catalog).map_err(mosel_core::DecisionError::Policy);
    told.map_err(|error| refused((error.kind(), error.to_string())))?;
    snapshots.iter().try_for_each(|snapshot| answer(&mut prepared.policy, snapshot, catalog).map_err(refused))
}

fn answer(policy: &mut RunningPolicy, snapshot: &Snapshot, catalog: &Catalog) -> Result<(), (&'static str, String)> {
    let answer = policy.decide(snapshot).answer.map_err(mosel_core::DecisionError::Policy);
    let plan = answer.and_then(|decision| Plan::check(snapshot, catalog, &decision));
    plan.map(drop).map_err(|error| (error.kind(), error.to_string()))
}

/// Puts an overloaded queue into the snapshot, of jobs from all over the menus: on their most accurate strategies they
/// are late, on faster ones, which half of them may take without limit, they are not.
fn make_up(snapshot: &mut Snapshot, catalog: &Catalog) {
    let step = catalog.tables.len().div_ceil(MADE_UP_JOBS).max(1);
    snapshot.start = snapshot.now;
    let mut work = std::time::Duration::ZERO;
    let tables = catalog.tables.iter().skip(step - 1).step_by(step).enumerate();
    let row = |(at, table): (usize, &std::sync::Arc<StrategyTable>)| {
        let fastest = if at % 2 == 0 { 0 } else { table.most_accurate() / 2 };
        let [fast, accurate] = [fastest, table.most_accurate()].map(|index| table.strategy(index).latency);
        work += fast + accurate.saturating_sub(fast).mul_f64(ROOM);
        let deadline = snapshot.start.after(work, snapshot.time_factor);
        let floor = if at % 2 == 0 { 0.0 } else { table.strategy(fastest).accuracy };
        row(at as u64 + 1, table, snapshot.now, deadline, floor)
    };
    snapshot.jobs = tables.map(row).collect();
}

fn row(id: u64, table: &StrategyTable, arrival: Time, deadline: Time, min_accuracy: f64) -> JobRow {
    JobRow {
        id: JobId(id),
        table: table.id,
        requests: table.requests,
        arrival,
        deadline,
        min_accuracy,
        weight: 1.0,
        tenant: Tenant::default(),
        current: table.most_accurate(),
        given_up: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_core::{
        Accuracy, Config, Latency, Measurement, ModalitySet, Mode, ModelId, Profile, Scheduler, StrategyMatrix, Trigger,
    };
    use std::sync::Arc;
    use std::time::Duration;

    fn scheduler() -> Scheduler {
        let measurement = |bits, millis, correct| Measurement {
            mode: Mode::full(ModalitySet::from_bits(bits)),
            batch_size: 4,
            latency: Latency::exactly(Duration::from_millis(millis)),
            accuracy: Accuracy { correct, samples: 100 },
            memory_bytes: 0,
        };
        let measurements = vec![measurement(1, 8, 70), measurement(3, 60, 90)];
        let modalities = vec!["a".into(), "b".into()];
        let profile = Profile { id: "p".into(), model: "m".into(), modalities, measurements };
        let matrix = StrategyMatrix::new(ModelId(0), profile.into(), 40).expect("the profile is sound");
        Scheduler::new(Config::default(), vec![Arc::new(matrix)])
    }

    #[test]
    fn the_queue_that_is_made_up_is_overloaded_and_can_be_saved() {
        let scheduler = scheduler();
        let mut snapshot = scheduler.snapshot(mosel_core::LaneId(0), Trigger::Rehearsal, Time::from_millis(5));
        make_up(&mut snapshot, scheduler.catalog());
        assert_eq!(snapshot.jobs.len(), MADE_UP_JOBS);
        let (mut current, mut fastest) = (Duration::ZERO, Duration::ZERO);
        let mut late = 0;
        for row in &snapshot.jobs {
            let table = scheduler.catalog().table(row.table).expect("it is of the catalog");
            current += table.strategy(row.current).latency;
            fastest += table.strategy(table.fastest_legal(row.min_accuracy).expect("its floor can be kept")).latency;
            late += u32::from(snapshot.start.after(current, snapshot.time_factor) > row.deadline);
            assert!(snapshot.start.after(fastest, snapshot.time_factor) <= row.deadline, "{row:?}");
        }
        assert!(late > 0, "{snapshot:?}");
    }
}
