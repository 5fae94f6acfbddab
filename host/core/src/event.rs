//! What goes into the core and what comes out: the whole conversation with a driver.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{
    BatchId, Decision, DecisionError, DecisionId, Job, JobId, LaneId, Mode, ModelId, PolicyError, Snapshot,
    StrategyMatrix, Suspicion, TableId, Tenant, Time,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An application submitted a job.
    Submit(Job),
    /// An application gave a job up.
    Cancel(JobId),
    /// The policy answered, or failed to.
    Decided(DecisionId, Result<Decision, PolicyError>),
    /// A batch ran; what came of it.
    BatchDone(BatchId, BatchReport),
    /// A batch failed on the device; its requests were not served.
    BatchFailed(BatchId),
    /// Another policy is in place: what was asked of the old one is void.
    PolicyChanged {
        /// It wants to be asked after every change while some waiting job is not on its most accurate strategy.
        eager: bool,
    },
    /// These models can be served from now on. Their ids follow those of the models that are there.
    ModelsLoaded(Vec<Arc<StrategyMatrix>>),
    /// This model takes no new jobs; its id is not used again.
    ModelRetired(ModelId),
    /// The device of this lane cannot run this model, which is named as batches name it, until it is restored: no new job
    /// of it goes there. Those that wait there already stay, and fail unless it is restored before their turn.
    ModelLost(LaneId, ModelId),
    /// The device of this lane can run this model again.
    ModelRestored(LaneId, ModelId),
    /// The whole process stood still for so long: no batch is overdue by it, and nothing is learned from those that were on
    /// a device.
    Paused(Duration),
    /// The device of a lane that was lost is there again, with nothing on it.
    LaneRestored(LaneId),
    /// Tenants weigh so much from now on; 1 for those that are not named. What was promised before stays.
    SharesChanged(BTreeMap<Tenant, f64>),
    /// A time asked for by [`Action::WakeAt`] has come.
    WakeUp,
}

/// Something the driver has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Tell the client that its job is queued.
    Accept(Accepted),
    /// Tell the client that its job will not be served, and why.
    Refuse(JobId, Refusal),
    /// Run a batch on its lane's device.
    Run(Batch),
    /// Ask the policy; its answer comes back as [`Event::Decided`].
    Decide(Snapshot),
    /// The policy's answer was adopted for these jobs (which may be none).
    Adopt(DecisionId, Vec<JobId>),
    /// The policy's answer is not used, and why.
    RefuseDecision(DecisionId, DecisionError),
    /// The fallback moved these jobs of a lane to faster strategies, as indices into the table of what they have
    /// left.
    Fallback(LaneId, Vec<(JobId, u32)>),
    /// This job cannot be on time any more; if it did not ask to be dropped, it runs after all that can.
    GiveUp(JobId),
    /// Requests of this job have no answer: what is left of it is put on this strategy, as an index into the table of what is
    /// left, so that those that have one keep its floor.
    KeepFloor(JobId, u32),
    /// A device is suspect: nothing new is promised on its lane.
    Suspect(LaneId, Suspicion),
    /// A device that was suspect is not any more.
    Trust(LaneId),
    /// The batch of this lane will not end: its job fails, the others are moved or fail, and nothing runs there until
    /// [`Event::LaneRestored`].
    LoseLane(LaneId),
    /// A job waits on this lane from now on.
    Move(JobId, LaneId),
    /// A job has ended; nothing more will come for it.
    Finish(Outcome),
    /// Send [`Event::WakeUp`] at this time. Replaces the wake-up asked for before.
    WakeAt(Time),
}

/// An accepted job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accepted {
    /// Which job.
    pub job: JobId,
    /// The lane it waits on.
    pub lane: LaneId,
    /// When it will be finished with the strategies chosen at this moment.
    pub predicted_finish: Time,
}

/// Some requests of one job, run together in one mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// The lane whose device runs it.
    pub lane: LaneId,
    /// The job it is of.
    pub job: JobId,
    /// The job's model, as the lane's kind of device has it.
    pub model: ModelId,
    /// The first request of the job that it serves.
    pub first: u32,
    /// How many requests, at least 1.
    pub requests: u32,
    /// The profiled batch size it was planned as, at least `requests`.
    pub batch_size: u32,
    /// What the requests are run on, and with which numbers.
    pub mode: Mode,
    /// How long it should take, correction included.
    pub expected: Duration,
}

/// What came of a batch that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchReport {
    /// How long the model took on the device.
    pub compute: Duration,
    /// How long it took to read the inputs before that; nothing is learned from it.
    pub prepare: Duration,
    /// How many requests of the batch have an answer; more than it has count as all.
    pub answered: u32,
}

