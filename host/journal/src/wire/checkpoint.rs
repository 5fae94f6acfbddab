//! Checkpoints. Whether what was read makes sense is for the core to say.

use std::ops::Range;
use std::time::Duration;

use mosel_core::{
    Checkpoint, Decider, DecisionId, JobId, JobRow, LaneCondition, LaneId, LaneState, LateCredit, ModelId,
    QueuedJobState, RunningState, Snapshot, Step, Suspicion, TableId, Tenant, TenantDemand, Time, Trigger, Turn,
};
use serde::{Deserialize, Serialize};

use super::action::{decided_by, trigger};
use super::job::{BatchLine, JobLine};
use super::mode::ModeLine;
use super::nanos;
use super::number::Number;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CheckpointLine {
    eager: bool,
    next_plan: u64,
    next_batch: u64,
    wake_at_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<u32>,
    /// (lane, model)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lost: Vec<(u32, u32)>,
    /// What tenants have offered of late, by lane.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tenants: Vec<Vec<DemandLine>>,
    lanes: Vec<LaneLine>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LaneLine {
    correction: Number,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_since_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_probe_us: Option<u64>,
    /// Absent in version 1, and where it is sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    running: Option<RunningLine>,
    question: Option<SnapshotLine>,
    changed: Option<String>,
    /// What is saved for late jobs; absent where none wait.
    #[serde(default, skip_serializing_if = "is_default")]
    late: LateLine,
    jobs: Vec<EntryLine>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RunningLine {
    batch: BatchLine,
    started_us: u64,
    profiled_ns: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    turn: TurnLine,
    #[serde(default, skip_serializing_if = "is_default")]
    paused_ns: u64,
}

/// What a tenant has offered a lane of late, in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DemandLine {
    tenant: u64,
    last_us: u64,
    work: Number,
    over: Number,
    largest: Number,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct LateLine {
    saved_ns: i64,
    waiting_since_us: Option<u64>,
    due_since_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TurnLine {
    #[default]
    OnTime,
    Spare,
    LateShare,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SnapshotLine {
    due_us: u64,
    plan: u64,
    lane: u32,
    trigger: String,
    now_us: u64,
    start_us: u64,
    budget_ns: u64,
    time_factor: Number,
    catalog_revision: u64,
    jobs: Vec<RowLine>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RowLine {
    job: u64,
    table: u32,
    requests: u32,
    arrival_us: u64,
    deadline_us: u64,
    min_accuracy: Number,
    weight: Number,
    tenant: u64,
    current: u32,
    late: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EntryLine {
    job: JobLine,
    arrival_us: u64,
    started_us: Option<u64>,
    late: bool,
    failed_once: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    probe: bool,
    device_ns: u64,
    expected_ns: u64,
    decisions: Vec<u64>,
    steps: Vec<StepLine>,
    choice: Option<u32>,
    last_choice: (u32, u32),
    pending: Vec<(u32, u32)>,
    mix: Vec<(ModeLine, u32)>,
    #[serde(default, skip_serializing_if = "is_zero")]
    unanswered: u32,
}

fn is_zero(requests: &u32) -> bool {
    *requests == 0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StepLine {
    modalities: ModeLine,
    batch_size: u32,
    batches: u32,
    requests: u32,
    batch_ns: u64,
}

impl From<&Checkpoint> for CheckpointLine {
    fn from(checkpoint: &Checkpoint) -> CheckpointLine {
        CheckpointLine {
            eager: checkpoint.eager,
            next_plan: checkpoint.next_decision,
            next_batch: checkpoint.next_batch,
            wake_at_us: checkpoint.wake_at.map(Time::micros),
            retired: checkpoint.retired.iter().map(|model| model.0).collect(),
            lost: checkpoint.lost.iter().map(|&(lane, model)| (lane.0, model.0)).collect(),
            tenants: checkpoint.tenants.iter().map(|lane| lane.iter().map(DemandLine::from).collect()).collect(),
            lanes: checkpoint.lanes.iter().map(LaneLine::from).collect(),
        }
    }
}

impl From<&(Tenant, TenantDemand)> for DemandLine {
    fn from(&(tenant, demand): &(Tenant, TenantDemand)) -> DemandLine {
        DemandLine {
            tenant: tenant.0,
            last_us: demand.last.micros(),
            work: Number(demand.work_s),
            over: Number(demand.over_s),
            largest: Number(demand.largest_s),
        }
    }
}

impl DemandLine {
    fn read(self) -> (Tenant, TenantDemand) {
        let DemandLine { tenant, last_us, work: Number(work_s), over: Number(over_s), largest: Number(largest_s) } =
            self;
        (Tenant(tenant), TenantDemand { last: Time::from_micros(last_us), work_s, over_s, largest_s })
    }
}

impl From<LateCredit> for LateLine {
    fn from(late: LateCredit) -> LateLine {
        LateLine {
            saved_ns: late.saved_ns,
            waiting_since_us: late.waiting_since.map(Time::micros),
            due_since_us: late.due_since.map(Time::micros),
        }
    }
}

impl From<LateLine> for LateCredit {
    fn from(line: LateLine) -> LateCredit {
        LateCredit {
            saved_ns: line.saved_ns,
            waiting_since: line.waiting_since_us.map(Time::from_micros),
            due_since: line.due_since_us.map(Time::from_micros),
        }
    }
}

impl From<Turn> for TurnLine {
    fn from(turn: Turn) -> TurnLine {
        match turn {
            Turn::OnTime => TurnLine::OnTime,
            Turn::Spare => TurnLine::Spare,
            Turn::LateShare => TurnLine::LateShare,
        }
    }
}

impl From<TurnLine> for Turn {
    fn from(line: TurnLine) -> Turn {
        match line {
            TurnLine::OnTime => Turn::OnTime,
            TurnLine::Spare => Turn::Spare,
            TurnLine::LateShare => Turn::LateShare,
        }
    }
}

impl CheckpointLine {
    /// The checkpoint, if every word in it is known.
    pub(crate) fn read(self) -> Result<Checkpoint, String> {
        Ok(Checkpoint {
            eager: self.eager,
            next_decision: self.next_plan,
            next_batch: self.next_batch,
            wake_at: self.wake_at_us.map(Time::from_micros),
            retired: self.retired.into_iter().map(ModelId).collect(),
            lost: self.lost.into_iter().map(|(lane, model)| (LaneId(lane), ModelId(model))).collect(),
            tenants: self.tenants.into_iter().map(|lane| lane.into_iter().map(DemandLine::read).collect()).collect(),
            lanes: self.lanes.into_iter().map(LaneLine::read).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&LaneState> for LaneLine {
    fn from(lane: &LaneState) -> LaneLine {
        let running = |running: &RunningState| RunningLine {
            batch: (&running.batch).into(),
            started_us: running.started.micros(),
            profiled_ns: nanos(running.profiled),
            turn: running.turn.into(),
            paused_ns: nanos(running.paused),
        };
        LaneLine {
            correction: Number(lane.correction),
            recent: lane.recent.iter().map(|&ratio| Number(ratio)).collect(),
            idle_since_us: lane.idle_since.map(Time::micros),
            last_probe_us: lane.last_probe.map(Time::micros),
            condition: Some(lane.condition).filter(|it| *it != LaneCondition::Sound).map(|it| it.to_string()),
            running: lane.running.as_ref().map(running),
            question: lane.question.as_ref().map(SnapshotLine::from),
            changed: lane.changed.map(|changed| trigger(changed).into()),
            late: lane.late.into(),
            jobs: lane.entries.iter().map(EntryLine::from).collect(),
        }
    }
}

impl LaneLine {
    fn read(self) -> Result<LaneState, String> {
        let running = |running: RunningLine| RunningState {
            batch: running.batch.into(),
            started: Time::from_micros(running.started_us),
            profiled: Duration::from_nanos(running.profiled_ns),
            turn: running.turn.into(),
            paused: Duration::from_nanos(running.paused_ns),
        };
        Ok(LaneState {
            correction: self.correction.0,
            recent: self.recent.into_iter().map(|ratio| ratio.0).collect(),
            idle_since: self.idle_since_us.map(Time::from_micros),
            last_probe: self.last_probe_us.map(Time::from_micros),
            condition: self.condition.as_deref().map_or(Ok(LaneCondition::Sound), read_condition)?,
            running: self.running.map(running),
            question: self.question.map(SnapshotLine::read).transpose()?,
            changed: self.changed.as_deref().map(read_trigger).transpose()?,
            late: self.late.into(),
            entries: self.jobs.into_iter().map(QueuedJobState::from).collect(),
        })
    }
}

fn read_condition(word: &str) -> Result<LaneCondition, String> {
    let suspect = [Suspicion::Overdue, Suspicion::Slow].map(LaneCondition::Suspect);
    let mut known = suspect.into_iter().chain([LaneCondition::Sound, LaneCondition::Lost]);
    let found = known.find(|known| known.to_string() == word);
    found.ok_or_else(|| format!("expected sound, overdue, slow or lost, got {word:?}"))
}

fn read_trigger(word: &str) -> Result<Trigger, String> {
    let known = [Trigger::Violation, Trigger::Arrival, Trigger::Completion, Trigger::Rehearsal];
    let found = known.into_iter().find(|&known| trigger(known) == word);
    found.ok_or_else(|| format!("expected violation, arrival, completion or rehearsal, got {word:?}"))
}

impl From<&(Snapshot, Time)> for SnapshotLine {
    fn from((snapshot, due): &(Snapshot, Time)) -> SnapshotLine {
        SnapshotLine {
            due_us: due.micros(),
            plan: snapshot.decision.0,
            lane: snapshot.lane.0,
            trigger: trigger(snapshot.trigger).into(),
            now_us: snapshot.now.micros(),
            start_us: snapshot.start.micros(),
            budget_ns: nanos(snapshot.budget),
            time_factor: Number(snapshot.time_factor),
            catalog_revision: snapshot.catalog_revision,
            jobs: snapshot.jobs.iter().map(RowLine::from).collect(),
        }
    }
}

impl SnapshotLine {
    fn read(self) -> Result<(Snapshot, Time), String> {
        let snapshot = Snapshot {
            decision: DecisionId(self.plan),
            lane: LaneId(self.lane),
            trigger: read_trigger(&self.trigger)?,
            now: Time::from_micros(self.now_us),
            start: Time::from_micros(self.start_us),
            budget: Duration::from_nanos(self.budget_ns),
            time_factor: self.time_factor.0,
            catalog_revision: self.catalog_revision,
            jobs: self.jobs.into_iter().map(JobRow::from).collect(),
        };
        Ok((snapshot, Time::from_micros(self.due_us)))
    }
}

impl From<&JobRow> for RowLine {
    fn from(row: &JobRow) -> RowLine {
        RowLine {
            job: row.id.0,
            table: row.table.0,
            requests: row.requests,
            arrival_us: row.arrival.micros(),
            deadline_us: row.deadline.micros(),
            min_accuracy: Number(row.min_accuracy),
            weight: Number(row.weight),
            tenant: row.tenant.0,
            current: row.current,
            late: row.given_up,
        }
    }
}

impl From<RowLine> for JobRow {
    fn from(line: RowLine) -> JobRow {
        JobRow {
            id: JobId(line.job),
            table: TableId(line.table),
            requests: line.requests,
            arrival: Time::from_micros(line.arrival_us),
            deadline: Time::from_micros(line.deadline_us),
            min_accuracy: line.min_accuracy.0,
            weight: line.weight.0,
            tenant: Tenant(line.tenant),
            current: line.current,
            given_up: line.late,
        }
    }
}

impl From<&QueuedJobState> for EntryLine {
    fn from(entry: &QueuedJobState) -> EntryLine {
        EntryLine {
            job: (&entry.job).into(),
            arrival_us: entry.arrival.micros(),
            started_us: entry.started.map(Time::micros),
            late: entry.given_up,
            failed_once: entry.failed_once,
            probe: entry.probe,
            device_ns: nanos(entry.device_time),
            expected_ns: nanos(entry.expected_time),
            decisions: entry.decisions.iter().map(|&decider| decided_by(decider)).collect(),
            steps: entry.steps.iter().map(StepLine::from).collect(),
            choice: entry.choice,
            last_choice: (entry.last_choice.0.0, entry.last_choice.1),
            pending: entry.pending.iter().map(|range| (range.start, range.end)).collect(),
            mix: entry.mix.iter().map(|&(mode, requests)| (ModeLine(mode), requests)).collect(),
            unanswered: entry.unanswered,
        }
    }
}

impl From<EntryLine> for QueuedJobState {
    fn from(line: EntryLine) -> QueuedJobState {
        let decider = |plan| if plan == 0 { Decider::Fallback } else { Decider::Policy(DecisionId(plan)) };
        QueuedJobState {
            job: line.job.into(),
            arrival: Time::from_micros(line.arrival_us),
            started: line.started_us.map(Time::from_micros),
            given_up: line.late,
            failed_once: line.failed_once,
            probe: line.probe,
            device_time: Duration::from_nanos(line.device_ns),
            expected_time: Duration::from_nanos(line.expected_ns),
            decisions: line.decisions.into_iter().map(decider).collect(),
            steps: line.steps.into_iter().map(Step::from).collect(),
            choice: line.choice,
            last_choice: (TableId(line.last_choice.0), line.last_choice.1),
            pending: line.pending.into_iter().map(|(start, end)| Range { start, end }).collect(),
            mix: line.mix.into_iter().map(|(ModeLine(mode), requests)| (mode, requests)).collect(),
            unanswered: line.unanswered,
        }
    }
}

impl From<&Step> for StepLine {
    fn from(step: &Step) -> StepLine {
        StepLine {
            modalities: ModeLine(step.mode),
            batch_size: step.batch_size,
            batches: step.batches,
            requests: step.requests,
            batch_ns: nanos(step.batch_latency),
        }
    }
}

impl From<StepLine> for Step {
    fn from(line: StepLine) -> Step {
        Step {
            mode: line.modalities.0,
            batch_size: line.batch_size,
            batches: line.batches,
            requests: line.requests,
            batch_latency: Duration::from_nanos(line.batch_ns),
        }
    }
}
