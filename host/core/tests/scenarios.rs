//! The invariants of the core, each as a scenario: what happens from outside, and the whole log of what the
//! core did about it.

use expect_test::{Expect, expect};
use mosel_core::scenario::Scenario;
use mosel_core::{Action, JobId, JobRow, PolicyError, Proposal, Refusal, Snapshot, Trigger};

/// Audio takes 4 ms a request and is right in 0.685 of the cases, both take 10 ms and are right in 0.785.
const TOY: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure video+audio 1 10ms 157/200
";

fn check(case: &str, expected: Expect) {
    let scenario = scenario(case);
    let log = scenario.run();
    assert_eq!(log, scenario.run(), "the same scenario twice");
    expected.assert_eq(&log);
}

fn check_with(case: &str, policy: impl Fn(&Snapshot) -> Result<Proposal, PolicyError>, expected: Expect) {
    expected.assert_eq(&scenario(case).run_with(|snapshot| Some(policy(snapshot))));
}

fn scenario(case: &str) -> Scenario {
    Scenario::parse(&format!("{TOY}{case}")).expect("the scenario reads")
}

/// A policy that gives these jobs these strategies.
fn assign(assignments: &[(u64, u32)]) -> Proposal {
    let assignments = assignments.iter().map(|&(job, strategy)| (JobId(job), strategy)).collect();
    Proposal { assignments, ..Proposal::default() }
}

/// The queue of the paper's Figure 2: job 1 runs until 40, job 2 comes at 10 and needs 0.71, job 3 comes at
/// 20 and has to be done by 150. What the figure leaves out is ours.
const FIGURE_2: &str = "
    at 0ms  submit 1 requests 4 deadline 500ms floor 0.785
    at 10ms submit 2 requests 10 deadline 500ms floor 0.71
    at 20ms submit 3 requests 4 deadline 150ms floor 0.785
";

#[test]
fn figure_2_fastest_strategy_breaks_the_floor_and_is_refused() {
    let fastest = |snapshot: &Snapshot| Ok(assign(&[(snapshot.jobs[1].id.0, 0)]));
    let log = scenario(FIGURE_2).run_with(|snapshot| Some(fastest(snapshot)));
    assert!(
        log.contains("refuse the plan: job 2 must keep 0.710000, the policy chose a strategy at 0.685000"),
        "{log}"
    );
    assert!(!log.contains("late"), "the squeeze saves job 3 all the same: {log}");
}

