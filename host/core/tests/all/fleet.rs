//! Devices of several kinds, and models that come and go.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{
    Accepted, Accuracy, Action, Batch, Config, DeviceKind, Event, Job, JobId, LaneId, Latency, Measurement,
    ModalitySet, Mode, ModelId, Precision, Profile, Refusal, Scheduler, StrategyMatrix, Time,
};
use mosel_testkit::jobs::done;

const SLOW: u32 = 0;
const FAST: u32 = 1;
const MODEL: ModelId = ModelId(0);

/// One modality; a batch of 1 takes this long.
fn profile(micros: u64) -> Arc<Profile> {
    let measurement = Measurement {
        mode: Mode::full(ModalitySet::all(1)),
        batch_size: 1,
        latency: Latency::exactly(Duration::from_micros(micros)),
        accuracy: Accuracy { correct: 9, samples: 10 },
        memory_bytes: 0,
    };
    let modalities = vec!["text".into()];
    Arc::new(Profile { id: format!("p{micros}"), model: "toy".into(), modalities, measurements: vec![measurement] })
}

fn variant(id: u32, kind: u32, micros: u64) -> Arc<StrategyMatrix> {
    let matrix = StrategyMatrix::new(ModelId(id), profile(micros), 8).expect("a sound profile");
    Arc::new(matrix.on(MODEL, DeviceKind(kind)))
}

/// A slow lane and a fast one, of which a batch takes 8 ms and 1 ms.
fn two_kinds() -> Scheduler {
    let config = Config { lanes: 2, kinds: vec![DeviceKind(SLOW), DeviceKind(FAST)], margin: 0.0, ..Config::default() };
    Scheduler::new(config, vec![variant(0, SLOW, 8000), variant(1, FAST, 1000)])
}

fn job(id: u64, model: ModelId, deadline_ms: u64) -> Job {
    Job { model, deadline: Time::from_millis(deadline_ms), min_accuracy: 0.5, ..mosel_testkit::jobs::job(id) }
}

fn accepted(actions: &[Action]) -> Accepted {
    let find = |action: &Action| if let Action::Accept(accepted) = action { Some(*accepted) } else { None };
    actions.iter().find_map(find).expect("it was accepted")
}

fn refusal(actions: &[Action]) -> &Refusal {
    match actions {
        [Action::Refuse(_, refusal), ..] => refusal,
        _ => panic!("it was not refused: {actions:?}"),
    }
}

fn batch(actions: &[Action]) -> Batch {
    let find = |action: &Action| if let Action::Run(batch) = action { Some(*batch) } else { None };
    actions.iter().find_map(find).expect("a batch was started")
}

#[test]
fn a_job_goes_where_it_is_done_first_with_the_times_of_that_device() {
    let mut scheduler = two_kinds();
    // seven wait for the fast lane as long as one for the slow one
    for id in 0..8 {
        let actions = scheduler.step(Time::START, Event::Submit(job(id, MODEL, 1000)));
        let Accepted { lane, predicted_finish, .. } = accepted(&actions);
        let expected = if id < 7 { (LaneId(FAST), 1000 * (id + 1)) } else { (LaneId(SLOW), 8000) };
        assert_eq!((lane, predicted_finish.micros()), expected, "job {id}");
        if id == 0 {
            let batch = batch(&actions);
            assert_eq!((batch.model, batch.expected), (ModelId(1), Duration::from_millis(1)));
        }
    }
}

#[test]
fn a_deadline_that_only_one_kind_meets_is_promised_by_that_one() {
    let mut scheduler = two_kinds();
    let actions = scheduler.step(Time::START, Event::Submit(job(1, MODEL, 2)));
    assert_eq!(accepted(&actions).lane, LaneId(FAST));
    scheduler.step(Time::START, Event::Submit(job(2, MODEL, 2)));
    let actions = scheduler.step(Time::START, Event::Submit(job(3, MODEL, 2)));
    let Refusal::DeadlineUnreachable { earliest, never, .. } = *refusal(&actions) else { panic!("{actions:?}") };
    assert_eq!((earliest.micros(), never), (3000, false));
}

