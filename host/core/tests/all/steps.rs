//! Invariants that need an answer to come at a chosen moment: the core is stepped by hand.

use std::time::Duration;

use mosel_core::{
    Action, BatchId, Config, Decision, DecisionError, DecisionId, Event, Job, JobId, LaneId, ModelId, PolicyError,
    Scheduler, Snapshot, Time, Trigger,
};
use mosel_testkit::jobs::{done, job};
use mosel_testkit::toy;

const MILLI: Duration = Duration::from_millis(1);

fn scheduler() -> Scheduler {
    toy::scheduler(Config { margin: 0.0, ..Config::default() })
}

fn submit(id: u64, requests: u32, deadline_ms: u64) -> Event {
    Event::Submit(Job { requests, deadline: Time::from_millis(deadline_ms), ..job(id) })
}

fn question(actions: &[Action]) -> Option<&Snapshot> {
    actions.iter().find_map(|action| if let Action::Decide(snapshot) = action { Some(snapshot) } else { None })
}

fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn assign(job: u64, strategy: u32) -> Decision {
    Decision { assignments: vec![(JobId(job), strategy)], ..Decision::default() }
}

/// Job 1 runs; job 2 makes a violator. The question about both is out.
fn asked() -> (Scheduler, DecisionId) {
    let mut scheduler = scheduler();
    scheduler.step(at(0), submit(1, 4, 100));
    let actions = scheduler.step(at(1), submit(2, 4, 45));
    let plan = question(&actions).expect("job 2 would be late").decision;
    (scheduler, plan)
}

#[test]
fn late_plan_is_ignored() {
    let (mut scheduler, plan) = asked();
    let timed_out = scheduler.step(at(6), Event::WakeUp);
    assert!(
        matches!(timed_out[..], [Action::RefuseDecision(id, DecisionError::Policy(_)), Action::Fallback(..), ..] if id == plan)
    );
    let actions = scheduler.step(at(7), Event::Decided(plan, Ok(assign(2, 0))));
    assert_eq!(actions, [Action::RefuseDecision(plan, DecisionError::TooLate)]);
}

/// Job 1 would lose its last chance by its own first batch, so the device waits; job 2 comes while it does.
fn held(deadlines_ms: [u64; 2]) -> (Scheduler, DecisionId) {
    let mut scheduler = scheduler();
    let actions = scheduler.step(at(0), submit(1, 2, deadlines_ms[0]));
    let plan = question(&actions).expect("job 1 would be late").decision;
    scheduler.step(at(1), submit(2, 1, deadlines_ms[1]));
    (scheduler, plan)
}

#[test]
fn a_job_that_was_lost_meanwhile_is_not_in_the_way_of_those_the_squeeze_can_save() {
    let (mut scheduler, plan) = held([11, 13]);
    let declined = PolicyError::Declined("no".into());
    let actions = scheduler.step(at(4), Event::Decided(plan, Err(declined.clone())));
    let expected = [
        Action::GiveUp(JobId(1)),
        Action::RefuseDecision(plan, DecisionError::Policy(declined)),
        Action::Fallback(LaneId(0), vec![(JobId(2), 0)]),
    ];
    assert_eq!(actions[..3], expected, "{actions:?}");
    assert!(matches!(actions[3], Action::Run(batch) if batch.job == JobId(2)), "{actions:?}");
}

#[test]
fn a_device_does_not_wait_for_one_answer_after_another() {
    let (mut scheduler, plan) = held([12, 500]);
    let actions = scheduler.step(at(2), Event::Decided(plan, Ok(Decision::default())));
    let expected = [Action::Adopt(plan, vec![]), Action::Fallback(LaneId(0), vec![(JobId(1), 0)])];
    assert_eq!(actions[..2], expected, "{actions:?}");
    assert!(matches!(actions[2], Action::Run(batch) if batch.job == JobId(1)), "{actions:?}");
}

#[test]
fn one_question_at_most_is_out() {
    let (mut scheduler, plan) = asked();
    assert!(question(&scheduler.step(at(2), submit(3, 1, 60))).is_none());
    let answered = scheduler.step(at(3), Event::Decided(plan, Ok(Decision::default())));
    assert!(question(&answered).expect("the queue changed meanwhile, and job 2 is still late").decision > plan);
}