#[test]
fn figure_2_most_accurate_strategies_end_at_140_and_job_3_is_late() {
    check(
        &format!("policy none {FIGURE_2}"),
        expect![[r#"
            0ms accept 1 until 40ms
            0ms run 1 0..1 on video+audio
            10ms run 1 1..2 on video+audio
            10ms accept 2 until 140ms
            20ms run 1 2..3 on video+audio
            20ms accept 3 until 180ms
            20ms ask about 1,2,3
            20ms adopt []
            30ms run 1 3..4 on video+audio
            30ms ask about 2,3
            30ms adopt []
            40ms Served 1: 4 video+audio = 0.785
            40ms run 2 0..1 on video+audio
            40ms ask about 2,3
            40ms adopt []
            50ms run 2 1..2 on video+audio
            50ms ask about 2,3
            50ms adopt []
            60ms run 2 2..3 on video+audio
            60ms ask about 2,3
            60ms adopt []
            70ms run 2 3..4 on video+audio
            70ms ask about 2,3
            70ms adopt []
            80ms run 2 4..5 on video+audio
            80ms ask about 2,3
            80ms adopt []
            90ms ask about 2,3
            90ms adopt []
            90ms run 2 5..6 on video+audio
            100ms run 2 6..7 on video+audio
            110ms run 2 7..8 on video+audio
            120ms run 2 8..9 on video+audio
            130ms run 2 9..10 on video+audio
            140ms Served 2: 10 video+audio = 0.785
            140ms run 3 0..1 on video+audio
            150ms run 3 1..2 on video+audio
            160ms run 3 2..3 on video+audio
            170ms run 3 3..4 on video+audio
            180ms Served late 3: 4 video+audio = 0.785
        "#]],
    );
}

#[test]
fn figure_2_a_mix_at_0_735_meets_both() {
    check(
        &format!("policy silent {FIGURE_2}"),
        expect![[r#"
        0ms accept 1 until 40ms
        0ms run 1 0..1 on video+audio
        10ms run 1 1..2 on video+audio
        10ms accept 2 until 140ms
        20ms run 1 2..3 on video+audio
        20ms accept 3 until 180ms
        20ms ask about 1,2,3
        25ms refuse the plan: the policy did not answer within its 5ms
        25ms squeeze [2]
        30ms run 1 3..4 on video+audio
        40ms Served 1: 4 video+audio = 0.785
        40ms run 2 0..1 on audio
        44ms run 2 1..2 on audio
        48ms run 2 2..3 on audio
        52ms run 2 3..4 on audio
        56ms run 2 4..5 on audio
        60ms run 2 5..6 on video+audio
        70ms run 2 6..7 on video+audio
        80ms run 2 7..8 on video+audio
        90ms run 2 8..9 on video+audio
        100ms run 2 9..10 on video+audio
        110ms Served 2: 5 audio + 5 video+audio = 0.735
        110ms run 3 0..1 on video+audio
        120ms run 3 1..2 on video+audio
        130ms run 3 2..3 on video+audio
        140ms run 3 3..4 on video+audio
        150ms Served 3: 4 video+audio = 0.785
    "#]],
    );
}

#[test]
fn a_floor_above_the_best_is_refused_with_the_best() {
    check(
        "at 0ms submit 1 floor 0.8 deadline 50ms",
        expect![[r#"
        0ms refuse 1: min_accuracy is 0.8, but the model reaches 0.7850 at best
    "#]],
    );
}

#[test]
fn a_deadline_no_strategy_meets_is_refused_and_the_counter_offer_is_accepted() {
    check(
        "
        at 0ms submit 1 requests 10 deadline 60ms floor 0.7
        at 0ms submit 2 requests 2 deadline 50ms floor 0.785
        at 0ms submit 3 requests 2 deadline 71ms floor 0.785
        at 0ms submit 4 requests 2 deadline 72ms floor 0.785
        ",
        expect![[r#"
            0ms accept 1 until 100ms
            0ms run 1 0..1 on video+audio
            0ms ask about 1
            0ms adopt []
            0ms refuse 2: the deadline cannot be met at this min_accuracy behind the jobs that wait now
            0ms refuse 3: the deadline cannot be met at this min_accuracy behind the jobs that wait now
            0ms accept 4 until 120ms
            0ms ask about 1,4
            0ms adopt []
            10ms run 1 1..2 on video+audio
            10ms ask about 1,4
            10ms adopt []
            20ms ask about 1,4
            20ms adopt []
            20ms run 1 2..3 on video+audio
            30ms ask about 1,4
            30ms adopt []
            30ms run 1 3..4 on video+audio
            40ms run 4 0..1 on video+audio
            50ms run 4 1..2 on video+audio
            60ms Served 4: 2 video+audio = 0.785
            60ms run 1 4..5 on video+audio
            70ms run 1 5..6 on video+audio
            80ms run 1 6..7 on video+audio
            90ms run 1 7..8 on video+audio
            100ms run 1 8..9 on video+audio
            110ms run 1 9..10 on video+audio
            120ms Served late 1: 10 video+audio = 0.785
        "#]],
    );
}

/// Lane 0 has learnt that it is 10 % slower than profiled; lane 1 has learnt nothing and is busy until 30 ms.
const UNEQUAL_LANES: &str = "
    lanes 2
    device 2
    at 0ms submit 1 requests 1 deadline 500ms floor 0.785
    at 20ms submit 2 requests 1 deadline 500ms floor 0.785
";

/// The best floor that is offered for the deadline of the last job, and whether it could never be met.
fn counter_offer(job: &str) -> (Option<f64>, bool) {
    let trace = scenario(&format!("{UNEQUAL_LANES}{job}")).trace(|_| None);
    let offer = trace.iter().find_map(|(_, action)| match action {
        Action::Refuse(_, Refusal::DeadlineUnreachable { best_accuracy, never, .. }) => Some((*best_accuracy, *never)),
        _ => None,
    });
    offer.expect("the job is refused")
}

#[test]
fn the_best_floor_at_a_deadline_is_the_best_of_all_lanes() {
    // On all modalities lane 1 would be first, at 40 ms; on audio lane 0 is, at 33.9 ms.
    assert_eq!(counter_offer("at 29.5ms submit 3 deadline 33.95ms floor 0.785"), (Some(0.685), true));
}

#[test]
fn a_deadline_that_some_idle_lane_could_meet_is_not_called_hopeless() {
    // Lane 0 is free and needs 22 ms; lane 1 would need 20 ms if it were free.
    let (_, never) = counter_offer("at 20ms submit 3 requests 2 deadline 41ms floor 0.785");
    assert!(!never);
}

#[test]
fn a_full_queue_refuses_and_says_when_to_come_back() {
    check(
        "
        max_jobs 2
        at 0ms submit 1 deadline 100ms
        at 0ms submit 2 deadline 100ms
        at 0ms submit 3 deadline 100ms
        ",
        expect![[r#"
            0ms accept 1 until 10ms
            0ms run 1 0..1 on video+audio
            0ms accept 2 until 20ms
            0ms refuse 3: the queue is full: 2 jobs wait, and no more may
            10ms Served 1: 1 video+audio = 0.785
            10ms run 2 0..1 on video+audio
            20ms Served 2: 1 video+audio = 0.785
        "#]],
    );
}

#[test]
fn nonsense_is_refused() {
    check(
        "
        at 0ms submit 1 floor 1.1 deadline 90ms
        at 0ms submit 2 floor NaN deadline 90ms
        at 0ms submit 3 weight 0 deadline 90ms
        at 0ms submit 4 requests 0 deadline 90ms
        at 0ms submit 5 requests 65 deadline 90ms
        at 0ms submit 6 deadline 90ms
        at 1ms submit 6 deadline 90ms
        ",
        expect![[r#"
            0ms refuse 1: min_accuracy is 1.1, expected a number from 0 to 1
            0ms refuse 2: min_accuracy is NaN, expected a number from 0 to 1
            0ms refuse 3: the weight is 0, expected a number above 0, at most 1000000
            0ms refuse 4: a job has at least 1 request, this one has 0
            0ms refuse 5: the job has 65 requests, expected at most 64
            0ms accept 6 until 10ms
            0ms run 6 0..1 on video+audio
            1ms refuse 6: there is a job 6 already
            10ms Served 6: 1 video+audio = 0.785
        "#]],
    );
}

#[test]
fn the_device_waits_for_a_policy_only_where_a_job_would_lose_its_last_chance() {
    // Job 1 must run on audio alone; its first batch on both would make it late. Nobody answers for 5 ms.
    check(
        "
        policy silent
        at 0ms submit 1 requests 2 deadline 14ms
        at 50ms submit 2 requests 4 deadline 80ms
        ",
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            0ms ask about 1
            5ms refuse the plan: the policy did not answer within its 5ms
            5ms squeeze [1]
            10ms run 1 1..2 on audio
            14ms Served 1: 1 audio + 1 video+audio = 0.735
            50ms accept 2 until 90ms
            50ms run 2 0..1 on video+audio
            50ms ask about 2
            55ms refuse the plan: the policy did not answer within its 5ms
            55ms squeeze [2]
            60ms run 2 1..2 on audio
            64ms run 2 2..3 on audio
            68ms run 2 3..4 on video+audio
            78ms Served 2: 2 audio + 2 video+audio = 0.735
        "#]],
    );
}

#[test]
fn a_silent_policy_costs_quality_only() {
    check(
        "
        policy silent
        at 0ms submit 1 requests 3 deadline 100ms
        at 1ms submit 2 requests 3 deadline 40ms
        ",
        expect![[r#"
            0ms accept 1 until 30ms
            0ms run 1 0..1 on video+audio
            1ms accept 2 until 60ms
            1ms ask about 1,2
            6ms refuse the plan: the policy did not answer within its 5ms
            6ms squeeze [1,2]
            10ms run 1 1..2 on audio
            14ms run 1 2..3 on audio
            18ms Served 1: 2 audio + 1 video+audio = 0.718
            18ms run 2 0..1 on audio
            22ms run 2 1..2 on audio
            26ms run 2 2..3 on video+audio
            36ms Served 2: 2 audio + 1 video+audio = 0.718
        "#]],
    );
}

#[test]
fn a_trap_is_answered_by_the_squeeze_in_the_same_step() {
    check(
        "
        policy traps
        at 0ms submit 1 requests 3 deadline 100ms
        at 1ms submit 2 requests 3 deadline 40ms
        ",
        expect![[r#"
            0ms accept 1 until 30ms
            0ms run 1 0..1 on video+audio
            1ms accept 2 until 60ms
            1ms ask about 1,2
            1ms refuse the plan: the policy trapped: unreachable
            1ms squeeze [1,2]
            10ms run 1 1..2 on audio
            14ms run 1 2..3 on audio
            18ms Served 1: 2 audio + 1 video+audio = 0.718
            18ms run 2 0..1 on audio
            22ms run 2 1..2 on audio
            26ms run 2 2..3 on video+audio
            36ms Served 2: 2 audio + 1 video+audio = 0.718
        "#]],
    );
}

#[test]
fn a_useless_answer_is_not_asked_for_again_until_the_queue_changes() {
    let log = scenario(
        "policy none \n at 0ms submit 1 requests 1 deadline 100ms \n at 1ms submit 2 requests 2 deadline 25ms",
    )
    .run();
    assert_eq!(log.matches("ask about").count(), 3, "for the new job, and for each of two batches that ended: {log}");
}

/// Moves every job to its fastest strategy when one would be late, and to its most accurate one when time was gained.
fn as_the_day_goes(snapshot: &Snapshot) -> Result<Proposal, PolicyError> {
    let strategy = |row: &JobRow| if snapshot.trigger == Trigger::Violation { 0 } else { row.requests };
    Ok(assign(&snapshot.jobs.iter().map(|row| (row.id.0, strategy(row))).collect::<Vec<_>>()))
}

const TIME_IS_GAINED: &str = "
    at 0ms submit 1 requests 1 deadline 100ms
    at 0ms submit 2 requests 4 deadline 100ms
    at 0ms submit 3 requests 4 deadline 60ms
    at 1ms cancel 2
";

#[test]
fn an_eager_policy_gives_back_time_that_was_gained() {
    check_with(
        &format!("eager {TIME_IS_GAINED}"),
        as_the_day_goes,
        expect![[r#"
        0ms accept 1 until 10ms
        0ms run 1 0..1 on video+audio
        0ms accept 2 until 50ms
        0ms accept 3 until 90ms
        0ms ask about 2,3
        0ms adopt [2,3]
        1ms Cancelled 2:  = -
        1ms ask about 3
        1ms adopt [3]
        10ms Served 1: 1 video+audio = 0.785
        10ms run 3 0..1 on video+audio
        20ms run 3 1..2 on video+audio
        30ms run 3 2..3 on video+audio
        40ms run 3 3..4 on video+audio
        50ms Served 3: 4 video+audio = 0.785
    "#]],
    );
}

#[test]
fn a_policy_that_is_not_eager_is_asked_about_violators_only() {
    check_with(
        TIME_IS_GAINED,
        as_the_day_goes,
        expect![[r#"
        0ms accept 1 until 10ms
        0ms run 1 0..1 on video+audio
        0ms accept 2 until 50ms
        0ms accept 3 until 90ms
        0ms ask about 2,3
        0ms adopt [2,3]
        1ms Cancelled 2:  = -
        10ms Served 1: 1 video+audio = 0.785
        10ms run 3 0..1 on audio
        14ms run 3 1..2 on audio
        18ms run 3 2..3 on audio
        22ms run 3 3..4 on audio
        26ms Served 3: 4 audio = 0.685
    "#]],
    );
}

#[test]
fn an_eager_policy_is_asked_once_a_change_and_not_when_every_job_is_at_its_best() {
    let at_its_best = scenario("eager \n at 0ms submit 1 requests 4 deadline 100ms").run();
    assert_eq!(at_its_best.matches("ask about").count(), 0, "{at_its_best}");
    let squeezed =
        "eager \n policy traps \n at 0ms submit 1 requests 4 deadline 60ms \n at 1ms submit 2 requests 3 deadline 58ms";
    let log = scenario(squeezed).run();
    assert_eq!(
        log.matches("ask about").count(),
        2,
        "for the new job, and after the batch while job 1 could rise: {log}"
    );
}

#[test]
fn a_job_that_cannot_make_it_runs_last_or_is_dropped_as_it_wishes() {
    check(
        "
        device 3
        at 0ms submit 1 requests 2 deadline 60ms floor 0.785
        at 0ms submit 2 requests 2 deadline 45ms floor 0.785
        at 0ms submit 3 requests 2 deadline 65ms floor 0.785 drop
        at 0ms submit 4 requests 1 deadline 500ms floor 0.785
        ",
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            0ms accept 2 until 40ms
            0ms accept 3 until 60ms
            0ms accept 4 until 70ms
            30ms Dropped 3:  = -
            30ms run 1 1..2 on video+audio
            60ms Served 1: 2 video+audio = 0.785
            60ms run 4 0..1 on video+audio
            90ms Served 4: 1 video+audio = 0.785
            90ms run 2 0..1 on video+audio
            120ms run 2 1..2 on video+audio
            150ms Served late 2: 2 video+audio = 0.785
        "#]],
    );
}

#[test]
fn the_name_of_a_job_is_free_again_when_its_last_batch_has_left_the_device() {
    check(
        "
        at 0ms submit 1 requests 2 deadline 100ms
        at 1ms cancel 1
        at 2ms submit 1 requests 1 deadline 100ms
        at 11ms submit 1 requests 1 deadline 100ms
        at 12ms cancel 1
        ",
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            1ms Cancelled 1:  = -
            2ms refuse 1: there is a job 1 already
            11ms accept 1 until 21ms
            11ms run 1 0..1 on video+audio
            12ms Cancelled 1:  = -
        "#]],
    );
}

#[test]
fn a_late_job_on_the_device_does_not_get_in_front_of_those_that_can_be_on_time() {
    // Job 1 is late and runs its last batch when the order changes; the others must still be given up in their time.
    let reverse = |snapshot: &Snapshot| {
        Ok(Proposal { order: snapshot.jobs.iter().rev().map(|row| row.id).collect(), ..Proposal::default() })
    };
    check_with(
        "
        device 3
        at 0ms submit 1 requests 2 deadline 25ms
        at 31ms submit 2 requests 1 deadline 100ms
        at 32ms submit 3 requests 1 deadline 58ms
        ",
        reverse,
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            30ms run 1 1..2 on video+audio
            31ms accept 2 until 54ms
            32ms accept 3 until 66ms
            32ms ask about 2,3
            32ms adopt []
            60ms Served late 1: 2 video+audio = 0.785
            60ms run 2 0..1 on video+audio
            90ms Served 2: 1 video+audio = 0.785
            90ms run 3 0..1 on video+audio
            120ms Served late 3: 1 video+audio = 0.785
        "#]],
    );
}

#[test]
fn estimates_follow_measured_time() {
    // The device is twice as slow as profiled: later jobs are planned with what was learnt.
    check(
        "
        device 2
        policy silent
        at 0ms submit 1 requests 12 deadline 1000ms floor 0.785
        at 230ms submit 2 requests 4 deadline 420ms
        at 231ms submit 3 requests 8 deadline 390ms
        ",
        expect![[r#"
            0ms accept 1 until 120ms
            0ms run 1 0..1 on video+audio
            20ms run 1 1..2 on video+audio
            40ms run 1 2..3 on video+audio
            60ms run 1 3..4 on video+audio
            80ms run 1 4..5 on video+audio
            100ms run 1 5..6 on video+audio
            120ms run 1 6..7 on video+audio
            140ms run 1 7..8 on video+audio
            160ms run 1 8..9 on video+audio
            180ms run 1 9..10 on video+audio
            200ms run 1 10..11 on video+audio
            220ms run 1 11..12 on video+audio
            230ms accept 2 until 304.31ms
            231ms accept 3 until 439.205ms
            231ms ask about 2,3
            236ms refuse the plan: the policy did not answer within its 5ms
            236ms squeeze [2,3]
            240ms Served 1: 12 video+audio = 0.785
            240ms run 2 0..1 on audio
            240ms ask about 2,3
            245ms refuse the plan: the policy did not answer within its 5ms
            245ms squeeze [3]
            248ms run 2 1..2 on audio
            256ms run 2 2..3 on audio
            256ms ask about 2,3
            261ms refuse the plan: the policy did not answer within its 5ms
            261ms squeeze [3]
            264ms run 2 3..4 on audio
            272ms Served 2: 4 audio = 0.685
            272ms run 3 0..1 on audio
            280ms run 3 1..2 on audio
            288ms run 3 2..3 on audio
            296ms run 3 3..4 on video+audio
            316ms run 3 4..5 on video+audio
            316ms ask about 3
            321ms refuse the plan: the policy did not answer within its 5ms
            321ms squeeze [3]
            336ms run 3 5..6 on audio
            344ms run 3 6..7 on video+audio
            364ms run 3 7..8 on video+audio
            384ms Served 3: 4 audio + 4 video+audio = 0.735
        "#]],
    );
}

#[test]
fn a_failed_batch_is_run_again_once_and_then_the_client_is_told() {
    check(
        "
        at 0ms submit 1 requests 2 deadline 100ms
        at 5ms fail
        at 50ms submit 2 requests 2 deadline 200ms
        at 55ms fail
        at 57ms fail
        ",
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            5ms run 1 0..1 on video+audio
            15ms run 1 1..2 on video+audio
            25ms Served 1: 2 video+audio = 0.785
            50ms accept 2 until 70ms
            50ms run 2 0..1 on video+audio
            55ms run 2 0..1 on video+audio
            57ms Failed 2:  = -
        "#]],
    );
}

#[test]
fn what_a_failed_batch_leaves_is_served_in_as_few_batches_as_planned() {
    // The failed batch and what was left behind it are one job of 5 requests again, and fit one batch on audio.
    check(
        "
        policy traps
        measure audio 8 12ms 137/200
        measure video+audio 4 30ms 157/200
        at 0ms submit 1 requests 5 deadline 500ms
        at 0ms submit 2 requests 1 deadline 48ms
        at 28ms fail
        ",
        expect![[r#"
            0ms accept 1 until 40ms
            0ms run 1 0..4 on video+audio
            0ms accept 2 until 50ms
            0ms ask about 1,2
            0ms refuse the plan: the policy trapped: unreachable
            0ms squeeze [1]
            28ms ask about 1,2
            28ms refuse the plan: the policy trapped: unreachable
            28ms squeeze [2,1]
            28ms run 1 0..5 on audio
            40ms Served 1: 5 audio = 0.685
            40ms run 2 0..1 on audio
            44ms Served 2: 1 audio = 0.685
        "#]],
    );
}

#[test]
fn a_cancelled_job_frees_its_place_at_once() {
    check(
        "
        at 0ms submit 1 requests 4 deadline 100ms floor 0.785
        at 0ms submit 2 requests 4 deadline 100ms floor 0.785
        at 15ms cancel 1
        at 15ms cancel 7
        ",
        expect![[r#"
            0ms accept 1 until 40ms
            0ms run 1 0..1 on video+audio
            0ms accept 2 until 80ms
            10ms run 1 1..2 on video+audio
            15ms Cancelled 1: 1 video+audio = 0.785
            20ms run 2 0..1 on video+audio
            30ms run 2 1..2 on video+audio
            40ms run 2 2..3 on video+audio
            50ms run 2 3..4 on video+audio
            60ms Served 2: 4 video+audio = 0.785
        "#]],
    );
}

#[test]
fn two_lanes_share_the_jobs_by_earliest_finish() {
    check(
        "
        lanes 2
        at 0ms submit 1 requests 3 deadline 100ms floor 0.785
        at 0ms submit 2 requests 1 deadline 100ms floor 0.785
        at 0ms submit 3 requests 1 deadline 100ms floor 0.785
        ",
        expect![[r#"
            0ms accept 1 until 30ms
            0ms run 1 0..1 on video+audio
            0ms accept 2 until 10ms
            0ms run 2 0..1 on video+audio
            0ms accept 3 until 20ms
            10ms run 1 1..2 on video+audio
            10ms Served 2: 1 video+audio = 0.785
            10ms run 3 0..1 on video+audio
            20ms run 1 2..3 on video+audio
            20ms Served 3: 1 video+audio = 0.785
            30ms Served 1: 3 video+audio = 0.785
        "#]],
    );
}

#[test]
fn what_a_started_job_has_left_is_planned_as_a_job_of_its_own() {
    // At 21 ms job 1 has 3 of 5 requests left and one of them on the device.
    check_with(
        "
        at 0ms submit 1 requests 5 deadline 200ms floor 0.7
        at 21ms submit 2 requests 2 deadline 59ms floor 0.785
        ",
        |snapshot| {
            let rows: Vec<_> = snapshot.jobs.iter().map(|row| (row.id.0, row.requests, row.current)).collect();
            assert_eq!(rows[0], (1, 2, 2), "two requests were not started; both on video+audio is strategy 2");
            assert!((snapshot.jobs[0].min_accuracy - (0.7 * 5.0 - 3.0 * 0.785) / 2.0).abs() < 1e-9);
            Ok(assign(&[(1, 0)]))
        },
        expect![[r#"
            0ms accept 1 until 50ms
            0ms run 1 0..1 on video+audio
            10ms run 1 1..2 on video+audio
            20ms run 1 2..3 on video+audio
            21ms accept 2 until 70ms
            21ms ask about 1,2
            21ms adopt [1]
            30ms run 1 3..4 on audio
            34ms run 1 4..5 on audio
            38ms Served 1: 2 audio + 3 video+audio = 0.745
            38ms run 2 0..1 on video+audio
            48ms run 2 1..2 on video+audio
            58ms Served 2: 2 video+audio = 0.785
        "#]],
    );
}

#[test]
fn a_plan_that_makes_a_job_late_is_refused_whole() {
    check_with(
        "
        policy none
        at 0ms submit 1 requests 1 deadline 100ms floor 0.785
        at 1ms submit 2 requests 3 deadline 45ms
        at 2ms submit 3 requests 3 deadline 60ms
        ",
        |snapshot| Ok(Proposal { order: snapshot.jobs.iter().rev().map(|row| row.id).collect(), ..assign(&[]) }),
        expect![[r#"
            0ms accept 1 until 10ms
            0ms run 1 0..1 on video+audio
            1ms accept 2 until 40ms
            2ms accept 3 until 70ms
            2ms ask about 2,3
            2ms refuse the plan: job 2 is on time now and would be 25ms late
            2ms squeeze [2]
            10ms Served 1: 1 video+audio = 0.785
            10ms run 2 0..1 on audio
            14ms run 2 1..2 on audio
            18ms run 2 2..3 on video+audio
            28ms Served 2: 2 audio + 1 video+audio = 0.718
            28ms run 3 0..1 on video+audio
            38ms run 3 1..2 on video+audio
            48ms run 3 2..3 on video+audio
            58ms Served 3: 3 video+audio = 0.785
        "#]],
    );
}

#[test]
fn an_order_is_followed() {
    check_with(
        "
        at 0ms submit 1 requests 1 deadline 100ms floor 0.785
        at 1ms submit 2 requests 3 deadline 100ms floor 0.685
        at 2ms submit 3 requests 1 deadline 30ms floor 0.685
        ",
        |snapshot| {
            let mut rows: Vec<_> = snapshot.jobs.iter().collect();
            rows.sort_by_key(|row| row.deadline);
            Ok(Proposal { order: rows.iter().map(|row| row.id).collect(), ..assign(&[]) })
        },
        expect![[r#"
            0ms accept 1 until 10ms
            0ms run 1 0..1 on video+audio
            1ms accept 2 until 40ms
            2ms accept 3 until 50ms
            2ms ask about 2,3
            2ms adopt []
            10ms Served 1: 1 video+audio = 0.785
            10ms run 3 0..1 on video+audio
            20ms Served 3: 1 video+audio = 0.785
            20ms run 2 0..1 on video+audio
            30ms run 2 1..2 on video+audio
            40ms run 2 2..3 on video+audio
            50ms Served 2: 3 video+audio = 0.785
        "#]],
    );
}

#[test]
fn every_illegal_answer_is_refused_with_its_reason() {
    let case = "
        at 0ms submit 1 requests 1 deadline 100ms floor 0.785
        at 1ms submit 2 requests 2 deadline 100ms floor 0.785
        at 2ms submit 3 requests 3 deadline 50ms floor 0.685
    ";
    let nan = Proposal { bound: Some(f64::NAN), ..assign(&[]) };
    let claimed = |objective, bound| Proposal { objective: Some(objective), bound: Some(bound), ..assign(&[]) };
    let ordered = |ids: &[u64]| Proposal { order: ids.iter().map(|&id| JobId(id)).collect(), ..assign(&[]) };
    let illegal = [
        (assign(&[(9, 0)]), "job 9 is not in the snapshot"),
        (assign(&[(3, 1), (3, 1)]), "job 3 is named twice"),
        (assign(&[(3, 4)]), "job 3 has 4 strategies, the policy chose 4"),
        (assign(&[(3, u32::MAX)]), "job 3 has 4 strategies, the policy chose 4294967295"),
        (assign(&[(3, 0), (2, 0)]), "job 2 must keep 0.785000, the policy chose a strategy at 0.685000"),
        (ordered(&[2]), "an order names all 2 jobs or none, the policy named 1"),
        (ordered(&[2, 2]), "job 2 is named twice"),
        (ordered(&[2, 1]), "job 1 is not in the snapshot"),
        (nan, "objective and bound must be finite numbers"),
        (claimed(2.0, 1.5), "the bound 1.5 is below the objective 2, which it should limit"),
    ];
    for (proposal, reason) in illegal {
        let log = scenario(case).run_with(|_| Some(Ok(proposal.clone())));
        assert!(log.contains(&format!("refuse the plan: {reason}")), "{reason}: {log}");
        assert!(log.contains("squeeze [3]"), "{reason}: {log}");
        assert!(!log.contains("late"), "{reason}: {log}");
    }
}

#[test]
fn a_bound_may_be_below_the_objective_by_rounding_only() {
    let case = "
        at 0ms submit 1 requests 1 deadline 100ms
        at 1ms submit 2 requests 3 deadline 35ms
    ";
    let answer = |bound| Proposal { objective: Some(-2.0), bound: Some(bound), ..assign(&[(2, 2)]) };
    let log = |bound| scenario(case).run_with(|_| Some(Ok(answer(bound))));
    assert!(log(-2.0 - 1e-9).contains("adopt [2]"), "{}", log(-2.0 - 1e-9));
    assert!(log(-2.0 - 1e-8).contains("refuse the plan: the bound -2.00000001 is below the objective -2"));
}

#[test]
fn a_job_in_a_hurry_is_taken_in_ahead_of_those_that_have_time_and_no_further() {
    check(
        "
            at 0ms submit 1 requests 2 deadline 500ms floor 0.785
            at 1ms submit 2 requests 3 deadline 60ms floor 0.785
            at 2ms submit 3 requests 3 deadline 200ms floor 0.785
            at 3ms submit 4 requests 2 deadline 80ms floor 0.785
            at 4ms submit 5 requests 1 deadline 70ms floor 0.785
        ",
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            1ms accept 2 until 50ms
            2ms accept 3 until 80ms
            3ms accept 4 until 70ms
            4ms accept 5 until 60ms
            10ms run 1 1..2 on video+audio
            20ms Served 1: 2 video+audio = 0.785
            20ms run 2 0..1 on video+audio
            30ms run 2 1..2 on video+audio
            40ms run 2 2..3 on video+audio
            50ms Served 2: 3 video+audio = 0.785
            50ms run 5 0..1 on video+audio
            60ms Served 5: 1 video+audio = 0.785
            60ms run 4 0..1 on video+audio
            70ms run 4 1..2 on video+audio
            80ms Served 4: 2 video+audio = 0.785
            80ms run 3 0..1 on video+audio
            90ms run 3 1..2 on video+audio
            100ms run 3 2..3 on video+audio
            110ms Served 3: 3 video+audio = 0.785
        "#]],
    );
}
