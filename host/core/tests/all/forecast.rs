//! A forecast says what the lane does: it was made for whoever has a snapshot and no lane.

use std::collections::{BTreeMap, BTreeSet};

use mosel_core::{
    Action, Config, Decision, Event, Forecast, Job, JobId, JobRow, Plan, PolicyError, Scheduler, Snapshot, Time,
};
use mosel_testkit::jobs::job;
use mosel_testkit::toy;
use proptest::prelude::*;

fn scheduler() -> Scheduler {
    toy::scheduler(Config { margin: 0.1, ..Config::default() })
}

/// Submits these jobs until the policy is asked; its question. The device is busy with a job before them.
fn ask(scheduler: &mut Scheduler, jobs: &[(u32, u64)]) -> Option<Snapshot> {
    for (id, &(requests, deadline_ms)) in [(2, 5000)].iter().chain(jobs).enumerate() {
        let job = Job {
            requests,
            deadline: Time::from_millis(deadline_ms),
            // what a second costs differs from job to job by more than rounding
            weight: 1.0 + 0.37 * id as f64,
            ..job(id as u64)
        };
        for action in scheduler.step(Time::START, Event::Submit(job)) {
            if let Action::Decide(snapshot) = action {
                return Some(snapshot);
            }
        }
    }
    None
}

fn decision(snapshot: &Snapshot, choices: &[u32], turn: usize) -> Decision {
    let assignments = snapshot.jobs.iter().zip(choices).map(|(row, choice)| (row.id, choice % (row.requests + 1)));
    let mut order: Vec<JobId> = snapshot.jobs.iter().map(|row| row.id).collect();
    order.rotate_left(turn % snapshot.jobs.len());
    Decision { assignments: assignments.collect(), order, ..Decision::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_forecast_says_what_the_lane_does(
        jobs in prop::collection::vec((1u32..6, 20u64..250), 2..8),
        choices in prop::collection::vec(0u32..8, 9),
        turn in 0usize..4,
    ) {
        let mut scheduler = scheduler();
        let Some(snapshot) = ask(&mut scheduler, &jobs) else { return Ok(()) };
        let decision = decision(&snapshot, &choices, turn);
        let catalog = scheduler.catalog().clone();
        let plan = Plan::check(&snapshot, &catalog, &decision).expect("every job keeps its floor of 0");
        let forecast = Forecast::under(&snapshot, &catalog, &plan);
        let actions = scheduler.step(Time::START, Event::Decided(snapshot.decision, Ok(decision)));
        match forecast {
            Ok(forecast) => {
                prop_assert!(matches!(actions[0], Action::Adopt(..)), "{:?}", actions);
                let predicted = scheduler.predictions(Time::START);
                let forecast: BTreeMap<JobId, Time> =
                    forecast.jobs.iter().map(|job| job.id).zip(forecast.finishes).collect();
                // who was late before may be lost by another order, and goes last
                if actions.iter().any(|action| matches!(action, Action::GiveUp(_))) {
                    return Ok(());
                }
                // a later question of the same step changes nothing before it is answered
                prop_assert!(forecast.iter().all(|(job, finish)| predicted[job] == *finish), "{:?} {:?}", forecast, predicted);
            }
            Err(error) => prop_assert_eq!(&actions[0], &Action::RefuseDecision(snapshot.decision, error)),
        }
    }
    #[test]
    fn so_it_does_for_the_squeeze(jobs in prop::collection::vec((1u32..6, 20u64..250), 2..8)) {
        let mut scheduler = scheduler();
        let Some(snapshot) = ask(&mut scheduler, &jobs) else { return Ok(()) };
        let forecast = Forecast::with_fallback(&snapshot, scheduler.catalog());
        let declined = Err(PolicyError::Declined("no".into()));
        let actions = scheduler.step(Time::START, Event::Decided(snapshot.decision, declined));
        let moved = |row: &&JobRow| snapshot.jobs.iter().any(|job| job.id == row.id && job.current != row.current);
        let forecast: BTreeSet<JobId> = forecast.jobs.iter().filter(moved).map(|job| job.id).collect();
        prop_assert!(!forecast.is_empty(), "a question is about a job that can be saved");
        let fallback = actions.iter().find_map(|action| match action {
            Action::Fallback(_, moves) => Some(moves.iter().map(|&(job, _)| job).collect()),
            _ => None,
        });
        prop_assert_eq!(Some(forecast), fallback);
    }
}
