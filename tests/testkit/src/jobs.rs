//! Jobs, as they are submitted, shown to a policy, and ended. What a test is about is changed with `..job(1)`.

use std::time::Duration;

use mosel_core::{DecisionId, Job, JobId, JobRow, ModelId, OnLate, Snapshot, TableId, Tenant, Time, Trigger};

/// One request of model 0, at any accuracy, without a deadline.
pub fn job(id: u64) -> Job {
    Job {
        id: JobId(id),
        model: ModelId(0),
        requests: 1,
        deadline: Time::NEVER,
        min_accuracy: 0.0,
        weight: 1.0,
        tenant: Tenant::default(),
        on_late: OnLate::Run,
    }
}

/// One request that came at the start, on strategy 0 of table 0, at any accuracy, without a deadline.
pub fn row(id: u64) -> JobRow {
    JobRow {
        id: JobId(id),
        table: TableId(0),
        requests: 1,
        arrival: Time::START,
        deadline: Time::NEVER,
        min_accuracy: 0.0,
        weight: 1.0,
        tenant: Tenant::default(),
        current: 0,
        late: false,
    }
}

/// These jobs on lane 0, free at once, of which some would be late; 10 ms to think.
pub fn snapshot(jobs: Vec<JobRow>) -> Snapshot {
    Snapshot {
        decision: DecisionId(1),
        lane: 0,
        trigger: Trigger::Violation,
        now: Time::START,
        start: Time::START,
        budget: Duration::from_millis(10),
        time_factor: 1.0,
        catalog_revision: 1,
        jobs,
    }
}
