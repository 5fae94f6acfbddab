//! Jobs and batches.

use std::time::Duration;

use mosel_core::{Batch, BatchId, Job, JobId, LaneId, ModelId, OnLate, Tenant, Time};
use serde::{Deserialize, Serialize};

use super::mode::ModeLine;
use super::nanos;
use super::number::Number;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobLine {
    job: u64,
    model: u32,
    requests: u32,
    deadline_us: u64,
    min_accuracy: Number,
    weight: Number,
    #[serde(default, skip_serializing_if = "is_nobody")]
    tenant: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    drop: bool,
}

fn is_nobody(tenant: &u64) -> bool {
    *tenant == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl From<&Job> for JobLine {
    fn from(job: &Job) -> JobLine {
        JobLine {
            job: job.id.0,
            model: job.model.0,
            requests: job.requests,
            deadline_us: job.deadline.micros(),
            min_accuracy: Number(job.min_accuracy),
            weight: Number(job.weight),
            tenant: job.tenant.0,
            drop: job.on_late == OnLate::Drop,
        }
    }
}

impl From<JobLine> for Job {
    fn from(line: JobLine) -> Job {
        Job {
            id: JobId(line.job),
            model: ModelId(line.model),
            requests: line.requests,
            deadline: Time::from_micros(line.deadline_us),
            min_accuracy: line.min_accuracy.0,
            weight: line.weight.0,
            tenant: Tenant(line.tenant),
            on_late: if line.drop { OnLate::Drop } else { OnLate::Run },
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BatchLine {
    batch: u64,
    lane: u32,
    job: u64,
    model: u32,
    first: u32,
    requests: u32,
    batch_size: u32,
    modalities: ModeLine,
    expected_ns: u64,
}

impl From<&Batch> for BatchLine {
    fn from(batch: &Batch) -> BatchLine {
        BatchLine {
            batch: batch.id.0,
            lane: batch.lane.0,
            job: batch.job.0,
            model: batch.model.0,
            first: batch.first,
            requests: batch.requests,
            batch_size: batch.batch_size,
            modalities: ModeLine(batch.mode),
            expected_ns: nanos(batch.expected),
        }
    }
}

impl From<BatchLine> for Batch {
    fn from(line: BatchLine) -> Batch {
        Batch {
            id: BatchId(line.batch),
            lane: LaneId(line.lane),
            job: JobId(line.job),
            model: ModelId(line.model),
            first: line.first,
            requests: line.requests,
            batch_size: line.batch_size,
            mode: line.modalities.0,
            expected: Duration::from_nanos(line.expected_ns),
        }
    }
}
