//! Jobs as they are submitted, and as they end. What a test is about is changed with `..job(1)`.

use std::time::Duration;

use mosel_core::{BatchId, BatchReport, End, Event, Job, JobId, ModelId, OnLate, Outcome, TableId, Tenant, Time};

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

/// Every request of the batch has an answer, after so long on the device.
pub fn done(batch: BatchId, compute: Duration) -> Event {
    Event::BatchDone(batch, BatchReport::all(u32::MAX, compute))
}

/// It was served at the start, which was in time; nothing else is known of it.
pub fn outcome(job: u64) -> Outcome {
    Outcome {
        job: JobId(job),
        end: End::Served,
        finish: Time::START,
        deadline: Time::START,
        min_accuracy: 0.0,
        mix: Vec::new(),
        accuracy: None,
        answered: 1,
        requests: 1,
        started: None,
        device_time: Duration::ZERO,
        expected_time: Duration::ZERO,
        last_choice: (TableId(0), 0),
        decisions: Vec::new(),
    }
}