#[test]
fn an_outcome_names_the_menu_of_the_device_it_ran_on() {
    let mut scheduler = two_kinds();
    let started = batch(&scheduler.step(Time::START, Event::Submit(job(1, MODEL, 100))));
    let actions = scheduler.step(Time::from_millis(1), done(started.id, Duration::from_millis(1)));
    let find = |action: &Action| if let Action::Finish(outcome) = action { Some(outcome.clone()) } else { None };
    let outcome = actions.iter().find_map(find).expect("it was served");
    assert!(scheduler.models()[1].owns(outcome.last_choice.0) && !scheduler.models()[0].owns(outcome.last_choice.0));
}

#[test]
fn a_model_that_one_kind_lacks_is_served_by_the_other() {
    let config = Config { lanes: 2, kinds: vec![DeviceKind(SLOW), DeviceKind(FAST)], margin: 0.0, ..Config::default() };
    let mut scheduler = Scheduler::new(config, vec![variant(0, SLOW, 8000)]);
    for id in 1..4 {
        assert_eq!(accepted(&scheduler.step(Time::START, Event::Submit(job(id, MODEL, 1000)))).lane, LaneId(SLOW));
    }
}

#[test]
fn a_model_serves_once_it_is_loaded_and_takes_nothing_once_it_is_retired() {
    let mut scheduler = Scheduler::new(Config::default(), vec![variant(0, 0, 1000)]);
    let newcomer = ModelId(1);
    let actions = scheduler.step(Time::START, Event::Submit(job(1, newcomer, 100)));
    assert_eq!(refusal(&actions), &Refusal::UnknownModel(newcomer));
    let revision = scheduler.catalog().revision;
    let matrix = StrategyMatrix::new(newcomer, profile(500), 8).expect("a sound profile");
    assert_eq!(scheduler.step(Time::START, Event::ModelsLoaded(vec![Arc::new(matrix)])), []);
    assert!(scheduler.catalog().revision > revision);
    let started = batch(&scheduler.step(Time::START, Event::Submit(job(2, newcomer, 100))));
    scheduler.step(Time::START, Event::Submit(job(3, newcomer, 100)));
    scheduler.step(Time::START, Event::ModelRetired(newcomer));
    let actions = scheduler.step(Time::START, Event::Submit(job(4, newcomer, 100)));
    assert_eq!(refusal(&actions), &Refusal::UnknownModel(newcomer));
    // what was accepted is served
    let actions = scheduler.step(Time::from_micros(500), done(started.id, Duration::from_micros(500)));
    assert_eq!(batch(&actions).job, JobId(3));
}

#[test]
fn a_checkpoint_remembers_what_was_loaded_and_what_was_retired() {
    let mut scheduler = two_kinds();
    let matrix = StrategyMatrix::new(ModelId(2), profile(500), 8).expect("a sound profile");
    scheduler.step(Time::START, Event::ModelsLoaded(vec![Arc::new(matrix)]));
    scheduler.step(Time::START, Event::Submit(job(1, MODEL, 100)));
    scheduler.step(Time::START, Event::ModelRetired(MODEL));
    let resumed =
        Scheduler::resume(scheduler.config().clone(), scheduler.models().to_vec(), &scheduler.checkpoint()).unwrap();
    assert_eq!(resumed.checkpoint(), scheduler.checkpoint());
    assert_eq!(resumed.catalog().revision, scheduler.catalog().revision);
    let next = Event::Submit(job(2, MODEL, 100));
    assert_eq!(resumed.clone().step(Time::START, next.clone()), scheduler.step(Time::START, next));
}

#[test]
fn a_reduced_precision_is_one_more_way_to_serve() {
    let mode = |precision| Mode { modalities: ModalitySet::all(1), precision };
    let measurement = |precision, micros, correct| Measurement {
        mode: mode(precision),
        batch_size: 1,
        latency: Latency::exactly(Duration::from_micros(micros)),
        accuracy: Accuracy { correct, samples: 10 },
        memory_bytes: 0,
    };
    let measurements = vec![measurement(Precision::Fp32, 1000, 9), measurement(Precision::Bf16, 400, 8)];
    let profile = Profile { id: "p".into(), model: "toy".into(), modalities: vec!["text".into()], measurements };
    let matrix = Arc::new(StrategyMatrix::new(MODEL, Arc::new(profile), 8).expect("a sound profile"));
    let modes = |requests: u32| -> Vec<Vec<Mode>> {
        let table = matrix.table(requests).expect("a table");
        table.strategies.iter().map(|strategy| strategy.steps.iter().map(|step| step.mode).collect()).collect()
    };
    let (full, reduced) = (mode(Precision::Fp32), mode(Precision::Bf16));
    assert_eq!(modes(1), [vec![reduced], vec![full]]);
    assert_eq!(modes(2), [vec![reduced], vec![reduced, full], vec![full]]);
}