/// Why a job is not accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// No such model.
    UnknownModel(ModelId),
    /// Every device that could serve the job has lost the model.
    ModelLost(ModelId),
    /// No device that could serve the job can be trusted at present.
    DeviceSuspect(ModelId),
    /// A job of this many requests is not served; the most that is.
    TooManyRequests {
        /// Requests of the job.
        requests: u32,
        /// The most a job may have.
        most: u32,
    },
    /// A number that makes no sense (floor outside 0..=1, weight not positive, no requests).
    InvalidJob(String),
    /// A job of this name is there already.
    Duplicate(JobId),
    /// The floor is above what the model reaches on its best selection.
    FloorUnreachable {
        /// The floor asked for.
        min_accuracy: f64,
        /// The best there is.
        best: f64,
    },
    /// Even with every waiting job on its fastest legal strategy the deadline cannot be met.
    DeadlineUnreachable {
        /// The deadline asked for.
        deadline: Time,
        /// Counter-offer: the earliest deadline that would be accepted now, at the same floor.
        earliest: Time,
        /// Counter-offer: the highest floor that would be accepted now at this deadline, if there is one.
        best_accuracy: Option<f64>,
        /// By the profile, an idle server could not meet it either.
        never: bool,
    },
    /// The queue holds as many jobs as it may.
    QueueFull {
        /// The most jobs that may wait.
        most: usize,
        /// When the first waiting job will have left.
        retry_at: Time,
    },
    /// The job's tenant has its share already, and what is left is kept for others.
    OverShare {
        /// Of what.
        of: OverShare,
        /// When there will be room for the job, if the tenant offers nothing else.
        retry_at: Time,
    },
}

/// What a tenant has its share of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OverShare {
    /// Places in the queue.
    Places {
        /// How many it holds.
        held: usize,
        /// How many it may hold, with as many free as are.
        most: usize,
    },
    /// Device time until the job's deadline.
    DeviceTime {
        /// What it would be promised, the job included.
        promised: Duration,
        /// What it may be promised.
        most: Duration,
        /// Its share of the device while as many others are active, by weight.
        share: f64,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which job.
    pub job: JobId,
    /// How it ended.
    pub end: End,
    /// When.
    pub finish: Time,
    /// Its deadline.
    pub deadline: Time,
    /// Its floor.
    pub min_accuracy: f64,
    /// Requests that have an answer, by the mode they really ran in, in the order of the modes.
    pub mix: Vec<(Mode, u32)>,
    /// Request-weighted mean of the profiled accuracies of `mix`; `None` when nothing was answered.
    pub accuracy: Option<f64>,
    /// Requests that have an answer.
    pub answered: u32,
    /// Requests it has.
    pub requests: u32,
    /// When its first batch was started.
    pub started: Option<Time>,
    /// Time its batches took on the device.
    pub device_time: Duration,
    /// Time they should have taken, by the estimates when they were started.
    pub expected_time: Duration,
    /// The strategy it was given last, as table and index there.
    pub last_choice: (TableId, u32),
    /// The decisions that changed its strategy, oldest first; at most the last 64.
    pub decisions: Vec<Decider>,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every request has an answer.
    Served,
    /// Every request was run, and some of them have an answer.
    Partial,
    /// Given up because its deadline could not be met and it asked for that.
    Dropped,
    /// The client gave it up.
    Cancelled,
    /// The device failed on it twice, or was lost with it, or no request of it has an answer.
    Failed,
}

/// Who changed a job's strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// The policy, in this answer.
    Policy(DecisionId),
    /// The fallback.
    Fallback,
}

impl BatchReport {
    /// Every one of these requests has an answer, after so long on the device.
    pub fn all(requests: u32, compute: Duration) -> BatchReport {
        BatchReport { compute, prepare: Duration::ZERO, answered: requests }
    }
}

impl Outcome {
    /// Every request has an answer, by the deadline, at or above the floor.
    pub fn good(&self) -> bool {
        self.end == End::Served && self.finish <= self.deadline && self.floor_kept()
    }

    /// The mix that was really run is at or above the floor (or nothing was answered).
    pub fn floor_kept(&self) -> bool {
        self.accuracy.is_none_or(|accuracy| crate::at_least(accuracy, self.min_accuracy))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownModel(model) => write!(f, "there is no model {}", model.0),
            Self::ModelLost(_) => {
                write!(f, "no device can run the model at present: it failed, and could not be built again")
            }
            Self::DeviceSuspect(_) => {
                write!(f, "no device that could serve the job can be trusted at present: its batches take far too long")
            }
            Self::TooManyRequests { requests, most } => {
                write!(f, "the job has {requests} requests, expected at most {most}")
            }
            Self::InvalidJob(reason) => f.write_str(reason),
            Self::Duplicate(job) => write!(f, "there is a job {job} already"),
            Self::FloorUnreachable { min_accuracy, best } => {
                write!(f, "min_accuracy is {min_accuracy}, but the model reaches {best:.4} at best")
            }
            Self::DeadlineUnreachable { never: true, .. } => {
                write!(f, "the deadline cannot be met at this min_accuracy, even by an idle server")
            }
            Self::DeadlineUnreachable { .. } => {
                write!(f, "the deadline cannot be met at this min_accuracy behind the jobs that wait now")
            }
            Self::OverShare { of: OverShare::Places { held, most }, .. } => {
                write!(
                    f,
                    "the tenant's share of the queue is used up: {held} of its jobs wait, expected at most {most}"
                )
            }
            Self::OverShare { of: OverShare::DeviceTime { promised, most, .. }, .. } => write!(
                f,
                "the tenant's share of the device is used up: {} ms are promised until this deadline with this job, \
                 expected at most {} ms",
                promised.as_millis(),
                most.as_millis()
            ),
            Self::QueueFull { most, .. } => write!(f, "the queue is full: {most} jobs wait, and no more may"),
        }
    }
}