#[test]
fn a_policy_that_helped_is_not_asked_again() {
    let (mut scheduler, plan) = asked();
    let all_audio = Decision { assignments: vec![(JobId(1), 0), (JobId(2), 0)], ..Decision::default() };
    let adopted = scheduler.step(at(2), Event::Decided(plan, Ok(all_audio)));
    assert_eq!(adopted[0], Action::Adopt(plan, vec![JobId(1), JobId(2)]));
    assert!(question(&scheduler.step(at(10), done(BatchId(1), 10 * MILLI))).is_none());
}

#[test]
fn jobs_that_started_a_batch_meanwhile_are_skipped_the_others_adopted() {
    let (mut scheduler, plan) = asked();
    scheduler.step(at(4), done(BatchId(1), 4 * MILLI));
    let both = Decision { assignments: vec![(JobId(1), 0), (JobId(2), 0)], ..Decision::default() };
    let actions = scheduler.step(at(5), Event::Decided(plan, Ok(both)));
    assert_eq!(actions[0], Action::Adopt(plan, vec![JobId(2)]));
}

#[test]
fn jobs_that_ended_meanwhile_are_skipped_and_newcomers_keep_their_place() {
    let (mut scheduler, plan) = asked();
    scheduler.step(at(2), submit(3, 1, 500));
    scheduler.step(at(2), Event::Cancel(JobId(2)));
    let order = Decision { order: vec![JobId(2), JobId(1)], ..assign(2, 0) };
    let actions = scheduler.step(at(3), Event::Decided(plan, Ok(order)));
    assert_eq!(actions[0], Action::Adopt(plan, vec![]));
    let ids: Vec<u64> = scheduler.predictions(at(3)).keys().map(|job| job.0).collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn another_policy_voids_the_question_and_is_asked_itself() {
    let (mut scheduler, plan) = asked();
    let asked_again = scheduler.step(at(2), Event::PolicyChanged { eager: false });
    let new = question(&asked_again).expect("the violator is still there").decision;
    assert_ne!(new, plan);
    let old = scheduler.step(at(3), Event::Decided(plan, Ok(assign(2, 0))));
    assert_eq!(old, [Action::RefuseDecision(plan, DecisionError::TooLate)]);
}

#[test]
fn a_rehearsal_sees_the_queue_and_changes_nothing() {
    let (scheduler, _) = asked();
    let before = scheduler.predictions(at(2));
    let snapshot = scheduler.snapshot(LaneId(0), Trigger::Rehearsal, at(2));
    assert_eq!(snapshot.jobs.len(), 2);
    assert_eq!(scheduler.predictions(at(2)), before);
}

#[test]
fn an_outcome_adds_up() {
    let mut scheduler = scheduler();
    scheduler.step(at(0), submit(1, 2, 100));
    scheduler.step(at(10), done(BatchId(1), 10 * MILLI));
    let actions = scheduler.step(at(21), done(BatchId(2), 11 * MILLI));
    let Action::Finish(outcome) = &actions[0] else { panic!("the job is done: {actions:?}") };
    assert_eq!((outcome.started, outcome.finish), (Some(at(0)), at(21)));
    assert_eq!(outcome.device_time, 21 * MILLI);
    assert_eq!(outcome.mix, [(mosel_core::Mode::full(mosel_core::ModalitySet::all(2)), 2)]);
    assert!(outcome.good() && scheduler.is_idle());
}

#[test]
fn strange_events_are_harmless() {
    let mut scheduler = scheduler();
    assert_eq!(scheduler.step(at(0), done(BatchId(9), MILLI)), []);
    assert_eq!(scheduler.step(at(0), Event::BatchFailed(BatchId(9))), []);
    assert_eq!(scheduler.step(at(0), Event::Cancel(JobId(9))), []);
    let unknown = Job { model: ModelId(3), deadline: at(100), ..job(1) };
    let actions = scheduler.step(at(0), Event::Submit(unknown));
    assert_eq!(actions, [Action::Refuse(JobId(1), mosel_core::Refusal::UnknownModel(ModelId(3)))]);
}