#[test]
fn a_lane_that_has_lost_a_model_gets_no_new_jobs_of_it_until_it_is_restored() {
    let mut scheduler = two_kinds();
    let lane = |scheduler: &mut Scheduler, id| {
        accepted(&scheduler.step(Time::START, Event::Submit(job(id, MODEL, 1000)))).lane
    };
    assert_eq!(lane(&mut scheduler, 1), LaneId(FAST));
    assert_eq!(scheduler.step(Time::START, Event::ModelLost(LaneId(FAST), ModelId(1))), []);
    assert_eq!(lane(&mut scheduler, 2), LaneId(SLOW));
    // a deadline that only the lost device could meet: that is not for ever
    let actions = scheduler.step(Time::START, Event::Submit(job(3, MODEL, 2)));
    let Refusal::DeadlineUnreachable { earliest, never, .. } = *refusal(&actions) else { panic!("{actions:?}") };
    assert_eq!((earliest.micros(), never), (16_000, false));
    scheduler.step(Time::START, Event::ModelLost(LaneId(SLOW), ModelId(0)));
    let actions = scheduler.step(Time::START, Event::Submit(job(4, MODEL, 1000)));
    assert_eq!(refusal(&actions), &Refusal::ModelLost(MODEL));
    let resumed = Scheduler::resume(scheduler.config().clone(), scheduler.models().to_vec(), &scheduler.checkpoint());
    assert_eq!(resumed.unwrap().lost(), scheduler.lost());
    scheduler.step(Time::START, Event::ModelRestored(LaneId(FAST), ModelId(1)));
    assert_eq!(lane(&mut scheduler, 5), LaneId(FAST));
}

#[test]
fn what_only_a_lost_device_can_do_is_refused_for_the_loss() {
    let mut better = (*profile(1000)).clone();
    better.measurements[0].accuracy = Accuracy { correct: 10, samples: 10 };
    let better =
        StrategyMatrix::new(ModelId(1), Arc::new(better), 16).expect("a sound profile").on(MODEL, DeviceKind(FAST));
    let config = Config { lanes: 2, kinds: vec![DeviceKind(SLOW), DeviceKind(FAST)], margin: 0.0, ..Config::default() };
    let mut scheduler = Scheduler::new(config, vec![variant(0, SLOW, 8000), Arc::new(better)]);
    scheduler.step(Time::START, Event::ModelLost(LaneId(FAST), ModelId(1)));
    // too accurate and too large for the other
    for only_there in [Job { min_accuracy: 0.95, ..job(1, MODEL, 1000) }, Job { requests: 12, ..job(2, MODEL, 1000) }] {
        let actions = scheduler.step(Time::START, Event::Submit(only_there));
        assert_eq!(refusal(&actions), &Refusal::ModelLost(MODEL));
    }
    let actions = scheduler.step(Time::START, Event::Submit(Job { requests: 17, ..job(3, MODEL, 1000) }));
    assert_eq!(refusal(&actions), &Refusal::TooManyRequests { requests: 17, most: 16 });
}

#[test]
fn what_is_lost_on_one_lane_or_of_one_model_is_served_by_the_others() {
    let config = Config { lanes: 2, margin: 0.0, ..Config::default() };
    let other = Arc::new(StrategyMatrix::new(ModelId(1), profile(1000), 8).expect("a sound profile"));
    let mut scheduler = Scheduler::new(config, vec![variant(0, 0, 1000), other]);
    scheduler.step(Time::START, Event::ModelLost(LaneId(0), MODEL));
    let lane = |scheduler: &mut Scheduler, id, model| {
        accepted(&scheduler.step(Time::START, Event::Submit(job(id, model, 1000)))).lane
    };
    assert_eq!([1, 2].map(|id| lane(&mut scheduler, id, MODEL)), [LaneId(1); 2]);
    assert_eq!(lane(&mut scheduler, 3, ModelId(1)), LaneId(0));
    // what no server has is nobody's loss
    scheduler.step(Time::START, Event::ModelLost(LaneId(9), MODEL));
    scheduler.step(Time::START, Event::ModelLost(LaneId(0), ModelId(9)));
    assert_eq!(scheduler.lost().len(), 1);
}
