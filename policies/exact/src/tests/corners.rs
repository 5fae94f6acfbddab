//! The worked example, ties, late and hopeless jobs, settings.

use mosel_sdk::{Catalog, Policy, PolicyError, Trigger};

use super::*;
use crate::Settings;

/// Figure 2 of the seed at t = 20: job 1 runs until 30, job 2 (floor 0.71) has six strategies of which the most
/// accurate ends at 140, job 3 takes 25 and is due at 150.
fn figure_2() -> Queue {
    let mut queue = Queue::new();
    queue.start = 30;
    let table = queue.table(&[(50, 0.685), (62, 0.71), (78, 0.735), (88, 0.76), (98, 0.775), (110, 0.79)]);
    queue.job(table, 300, 0.71);
    let table = queue.table(&[(25, 0.8)]);
    queue.job(table, 150, 0.8);
    queue
}

#[test]
fn a_reserve_is_left_where_deadlines_press_and_nowhere_else() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (30, 0.7), (50, 0.8)]);
    queue.job(table, 50, 0.0);
    queue.job(table, 60, 0.0);
    let left_free = |settings: &str| {
        let (_, after) = decide_with(settings, &queue.snapshot());
        (after.chosen(), 60 - after.finishes()[1])
    };
    assert_eq!(left_free(r#"{"reserve": 0}"#).1, 0);
    let (chosen, free) = left_free(r#"{"reserve": 0.5, "horizon": 0}"#);
    assert!(chosen.iter().sum::<u32>() == 1 && free == 20, "{chosen:?} {free}");
    queue.jobs.pop();
    assert_eq!(decide_with(r#"{"reserve": 0.5}"#, &queue.snapshot()).1.chosen(), [2], "no deadline presses");
}

#[test]
fn less_is_left_free_before_the_horizon() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (30, 0.7), (50, 0.8), (70, 0.9)]);
    queue.job(table, 100, 0.0);
    queue.job(table, 120, 0.0);
    let end = |settings: &str| decide_with(settings, &queue.snapshot()).1.finishes()[1];
    // of the 100 that the deadline leaves beyond the fastest strategies: a tenth, up to the horizon, three quarters
    assert_eq!(end(r#"{"reserve": 0.9, "horizon": 0}"#), 20);
    assert_eq!(end(r#"{"reserve": 0.9, "horizon": 0.6}"#), 60);
    assert_eq!(end(r#"{"reserve": 0.9, "horizon": 9}"#), 80);
    assert_eq!(end(r#"{"reserve": 0.1, "horizon": 9}"#), 100);
    assert_eq!(end(r#"{"reserve": 0, "horizon": 0}"#), 120);
}

#[test]
fn figure_2_takes_the_most_accurate_strategy_that_lets_job_3_be_in_time() {
    let before = figure_2().snapshot();
    assert_eq!(before.violators(), [1]);
    let (decision, after) = decide(&before);
    check(&before, &decision, &after);
    assert_eq!((after.chosen(), decision.quality), (vec![3, 0], Quality::Optimal));
}

#[test]
fn time_that_was_gained_is_given_back() {
    let mut queue = figure_2();
    queue.jobs[0].current = 1;
    queue.jobs[1].deadline = 155;
    let (_, after) = decide(&queue.snapshot());
    assert_eq!(after.chosen(), [4, 0]);
}

#[test]
fn policies_that_give_time_back_are_asked_on_arrivals() {
    assert!(Exact::describe().capabilities.contains(mosel_sdk::Capabilities::EAGER));
}

#[test]
fn a_step_that_is_not_on_the_hull_is_taken_where_it_is_the_optimum() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.5), (19, 0.51), (20, 0.9)]);
    queue.job(table, 19, 0.0);
    let (decision, after) = decide(&queue.snapshot());
    assert_eq!((after.chosen(), decision.quality), (vec![1], Quality::Optimal));
}

#[test]
fn among_equals_the_present_choice_stays() {
    for present in [[0, 1, 1], [1, 0, 1], [1, 1, 0]] {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        let _ = [115; 3].map(|deadline| queue.job(table, deadline, 0.5));
        (0..3).for_each(|row| queue.jobs[row].current = present[row]);
        let (decision, _) = decide(&queue.snapshot());
        assert_eq!(decision.quality, Quality::Optimal);
        assert!(decision.assignments.is_empty());
    }
}

#[test]
fn among_equals_the_fewest_jobs_move() {
    for faster in 0..4 {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        let _ = [130; 4].map(|deadline| queue.job(table, deadline, 0.5));
        queue.jobs[faster].current = 0;
        let (decision, after) = decide(&queue.snapshot());
        assert_eq!(decision.assignments.len(), 1);
        assert_eq!(after.jobs[faster].current, 0);
    }
}

#[test]
fn nobody_is_squeezed_for_a_job_that_cannot_be_saved() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 1000, 0.5);
    queue.job(table, 15, 0.5);
    let before = queue.snapshot();
    let (decision, after) = decide(&before);
    assert_eq!((after.chosen(), decision.quality), (before.chosen(), Quality::BestEffort));
}

#[test]
fn jobs_behind_one_that_cannot_be_saved_are_still_saved() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (50, 0.8)]);
    queue.job(table, 5, 0.5);
    queue.job(table, 70, 0.5);
    let before = queue.snapshot();
    let (decision, after) = decide(&before);
    check(&before, &decision, &after);
    assert_eq!(after.violators(), [0]);
}

#[test]
fn late_jobs_are_left_alone_wherever_they_stand() {
    for late in [0, 1] {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (50, 0.8)]);
        let _ = [70; 2].map(|deadline| queue.job(table, deadline, 0.5));
        queue.jobs[late].late = true;
        let before = queue.snapshot();
        let (decision, after) = decide(&before);
        check(&before, &decision, &after);
        assert_eq!((after.jobs[late].current, after.jobs[1 - late].current), (1, late as u32));
    }
}

