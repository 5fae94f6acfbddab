//! The promises of the core, each as a case: what happens from outside, and the whole log of what the core did about it.
//! The cases are files, in tests/cases/core; here is what they cannot say.

use mosel_core::{Action, Decision, JobId, Refusal};
use mosel_sim::{PolicyReply, SimCase};
use mosel_testkit::cases;
use mosel_testkit::toy::TOY;

#[test]
fn every_case_has_the_log_of_its_file() {
    assert!(cases::check("core") >= 48);
}

fn read(case: &str) -> SimCase {
    SimCase::parse(&format!("{TOY}{case}")).expect("the case reads")
}

/// Lane 0 has learned that it is 10 % slower than profiled; lane 1 has learned nothing and is busy until 30 ms.
const UNEQUAL_LANES: &str = "
    lanes 2
    device 2
    at 0ms submit 1 requests 3 deadline 500ms min_accuracy 0.785
    at 60ms submit 2 requests 1 deadline 500ms min_accuracy 0.785
";

/// The best accuracy that is offered for the deadline of the last job, and whether it could never be met.
fn counter_offer(job: &str) -> (Option<f64>, bool) {
    let trace = read(&format!("{UNEQUAL_LANES}{job}")).trace(|_| PolicyReply::never()).expect("the case ends");
    let offer = trace.iter().find_map(|(_, action)| match action {
        Action::Refuse(_, Refusal::DeadlineUnreachable { best_accuracy, never, .. }) => Some((*best_accuracy, *never)),
        _ => None,
    });
    offer.expect("the job is refused")
}

#[test]
fn the_best_accuracy_at_a_deadline_is_the_best_of_all_lanes() {
    // On all modalities lane 1 would be first, at 80 ms; on audio lane 0 is, at 73.8 ms.
    assert_eq!(counter_offer("at 69ms submit 3 deadline 73.95ms min_accuracy 0.785"), (Some(0.685), true));
}

#[test]
fn a_deadline_that_some_idle_lane_could_meet_is_not_called_hopeless() {
    // Job 3 finds out whether lane 0 is as fast again. Job 4 would need 20 ms of either if it were free, and has 21 ms.
    let jobs = ["at 60ms submit 3 requests 2 deadline 81ms", "at 61ms submit 4 requests 2 deadline 82ms"];
    let (_, never) = counter_offer(&jobs.map(|job| format!("{job} min_accuracy 0.785\n")).concat());
    assert!(!never);
}

#[test]
fn what_a_started_job_has_left_is_shown_as_a_job_of_its_own() {
    // At 21 ms job 1 has 3 of 5 requests left and one of them on the device. What becomes of it is a case.
    let case = read(
        "
        at 0ms submit 1 requests 5 deadline 200ms min_accuracy 0.7
        at 21ms submit 2 requests 2 deadline 59ms min_accuracy 0.785
        ",
    );
    let mut asked = 0;
    let trace = case.trace(|snapshot| {
        asked += 1;
        let rows: Vec<_> = snapshot.jobs.iter().map(|row| (row.id.0, row.requests, row.current)).collect();
        assert_eq!(rows[0], (1, 2, 2), "two requests were not started; both on video+audio is strategy 2");
        assert!((snapshot.jobs[0].min_accuracy - (0.7 * 5.0 - 3.0 * 0.785) / 2.0).abs() < 1e-9);
        PolicyReply::at_once(Ok(Decision { assignments: vec![(JobId(1), 0)], ..Decision::default() }))
    });
    assert!(trace.is_ok() && asked == 1, "{asked}");
}
