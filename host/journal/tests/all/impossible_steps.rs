//! Steps that no scheduler takes, and checkpoints that none wrote: histories take them in, and are explained, without a panic.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accepted, Action, Batch, BatchId, BatchReport, Checkpoint, Config, Decider, Decision, DecisionError, DecisionId,
    End, Event, Job, JobId, JobRow, LaneId, LaneState, ModalitySet, Mode, ModelId, OnLate, Outcome, PolicyError,
    Precision, Quality, QueuedJobState, Refusal, RunningState, Scheduler, Snapshot, Step, StrategyMatrix, TableId,
    Tenant, Time, Trigger, Turn,
};
use mosel_journal::{Header, JobHistories, Naming, PolicyRecord, explain};
use mosel_sim::SimCase;
use proptest::prelude::*;

const MODEL: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure audio 4 9ms 137/200
    measure video+audio 1 10ms 157/200
";

/// Numbers that name something, or nothing, or too much.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..5, 1 => Just(u32::MAX)]
}

fn id() -> impl Strategy<Value = u64> {
    0u64..4
}

fn job_id() -> impl Strategy<Value = JobId> {
    id().prop_map(JobId)
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..2.0f64, 1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, -1.0, 1e300])]
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![4 => (0u64..200_000).prop_map(Time::from_micros), 1 => Just(Time::NEVER)]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![4 => (0u64..50_000).prop_map(Duration::from_micros), 1 => Just(Duration::MAX)]
}

fn mode() -> impl Strategy<Value = Mode> {
    let precision = prop::sample::select(&Precision::ALL);
    (number(), precision).prop_map(|(bits, precision)| Mode { modalities: ModalitySet::from_bits(bits), precision })
}

/// A table that there is, for most job sizes.
fn table() -> impl Strategy<Value = TableId> {
    number().prop_map(TableId)
}

fn job() -> impl Strategy<Value = Job> {
    (job_id(), 0u32..2, number(), time(), float(), any::<bool>()).prop_map(
        |(id, model, requests, deadline, floor, drops)| Job {
            id,
            model: ModelId(model),
            requests,
            deadline,
            min_accuracy: floor,
            weight: floor,
            tenant: Tenant::default(),
            on_late: if drops { OnLate::Drop } else { OnLate::Run },
        },
    )
}

fn batch() -> impl Strategy<Value = Batch> {
    (id(), number(), job_id(), number(), number(), mode(), duration()).prop_map(
        |(id, lane, job, requests, batch_size, mode, expected)| Batch {
            id: BatchId(id),
            lane: LaneId(lane),
            job,
            model: ModelId(0),
            first: requests,
            requests,
            batch_size,
            mode,
            expected,
        },
    )
}

fn row() -> impl Strategy<Value = JobRow> {
    (job_id(), table(), number(), time(), float(), number(), any::<bool>()).prop_map(
        |(id, table, requests, deadline, floor, current, late)| JobRow {
            id,
            table,
            requests,
            arrival: Time::START,
            deadline,
            min_accuracy: floor,
            weight: floor,
            tenant: Tenant::default(),
            current,
            given_up: late,
        },
    )
}

fn trigger() -> impl Strategy<Value = Trigger> {
    prop::sample::select(vec![Trigger::Violation, Trigger::Arrival, Trigger::Completion, Trigger::Rehearsal])
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let rows = prop::collection::vec(row(), 0..5);
    (id(), number(), trigger(), time(), duration(), float(), rows).prop_map(
        |(plan, lane, trigger, now, budget, time_factor, jobs)| Snapshot {
            decision: DecisionId(plan),
            lane: LaneId(lane),
            trigger,
            now,
            start: now,
            budget,
            time_factor,
            catalog_revision: 1,
            jobs,
        },
    )
}

fn moves() -> impl Strategy<Value = Vec<(JobId, u32)>> {
    prop::collection::vec((job_id(), number()), 0..5)
}

fn decision() -> impl Strategy<Value = Decision> {
    (moves(), prop::collection::vec(job_id(), 0..5)).prop_map(|(assignments, order)| Decision {
        assignments,
        order,
        quality: Quality::Heuristic,
        objective: None,
        bound: None,
    })
}