#[test]
fn a_present_strategy_under_the_floor_may_stay_and_may_not_be_chosen_anew() {
    let mut queue = Queue::new();
    let table = queue.table(&[(10, 0.6), (30, 0.7), (50, 0.8)]);
    queue.job(table, 45, 0.75);
    queue.jobs[0].current = 1;
    assert_eq!(decide(&queue.snapshot()).1.chosen(), [1]);
    queue.jobs[0].deadline = 50;
    assert_eq!(decide(&queue.snapshot()).1.chosen(), [2]);
    queue.jobs[0].deadline = 20;
    let (decision, after) = decide(&queue.snapshot());
    assert_eq!((after.violators(), decision.quality), (vec![0], Quality::BestEffort));
}

#[test]
fn an_empty_queue_is_answered() {
    let before = Queue::new().snapshot();
    let (decision, after) = decide(&before);
    check(&before, &decision, &after);
    assert_eq!((decision.quality, decision.objective), (Quality::Optimal, Some(0.0)));
}

#[test]
fn the_reason_of_the_question_changes_nothing() {
    let mut before = figure_2().snapshot();
    let answer = decide(&before).0;
    for trigger in [Trigger::Arrival, Trigger::Completion, Trigger::Periodic, Trigger::Rehearsal] {
        before.trigger = trigger;
        assert_eq!(decide(&before).0, answer);
    }
}

#[test]
fn numbers_that_make_no_sense_do_no_harm() {
    let mut queue = figure_2();
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 1e300] {
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
            queue.jobs[0].weight = weight;
            queue.time_factor = factor;
            let before = queue.snapshot();
            let (decision, after) = decide(&before);
            assert_eq!(after.violators(), before.violators_with(&fastest(&before)), "{weight} {factor}");
            assert!(decision.objective.unwrap().is_finite() && decision.bound >= decision.objective);
        }
    }
    queue.jobs[0].min_accuracy = f64::NAN;
    assert_eq!(decide(&queue.snapshot()).1.chosen(), [5, 0]);
}

#[test]
fn a_queue_of_three_centuries_is_refused_and_one_of_two_is_not() {
    let year = 365 * 24 * 3600 * 1_000_000_u64;
    let decide = |years: u64| {
        let mut queue = Queue::new();
        let table = queue.table(&[(1, 0.5), (years * year, 0.6)]);
        queue.job(table, 1000, 0.0);
        test::decide::<Exact>("{}", &queue.snapshot())
    };
    assert_eq!(decide(200).unwrap().assignments.len(), 1);
    let Err(PolicyError::Unsupported(reason)) = decide(300) else { panic!("answered") };
    assert!(reason.contains("expected the queue to take at most"), "{reason}");
}

fn configure(settings: &str) -> Result<Exact, PolicyError> {
    let settings: Settings =
        serde_json::from_str(settings).map_err(|error| PolicyError::BadConfig(error.to_string()))?;
    Exact::configure(settings, &Catalog::default())
}

#[test]
fn settings_within_their_limits_are_taken() {
    for settings in ["{}", r#"{"gap": 0}"#, r#"{"gap": 0.999, "work": 0}"#, r#"{"work": 500000}"#] {
        assert!(configure(settings).is_ok(), "{settings}");
    }
}

#[test]
fn settings_out_of_their_limits_are_refused_with_what_was_expected() {
    let reason = |settings| match configure(settings) {
        Err(PolicyError::BadConfig(reason)) => reason,
        other => panic!("{settings}: {other:?}"),
    };
    assert_eq!(reason(r#"{"gap": -0.1}"#), "gap is -0.1, expected a number from 0 to below 1");
    assert_eq!(reason(r#"{"gap": 1}"#), "gap is 1, expected a number from 0 to below 1");
    assert_eq!(reason(r#"{"work": 500001}"#), "work is 500001, expected at most 500000");
    assert_eq!(reason(r#"{"horizon": -1}"#), "horizon is -1, expected a number from 0 to 1000");
    assert!(reason(r#"{"work": -1}"#).contains("invalid value: integer `-1`"));
    assert!(reason(r#"{"speed": 1}"#).contains("unknown field `speed`"));
}

#[test]
fn the_schema_is_json_and_tells_the_defaults() {
    let schema: serde_json::Value = serde_json::from_str(&Exact::describe().config_schema).unwrap();
    let Settings { gap, work, reserve, horizon } = Settings::default();
    assert_eq!(schema["properties"]["horizon"]["default"], horizon);
    assert_eq!(schema["properties"]["gap"]["default"], gap);
    assert_eq!(schema["properties"]["work"]["default"], work);
    assert_eq!(schema["properties"]["reserve"]["default"], reserve);
}