fn policy_error() -> impl Strategy<Value = PolicyError> {
    prop_oneof![
        any::<String>().prop_map(PolicyError::Declined),
        duration().prop_map(PolicyError::TimedOut),
        any::<u64>().prop_map(PolicyError::OutOfFuel),
        any::<u64>().prop_map(PolicyError::OutOfMemory),
        any::<String>().prop_map(PolicyError::Trapped),
        any::<String>().prop_map(PolicyError::Malformed),
        any::<String>().prop_map(PolicyError::Unavailable),
    ]
}

fn plan_error() -> impl Strategy<Value = DecisionError> {
    prop_oneof![
        4 => policy_error().prop_map(DecisionError::Policy),
        1 => Just(DecisionError::TooLate),
        1 => job_id().prop_map(DecisionError::UnknownJob),
        1 => (job_id(), float(), float()).prop_map(|(job, accuracy, floor)| DecisionError::BelowFloor { job, accuracy, floor }),
        1 => (job_id(), duration()).prop_map(|(job, by)| DecisionError::MakesLate { job, by }),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let unreachable = (time(), time(), prop::option::of(float()), any::<bool>()).prop_map(
        |(deadline, earliest, best_accuracy, never)| Refusal::DeadlineUnreachable {
            deadline,
            earliest,
            best_accuracy,
            never,
        },
    );
    prop_oneof![
        number().prop_map(|model| Refusal::UnknownModel(ModelId(model))),
        number().prop_map(|model| Refusal::ModelLost(ModelId(model))),
        number().prop_map(|requests| Refusal::TooManyRequests { requests, most: 16 }),
        Just(Refusal::InvalidJob("the weight is NaN".into())),
        job_id().prop_map(Refusal::Duplicate),
        float().prop_map(|best| Refusal::FloorUnreachable { min_accuracy: 1.0, best }),
        unreachable,
        time().prop_map(|retry_at| Refusal::QueueFull { most: 9, retry_at }),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let end = prop::sample::select(vec![End::Served, End::Partial, End::Dropped, End::Cancelled, End::Failed]);
    let mix = prop::collection::vec((mode(), number()), 0..3);
    (job_id(), end, time(), time(), mix, prop::option::of(float()), duration()).prop_map(
        |(job, end, finish, deadline, mix, accuracy, device_time)| Outcome {
            job,
            end,
            finish,
            deadline,
            min_accuracy: 0.5,
            mix,
            accuracy,
            answered: 1,
            requests: 2,
            started: None,
            device_time,
            expected_time: device_time,
            last_choice: (TableId(0), 0),
            decisions: Vec::new(),
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let answer = prop_oneof![3 => decision().prop_map(Ok), 1 => policy_error().prop_map(Err)];
    prop_oneof![
        3 => job().prop_map(Event::Submit),
        1 => job_id().prop_map(Event::Cancel),
        4 => (id(), answer).prop_map(|(plan, answer)| Event::Decided(DecisionId(plan), answer)),
        2 => (id(), duration(), number()).prop_map(|(batch, compute, answered)| {
            Event::BatchDone(BatchId(batch), BatchReport { compute, prepare: compute, answered })
        }),
        2 => id().prop_map(|batch| Event::BatchFailed(BatchId(batch))),
        1 => any::<bool>().prop_map(|eager| Event::PolicyChanged { eager }),
        1 => duration().prop_map(Event::Paused),
        1 => number().prop_map(|lane| Event::LaneRestored(LaneId(lane))),
        1 => Just(Event::WakeUp),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let accepted = (job_id(), number(), time());
    let accepted =
        accepted.prop_map(|(job, lane, predicted_finish)| Accepted { job, lane: LaneId(lane), predicted_finish });
    prop_oneof![
        6 => accepted.prop_map(Action::Accept),
        1 => (job_id(), refusal()).prop_map(|(job, refusal)| Action::Refuse(job, refusal)),
        4 => batch().prop_map(Action::Run),
        4 => snapshot().prop_map(Action::Decide),
        6 => (id(), prop::collection::vec(job_id(), 0..4)).prop_map(|(plan, jobs)| Action::Adopt(DecisionId(plan), jobs)),
        3 => (id(), plan_error()).prop_map(|(plan, error)| Action::RefuseDecision(DecisionId(plan), error)),
        4 => (number(), moves()).prop_map(|(lane, moves)| Action::Fallback(LaneId(lane), moves)),
        1 => job_id().prop_map(Action::GiveUp),
        1 => (job_id(), number()).prop_map(|(job, choice)| Action::KeepFloor(job, choice)),
        1 => (job_id(), number()).prop_map(|(job, lane)| Action::Move(job, LaneId(lane))),
        1 => number().prop_map(|lane| Action::LoseLane(LaneId(lane))),
        1 => outcome().prop_map(Action::Finish),
        1 => time().prop_map(Action::WakeAt),
    ]
}

fn entry() -> impl Strategy<Value = QueuedJobState> {
    let step = (mode(), number(), number(), number(), duration());
    let step = step.prop_map(|(mode, batch_size, batches, requests, batch_latency)| Step {
        mode,
        batch_size,
        batches,
        requests,
        batch_latency,
    });
    (job(), time(), any::<bool>(), prop::collection::vec(step, 0..4)).prop_map(|(job, arrival, late, steps)| {
        QueuedJobState {
            job,
            arrival,
            started: None,
            given_up: late,
            failed_once: false,
            probe: false,
            device_time: Duration::ZERO,
            expected_time: Duration::ZERO,
            decisions: vec![Decider::Fallback],
            steps,
            choice: None,
            last_choice: (TableId(0), 0),
            pending: Vec::new(),
            mix: Vec::new(),
            unanswered: 0,
        }
    })
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    let running = (batch(), time(), duration());
    let running = running.prop_map(|(batch, started, profiled)| RunningState {
        batch,
        started,
        profiled,
        turn: Turn::default(),
        paused: Duration::ZERO,
    });
    let lane =
        (prop::collection::vec(entry(), 0..4), prop::option::of(running), prop::option::of((snapshot(), time())));
    let lane =
        lane.prop_map(|(entries, running, question)| LaneState { running, question, entries, ..LaneState::default() });
    prop::collection::vec(lane, 0..3).prop_map(|lanes| Checkpoint {
        eager: false,
        next_decision: 0,
        next_batch: 0,
        wake_at: None,
        retired: Vec::new(),
        lost: Vec::new(),
        tenants: Vec::new(),
        lanes,
    })
}

fn header(checkpoint: Option<Checkpoint>) -> Header {
    let profile = Arc::new(SimCase::parse(MODEL).expect("it reads").profile);
    let matrix = Arc::new(StrategyMatrix::new(ModelId(0), profile, 4).expect("it is sound"));
    let scheduler = Scheduler::new(Config::default(), vec![matrix]);
    Header {
        version: mosel_journal::VERSION,
        checkpoint,
        ..Header::of(&scheduler, PolicyRecord { name: "odd".into(), ..PolicyRecord::default() }, "0.1.0")
    }
}

/// Every history, as far as it can be told.
fn all_explained(histories: &JobHistories, naming: &Naming) -> Vec<String> {
    let histories = (0..5).filter_map(|job| histories.history(JobId(job)));
    histories.flat_map(|history| explain(history, naming)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn nonsense_is_taken_in_and_told(
        checkpoint in prop::option::of(checkpoint()),
        steps in prop::collection::vec((time(), event(), prop::collection::vec(action(), 0..6)), 1..30),
        most_ended in 0usize..3,
    ) {
        let header = header(checkpoint);
        let naming = Naming::new("j-", &header.models);
        let mut histories = JobHistories::resume(&header, most_ended);
        for (now, event, actions) in &steps {
            histories.handle(*now, event, actions);
        }
        let told = all_explained(&histories, &naming);
        prop_assert!(told.iter().all(|sentence| sentence.ends_with('.')), "{:?}", told);
        let ended = (0..5).filter_map(|job| histories.history(JobId(job))).filter(|history| history.has_ended());
        prop_assert!(ended.map(|history| history.job.id).collect::<BTreeSet<_>>().len() <= most_ended);
    }
}
