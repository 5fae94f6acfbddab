//! Whole histories, as they are explained of simulation cases.

use std::time::Duration;

use expect_test::{Expect, expect};
use mosel_core::{Action, Decision, Event, JobId, PolicyError, Scheduler, Snapshot, Time, Trigger};
use mosel_journal::{
    Counterfactual, Header, HistoryEvent, JobHistories, JobHistory, Naming, PolicyRecord, Reader, Recorder,
    ReplayEvent, explain, replay,
};
use mosel_sim::{ExternalEvent, FaultMode, Observer, PolicyFn, PolicyReply, SimCase};
use mosel_testkit::toy::{self, TOY};

/// Job 1 runs until 40, job 2 comes at 10, job 3 comes at 20 and would be late if job 2 stayed as it is.
const QUEUE: &str = "
    at 0ms  submit 1 requests 4 deadline 500ms min_accuracy 0.785
    at 10ms submit 2 requests 10 deadline 500ms min_accuracy 0.71
    at 20ms submit 3 requests 4 deadline 150ms min_accuracy 0.785
";

/// A simulated run: the scheduler, what happens to it, and the policy `exact` in words.
struct SimRun<D> {
    case: SimCase,
    decide: D,
    /// Put in place of `exact` when policies are swapped.
    next_policy: &'static str,
}

/// Listens to a run, until a time.
struct Listener {
    histories: Option<JobHistories>,
    until: Time,
    next_policy: &'static str,
}

impl Observer for &mut Listener {
    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        let histories = self.histories.get_or_insert_with(|| {
            JobHistories::new(scheduler.models().to_vec(), scheduler.config().clone(), "exact".into(), 100)
        });
        if now > self.until {
            return Ok(());
        }
        if now > Time::START && matches!(event, Event::PolicyChanged { .. }) {
            histories.policy_changed(self.next_policy);
        }
        histories.handle(now, event, actions);
        Ok(())
    }
}

impl<D: FnMut(&Snapshot) -> PolicyReply> SimRun<D> {
    fn new(case: &str, decide: D) -> SimRun<D> {
        let case = SimCase::parse(&format!("{TOY}{case}")).expect("the case reads");
        SimRun { case, decide, next_policy: "greedy" }
    }

    fn histories_until(self, until: Time, swap_at: Option<Time>) -> JobHistories {
        let mut listener = Listener { histories: None, until, next_policy: self.next_policy };
        self.live(&mut listener, swap_at);
        listener.histories.expect("a policy was put in place at least")
    }

    fn live(self, observer: impl Observer, swap_at: Option<Time>) {
        let SimRun { mut case, decide, .. } = self;
        case.events.extend(swap_at.map(|at| (at, ExternalEvent::Install)));
        case.events.sort_by_key(|(at, _)| *at);
        case.run_with(PolicyFn { decide, eager: case.eager }, observer).expect("the day ends");
    }
}

/// What the policy of a case answers.
fn scripted(case: &str) -> impl FnMut(&Snapshot) -> PolicyReply {
    let modes = SimCase::parse(&format!("{TOY}{case}")).expect("the case reads").modes;
    move |_| match modes[..] {
        [(FaultMode::Silent, _)] => PolicyReply { took: Duration::from_secs(1), ..reply(Ok(Decision::default())) },
        [(FaultMode::Traps, _)] => reply(Err(PolicyError::Trapped("unreachable".into()))),
        _ => reply(Ok(Decision::default())),
    }
}

fn reply(answer: Result<Decision, PolicyError>) -> PolicyReply {
    PolicyReply { answer, took: Duration::from_millis(1) }
}

/// A policy that gives these jobs these strategies.
fn assign(assignments: &[(u64, u32)]) -> PolicyReply {
    let assignments = assignments.iter().map(|&(job, strategy)| (JobId(job), strategy)).collect();
    reply(Ok(Decision { assignments, ..Decision::default() }))
}

fn naming() -> Naming {
    Naming::new("j-", &[toy::matrix(1)])
}

fn explained(history: Option<&JobHistory>) -> String {
    let lines = explain(history.expect("the job came"), &naming());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The history of a job under the case's own policy.
fn check(case: &str, job: u64, expected: Expect) {
    check_with(case, job, scripted(case), expected);
}

fn check_with(case: &str, job: u64, decide: impl FnMut(&Snapshot) -> PolicyReply, expected: Expect) {
    let histories = SimRun::new(case, decide).histories_until(Time::NEVER, None);
    expected.assert_eq(&explained(histories.history(JobId(job))));
}

#[test]
fn a_job_that_nothing_happens_to() {
    check(
        "at 12.345ms submit 1 requests 2 deadline 975.5ms",
        1,
        expect![[r#"
            Job j-1 came 12.3 ms after the server's start: 2 requests for toy, to be done within 963 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (2 requests on video+audio: 0.785 in 20 ms), to be done 20 ms after it came.
            From its arrival on it ran 2 requests on video+audio, in 2 batches, which took 20 ms on the device.
            It was done 20 ms after it came, 943 ms before its deadline: 2 requests on video+audio, 0.785, the best there is.
        "#]],
    );
    check(
        "at 20000ms submit 1 priority 2 drop min_accuracy 0.6",
        1,
        expect![[r#"
        Job j-1 came 20 s after the server's start: 1 request for toy, to be done at any time, at an accuracy of at least 0.6, with a priority of 2, to be dropped once it cannot be on time.
        It was accepted at once on lane 0, on its most accurate strategy (1 request on video+audio: 0.785 in 10 ms), to be done 10 ms after it came.
        At once it ran 1 request on video+audio, which took 10 ms on the device.
        It was done 10 ms after it came: 1 request on video+audio, 0.785, the best there is.
    "#]],
    );
}

#[test]
fn a_squeeze_is_told_with_what_the_policy_did_not_do_and_who_would_have_been_late() {
    check(
        &format!("policy silent {QUEUE}"),
        2,
        expect![[r#"
            Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
            It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
            After 15 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact did not answer within its 5 ms, and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
            From 30 ms on it ran 5 requests on audio, 5 on video+audio, in 10 batches, which took 70 ms on the device.
            It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken about 100 ms of the device instead of 70 ms, and reached 0.785.
        "#]],
    );
    check(
        &format!("policy traps {QUEUE}"),
        2,
        expect![[r#"
            Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
            It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
            After 11 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact trapped (unreachable), and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
            From 30 ms on it ran 5 requests on audio, 5 on video+audio, in 10 batches, which took 70 ms on the device.
            It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken about 100 ms of the device instead of 70 ms, and reached 0.785.
        "#]],
    );
    check(
        &format!("policy traps {QUEUE}"),
        3,
        expect![[r#"
            Job j-3 came 20 ms after the server's start: 4 requests for toy, to be done within 130 ms, at an accuracy of at least 0.785.
            It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 160 ms after it came, 30 ms late if nothing changed.
            From 90 ms on it ran 4 requests on video+audio, in 4 batches, which took 40 ms on the device.
            It was done 130 ms after it came, at its deadline: 4 requests on video+audio, 0.785, the best there is.
        "#]],
    );
}

#[test]
fn an_illegal_plan_is_told_in_the_names_of_jobs() {
    check_with(
        QUEUE,
        2,
        |_| assign(&[(2, 0)]),
        expect![[r#"
            Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
            It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
            After 11 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact chose 0.685 for j-2, which must keep 0.71, and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
            From 30 ms on it ran 5 requests on audio, 5 on video+audio, in 10 batches, which took 70 ms on the device.
            It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken about 100 ms of the device instead of 70 ms, and reached 0.785.
        "#]],
    );
    let backwards = |snapshot: &Snapshot| {
        let order = snapshot.jobs.iter().rev().map(|row| row.id).collect();
        reply(Ok(Decision { order, ..Decision::default() }))
    };
    let tight = "
        at 0ms submit 1 requests 4 deadline 75ms min_accuracy 0.785
        at 1ms submit 2 requests 2 deadline 65ms
        at 2ms submit 3 requests 2 deadline 71ms
    ";
    check_with(
        tight,
        2,
        backwards,
        expect![[r#"
            Job j-2 came 1 ms after the server's start: 2 requests for toy, to be done within 64 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (2 requests on video+audio: 0.785 in 20 ms), to be done 59 ms after it came.
            After 2 ms the server itself moved it from 0.785 in 20 ms to 0.735 in 14 ms (1 on audio, 1 on video+audio), because the plan of the policy exact would have made j-1 5 ms late, which was on time, and j-3 would have been 9 ms late. Had it alone stayed as it was, j-3 would still have been 3 ms late.
            From 39 ms on it ran 1 request on audio, 1 on video+audio, in 2 batches, which took 14 ms on the device.
            It was done 53 ms after it came, 11 ms before its deadline: 1 request on audio, 1 on video+audio, 0.735. On its most accurate strategy it would have taken about 20 ms of the device instead of 14 ms, and reached 0.785.
        "#]],
    );
}

/// Gives job 2 away for job 3, and back once job 3 is gone.
fn to_and_fro(snapshot: &Snapshot) -> PolicyReply {
    let row = snapshot.jobs.iter().find(|row| row.id == JobId(2));
    match (row, snapshot.trigger) {
        (Some(row), Trigger::Violation) if row.requests == 10 => assign(&[(2, 5)]),
        (Some(row), Trigger::Completion) if snapshot.jobs.len() == 1 => assign(&[(2, row.requests)]),
        _ => assign(&[]),
    }
}

#[test]
fn a_policys_change_is_told_and_what_it_gave_back() {
    let case = format!("eager {QUEUE} at 43ms cancel 3");
    check_with(
        &case,
        2,
        to_and_fro,
        expect![[r#"
            Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
            It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
            After 11 ms the policy exact moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
            From 30 ms on it ran 2 requests on audio, in 2 batches, which took 8 ms on the device.
            After 35 ms, once a batch or a job had ended, the policy exact gave the 8 requests that it had left accuracy back: from 0.7475 in 62 ms to 0.785 in 80 ms (8 on video+audio), and nobody would be late.
            From 38 ms on it ran 8 requests on video+audio, in 8 batches, which took 80 ms on the device.
            It was done 118 ms after it came, 372 ms before its deadline: 2 requests on audio, 8 on video+audio, 0.765. On its most accurate strategy it would have taken about 100 ms of the device instead of 88 ms, and reached 0.785.
        "#]],
    );
    check_with(
        &case,
        3,
        to_and_fro,
        expect![[r#"
        Job j-3 came 20 ms after the server's start: 4 requests for toy, to be done within 130 ms, at an accuracy of at least 0.785.
        It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 160 ms after it came, 30 ms late if nothing changed.
        It was cancelled 23 ms after it came, with nothing served.
    "#]],
    );
}

#[test]
fn more_than_what_was_needed_is_said_to_be_kept_for_jobs_to_come() {
    let generous = |snapshot: &Snapshot| match snapshot.trigger {
        Trigger::Violation => assign(&[(2, 3), (3, 2)]),
        _ => assign(&[]),
    };
    check_with(
        &QUEUE.replace("150ms min_accuracy 0.785", "150ms"),
        3,
        generous,
        expect![[r#"
            Job j-3 came 20 ms after the server's start: 4 requests for toy, to be done within 130 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 160 ms after it came, 30 ms late if nothing changed.
            After 1 ms the policy exact moved it from 0.785 in 40 ms to 0.735 in 28 ms (2 on audio, 2 on video+audio), because it would itself have been 30 ms late. Had it alone stayed as it was, nobody would have been late: the time was kept for jobs to come.
            From 78 ms on it ran 2 requests on audio, 2 on video+audio, in 4 batches, which took 28 ms on the device.
            It was done 106 ms after it came, 24 ms before its deadline: 2 requests on audio, 2 on video+audio, 0.735. On its most accurate strategy it would have taken about 40 ms of the device instead of 28 ms, and reached 0.785.
        "#]],
    );
    let unasked = |snapshot: &Snapshot| match snapshot.trigger {
        Trigger::Violation => assign(&[(2, 5)]),
        Trigger::Arrival => assign(&[(2, 4)]),
        _ => assign(&[]),
    };
    let nobody_late = &format!("eager {QUEUE} at 25ms submit 4 deadline 500ms");
    check_with(
        nobody_late,
        2,
        unasked,
        expect![[r#"
            Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
            It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
            After 11 ms the policy exact moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
            After 16 ms the policy exact moved it from 0.735 in 70 ms to 0.725 in 64 ms (6 on audio, 4 on video+audio), though nobody would have been late. Had it alone stayed as it was, still nobody would have been late: the time was kept for jobs to come.
            From 30 ms on it ran 6 requests on audio, 4 on video+audio, in 10 batches, which took 64 ms on the device.
            It was done 94 ms after it came, 396 ms before its deadline: 6 requests on audio, 4 on video+audio, 0.725. On its most accurate strategy it would have taken about 100 ms of the device instead of 64 ms, and reached 0.785.
        "#]],
    );
}

#[test]
fn many_late_jobs_are_counted_and_some_stay_late() {
    let case = "
        at 0ms submit 1 requests 8 deadline 500ms
        at 1ms submit 2 requests 2 deadline 95ms
        at 2ms submit 3 requests 2 deadline 97ms
        at 3ms submit 4 requests 2 deadline 98ms
        at 4ms submit 5 requests 2 deadline 99ms
        at 5ms submit 6 requests 2 deadline 100ms
    ";
    let half = |snapshot: &Snapshot| match snapshot.jobs.len() {
        6 => assign(&[(1, 3), (2, 1)]),
        _ => assign(&[]),
    };
    check_with(
        case,
        1,
        half,
        expect![[r#"
            Job j-1 came at the server's start: 8 requests for toy, to be done within 500 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (8 requests on video+audio: 0.785 in 80 ms), to be done 80 ms after it came.
            At once it ran 1 request on video+audio, which took 10 ms on the device.
            After 6 ms the policy exact moved the 7 requests that it had left from 0.785 in 70 ms to 0.7279 in 46 ms (4 on audio, 3 on video+audio), because j-2 would have been 5 ms late, j-3 23 ms, j-4 42 ms, and 2 more jobs. Even so 3 jobs would be late. Had it alone stayed as it was, j-6 would have been 74 ms late instead of 50 ms.
            From 10 ms on it ran 4 requests on audio, 1 on video+audio, in 5 batches, which took 26 ms on the device.
            After 27 ms the server itself moved the 2 requests that it had left from 0.785 in 20 ms to 0.685 in 8 ms (2 on audio), because the policy exact chose strategy 3 (from 0) for j-1, which has 3, and j-4 would have been 12 ms late, j-5 31 ms, j-6 50 ms. Had it alone stayed as it was, j-6 would still have been 8 ms late.
            From 36 ms on it ran 2 requests on audio, in 2 batches, which took 8 ms on the device.
            It was done 44 ms after it came, 456 ms before its deadline: 6 requests on audio, 2 on video+audio, 0.71. On its most accurate strategy it would have taken about 80 ms of the device instead of 44 ms, and reached 0.785.
        "#]],
    );
    check_with(
        case,
        2,
        half,
        expect![[r#"
            Job j-2 came 1 ms after the server's start: 2 requests for toy, to be done within 94 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (2 requests on video+audio: 0.785 in 20 ms), to be done 99 ms after it came, 5 ms late if nothing changed.
            After 5 ms the policy exact moved it from 0.785 in 20 ms to 0.735 in 14 ms (1 on audio, 1 on video+audio), because it would itself have been 5 ms late, j-3 23 ms, j-4 42 ms, and 2 more jobs. Even so 3 jobs would be late. Had it alone stayed as it was, j-6 would have been 56 ms late instead of 50 ms.
            After 26 ms the server itself moved it from 0.735 in 14 ms to 0.685 in 8 ms (2 on audio), because the policy exact chose strategy 3 (from 0) for j-1, which has 3, and j-4 would have been 12 ms late, j-5 31 ms, j-6 50 ms. Had it alone stayed as it was, j-6 would still have been 2 ms late.
            From 43 ms on it ran 2 requests on audio, in 2 batches, which took 8 ms on the device.
            It was done 51 ms after it came, 43 ms before its deadline: 2 requests on audio, 0.685. On its most accurate strategy it would have taken about 20 ms of the device instead of 8 ms, and reached 0.785.
        "#]],
    );
}

#[test]
fn a_refusal_has_its_counter_offers() {
    let busy = "at 0ms submit 1 requests 10 deadline 60ms min_accuracy 0.7";
    check(
        &format!("{busy} \n at 5ms submit 2 requests 2 deadline 67ms min_accuracy 0.785"),
        2,
        expect![[r#"
            Job j-2 came 5 ms after the server's start: 2 requests for toy, to be done within 62 ms, at an accuracy of at least 0.785.
            It was refused: it would have been late even with every waiting job on its fastest legal strategy. It would have been accepted with 67 ms to be done in, or at an accuracy of 0.735 or less.
        "#]],
    );
    check(
        &format!("{busy} \n at 5ms submit 2 requests 2 deadline 20ms min_accuracy 0.785"),
        2,
        expect![[r#"
            Job j-2 came 5 ms after the server's start: 2 requests for toy, to be done within 15 ms, at an accuracy of at least 0.785.
            It was refused: even an idle server would have been late. It would have been accepted with 67 ms to be done in, or at an accuracy of 0.685 or less.
        "#]],
    );
    check(
        "at 0ms submit 1 requests 2 deadline 11ms min_accuracy 0.785",
        1,
        expect![[r#"
            Job j-1 came at the server's start: 2 requests for toy, to be done within 11 ms, at an accuracy of at least 0.785.
            It was refused: even an idle server would have been late. It would have been accepted with 20 ms to be done in, or at an accuracy of 0.685 or less.
        "#]],
    );
    check(
        "at 0ms submit 1 min_accuracy 0.8 deadline 50ms",
        1,
        expect![[r#"
            Job j-1 came at the server's start: 1 request for toy, to be done within 50 ms, at an accuracy of at least 0.8.
            It was refused: the model reaches 0.785 at best.
        "#]],
    );
    check(
        "max_jobs 1 \n at 0ms submit 1 deadline 90ms \n at 5ms submit 2 deadline 90ms",
        2,
        expect![[r#"
        Job j-2 came 5 ms after the server's start: 1 request for toy, to be done within 85 ms, at any accuracy.
        It was refused: 1 job waited, and no more may. The first of them was expected to be done after 5 ms.
    "#]],
    );
    check(
        "at 0ms submit 1 requests 65 deadline 50ms",
        1,
        expect![[r#"
            Job j-1 came at the server's start: 65 requests for toy, to be done within 50 ms, at any accuracy.
            It was refused: the job has 65 requests, expected at most 64.
        "#]],
    );
}

#[test]
fn a_batch_that_fails_is_told_once_or_ends_the_job() {
    let once = "at 0ms submit 1 requests 3 deadline 500ms \n at 13ms fail";
    check(
        once,
        1,
        expect![[r#"
            Job j-1 came at the server's start: 3 requests for toy, to be done within 500 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (3 requests on video+audio: 0.785 in 30 ms), to be done 30 ms after it came.
            At once it ran 1 request on video+audio, which took 10 ms on the device; then it ran a batch of 1 request on video+audio, which failed and was put back, to be run first.
            From 13 ms on it ran 2 requests on video+audio, in 2 batches, which took 20 ms on the device.
            It was done 33 ms after it came, 467 ms before its deadline: 3 requests on video+audio, 0.785, the best there is.
        "#]],
    );
    check(
        &format!("{once} \n at 17ms fail"),
        1,
        expect![[r#"
            Job j-1 came at the server's start: 3 requests for toy, to be done within 500 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (3 requests on video+audio: 0.785 in 30 ms), to be done 30 ms after it came.
            At once it ran 1 request on video+audio, which took 10 ms on the device; then it ran a batch of 1 request on video+audio, which failed and was put back, to be run first.
            After 13 ms it ran a batch of 1 request on video+audio, which failed.
            It failed 17 ms after it came, since a second batch of it had failed, with 1 of its 3 requests served (1 on video+audio).
        "#]],
    );
    check(
        "at 0ms submit 1 requests 3 deadline 500ms \n at 3ms fail",
        1,
        expect![[r#"
            Job j-1 came at the server's start: 3 requests for toy, to be done within 500 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (3 requests on video+audio: 0.785 in 30 ms), to be done 30 ms after it came.
            At once it ran a batch of 1 request on video+audio, which failed and was put back, to be run first.
            From 3 ms on it ran 3 requests on video+audio, in 3 batches, which took 30 ms on the device.
            It was done 33 ms after it came, 467 ms before its deadline: 3 requests on video+audio, 0.785, the best there is.
        "#]],
    );
}

#[test]
fn a_job_that_cannot_make_it_is_given_up_and_late() {
    let slow = "
        device 2
        policy silent
        at 0ms submit 1 requests 4 deadline 500ms min_accuracy 0.785
        at 1ms submit 2 requests 4 deadline 76ms min_accuracy 0.735
    ";
    check(
        slow,
        2,
        expect![[r#"
            Job j-2 came 1 ms after the server's start: 4 requests for toy, to be done within 75 ms, at an accuracy of at least 0.735.
            It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 79 ms after it came, 4 ms late if nothing changed.
            After 5 ms the server itself moved it from 0.785 in 40 ms to 0.76 in 34 ms (1 on audio, 3 on video+audio), because the policy exact did not answer within its 5 ms, and it would itself have been 4 ms late. Had it alone stayed as it was, it would still have been 4 ms late.
            After 19 ms its deadline could not be met any more; it went behind all jobs that could be on time.
            From 79 ms on it ran 1 request on audio, 3 on video+audio, in 4 batches, which took 68 ms on the device.
            It was done 147 ms after it came, 72 ms after its deadline: 1 request on audio, 3 on video+audio, 0.76. On its most accurate strategy it would have taken about 80 ms of the device instead of 68 ms, and reached 0.785.
        "#]],
    );
    check(
        &slow.replace("min_accuracy 0.735", "min_accuracy 0.735 drop"),
        2,
        expect![[r#"
            Job j-2 came 1 ms after the server's start: 4 requests for toy, to be done within 75 ms, at an accuracy of at least 0.735, to be dropped once it cannot be on time.
            It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 79 ms after it came, 4 ms late if nothing changed.
            After 5 ms the server itself moved it from 0.785 in 40 ms to 0.76 in 34 ms (1 on audio, 3 on video+audio), because the policy exact did not answer within its 5 ms, and it would itself have been 4 ms late. Had it alone stayed as it was, it would still have been 4 ms late.
            After 19 ms its deadline could not be met any more.
            It was dropped 19 ms after it came, as it had asked for, with nothing served.
        "#]],
    );
}

#[test]
fn a_job_that_is_cancelled_says_what_was_served() {
    check(
        "at 0ms submit 1 requests 3 deadline 500ms \n at 13ms cancel 1",
        1,
        expect![[r#"
            Job j-1 came at the server's start: 3 requests for toy, to be done within 500 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (3 requests on video+audio: 0.785 in 30 ms), to be done 30 ms after it came.
            From its arrival on it ran 2 requests on video+audio, in 2 batches, which took 20 ms on the device.
            It was cancelled 13 ms after it came, with 1 of its 3 requests served (1 on video+audio).
        "#]],
    );
    check(
        "at 0ms submit 1 requests 3 deadline 500ms \n at 1ms submit 2 deadline 500ms \n at 13ms cancel 2",
        2,
        expect![[r#"
            Job j-2 came 1 ms after the server's start: 1 request for toy, to be done within 499 ms, at any accuracy.
            It was accepted at once on lane 0, on its most accurate strategy (1 request on video+audio: 0.785 in 10 ms), to be done 39 ms after it came.
            It was cancelled 12 ms after it came, with nothing served.
        "#]],
    );
}

#[test]
fn a_job_that_waits_is_told_up_to_now() {
    let until = |micros: u64, job: u64| {
        let case = format!("policy silent {QUEUE}");
        let histories = SimRun::new(&case, scripted(&case)).histories_until(Time::from_micros(micros), None);
        explained(histories.history(JobId(job)))
    };
    expect![[r#"
        Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
        It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
        After 15 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact did not answer within its 5 ms, and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
        It waits now, on 0.735 in 70 ms (5 on audio, 5 on video+audio).
    "#]].assert_eq(&until(30_000, 2));
    expect![[r#"
        Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
        It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
        After 15 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact did not answer within its 5 ms, and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
        From 30 ms on it ran 2 requests on audio, in 2 batches, which took 4 ms on the device so far.
        8 of its 10 requests wait now, on 0.7475 in 62 ms (3 on audio, 5 on video+audio).
    "#]].assert_eq(&until(46_000, 2));
    expect![[r#"
        Job j-3 came 20 ms after the server's start: 4 requests for toy, to be done within 130 ms, at an accuracy of at least 0.785.
        It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 160 ms after it came, 30 ms late if nothing changed.
        From 90 ms on it ran 3 requests on video+audio, in 3 batches, which took 20 ms on the device so far.
        1 of its 4 requests waits now, on 0.785 in 10 ms (1 on video+audio).
    "#]].assert_eq(&until(139_999, 3));
    expect![[r#"
        Job j-3 came 20 ms after the server's start: 4 requests for toy, to be done within 130 ms, at an accuracy of at least 0.785.
        It was accepted at once on lane 0, on its most accurate strategy (4 requests on video+audio: 0.785 in 40 ms), to be done 160 ms after it came, 30 ms late if nothing changed.
        From 90 ms on it ran 4 requests on video+audio, in 4 batches, which took 30 ms on the device so far.
        Nothing of it waits any more: its last batch is on the device.
    "#]].assert_eq(&until(140_000, 3));
}

#[test]
fn a_policy_put_in_place_answers_under_its_own_name() {
    let day = SimRun::new(QUEUE, |_: &Snapshot| assign(&[(2, 5)]));
    let histories = day.histories_until(Time::NEVER, Some(Time::from_micros(20_500)));
    expect![[r#"
        Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
        It was accepted at once on lane 0, on its most accurate strategy (10 requests on video+audio: 0.785 in 100 ms), to be done 130 ms after it came.
        After 12 ms the policy greedy moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
        From 30 ms on it ran 5 requests on audio, 5 on video+audio, in 10 batches, which took 70 ms on the device.
        It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken about 100 ms of the device instead of 70 ms, and reached 0.785.
    "#]].assert_eq(&explained(histories.history(JobId(2))));
}

/// Begins a journal after so many steps.
struct LateJob {
    steps: usize,
    journal: Option<Recorder<Vec<u8>>>,
}

impl Observer for &mut LateJob {
    fn after(&mut self, scheduler: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            return journal.record(now, event, actions).map_err(|error| error.to_string());
        }
        self.steps -= 1;
        if self.steps == 0 {
            let policy = PolicyRecord { name: "exact".into(), ..PolicyRecord::default() };
            self.journal = Recorder::begin(Vec::new(), scheduler, policy, "0.1.0").ok();
        }
        Ok(())
    }
}

/// The histories of a journal that begins after so many steps.
fn resumed(case: &str, steps: usize) -> JobHistories {
    let mut late = LateJob { steps, journal: None };
    SimRun::new(case, scripted(case)).live(&mut late, None);
    let journal = late.journal.expect("it began").finish().expect("a vector takes everything");
    let (header, mut reader): (Header, _) = Reader::new(&journal[..]).expect("it reads");
    let mut histories = JobHistories::resume(&header, 100);
    let replayed = replay(&header, &mut reader, |seen| match seen {
        ReplayEvent::Step { at, event, actions, .. } => histories.handle(at, event, actions),
        ReplayEvent::Policy(policy) => histories.policy_changed(&policy.name),
        ReplayEvent::Named(..) => {}
    });
    assert_eq!(replayed.expect("it reads").difference, None);
    histories
}

#[test]
fn a_journal_that_begins_in_the_middle_says_so() {
    let case = format!("policy silent {QUEUE}");
    let histories = resumed(&case, 5);
    expect![[r#"
        Job j-1 came at the server's start: 4 requests for toy, to be done within 500 ms, at an accuracy of at least 0.785.
        The record begins later, when 1 of its 4 requests waited on lane 0, on 0.785 in 10 ms (1 on video+audio).
        From 20 ms on it ran 2 requests on video+audio, in 2 batches, which took 20 ms on the device.
        It was done 40 ms after it came, 460 ms before its deadline: 4 requests on video+audio, 0.785, the best there is.
    "#]].assert_eq(&explained(histories.history(JobId(1))));
    expect![[r#"
        Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
        The record begins later, when it waited on lane 0, on 0.785 in 100 ms (10 on video+audio).
        After 15 ms the server itself moved it from 0.785 in 100 ms to 0.735 in 70 ms (5 on audio, 5 on video+audio), because the policy exact did not answer within its 5 ms, and j-3 would have been 30 ms late. Had it alone stayed as it was, j-3 would still have been 30 ms late.
        From 30 ms on it ran 5 requests on audio, 5 on video+audio, in 10 batches, which took 70 ms on the device.
        It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken 100 ms of the device by the profile, where it took 70 ms, and reached 0.785.
    "#]].assert_eq(&explained(histories.history(JobId(2))));
    let histories = resumed(&case, 12);
    expect![[r#"
        Job j-2 came 10 ms after the server's start: 10 requests for toy, to be done within 490 ms, at an accuracy of at least 0.71.
        The record begins later, when 6 of its 10 requests waited on lane 0, on 0.7683 in 54 ms (1 on audio, 5 on video+audio); its strategy had been changed 1 time before.
        From 42 ms on it ran 2 requests on audio, 5 on video+audio, in 7 batches, which took 58 ms on the device.
        It was done 100 ms after it came, 390 ms before its deadline: 5 requests on audio, 5 on video+audio, 0.735. On its most accurate strategy it would have taken 100 ms of the device by the profile, where it took 70 ms, and reached 0.785.
    "#]].assert_eq(&explained(histories.history(JobId(2))));
}

#[test]
fn what_is_beyond_the_most_events_is_counted_and_the_end_is_kept() {
    let mut turn = 0;
    let restless = move |snapshot: &Snapshot| {
        turn += 1;
        let moves = snapshot.jobs.iter().filter(|row| row.id == JobId(2));
        assign(&moves.map(|row| (row.id.0, turn % 2)).collect::<Vec<_>>())
    };
    let mut case = String::from(
        "eager \n at 0ms submit 1 requests 64 deadline 5000ms \n at 1ms submit 2 requests 2 deadline 655ms",
    );
    for at in 2..95 {
        case += &format!("\n at {at}ms submit {} deadline 4000ms", at + 1);
    }
    let histories = SimRun::new(&case, restless).histories_until(Time::NEVER, None);
    let history = histories.history(JobId(2)).expect("it came");
    assert!(history.left_out > 10 && history.has_ended(), "{} of {}", history.left_out, history.events.len());
    let told = explain(history, &naming());
    let last_two = told[told.len() - 2..].join("\n");
    assert!(last_two.starts_with(&format!("Then {} events followed", history.left_out)), "{last_two}");
    assert!(last_two.contains("It was done"), "{last_two}");
}

#[test]
fn of_histories_that_ended_the_last_are_kept() {
    let mut case = String::new();
    for job in 1..=130 {
        case += &format!("at {}ms submit {job} deadline 5000ms \n", job * 20);
    }
    let histories = SimRun::new(&case, scripted(&case)).histories_until(Time::NEVER, None);
    let kept = (1..=130).filter(|&job| histories.history(JobId(job)).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (31..=130).collect::<Vec<_>>());
}

#[test]
fn a_duplicate_that_is_refused_leaves_the_history_of_the_first() {
    let case = "at 0ms submit 1 requests 2 deadline 90ms \n at 5ms submit 1 deadline 90ms";
    let histories = SimRun::new(case, scripted(case)).histories_until(Time::NEVER, None);
    let history = histories.history(JobId(1)).expect("it came");
    assert!(matches!(history.events.last(), Some(HistoryEvent::Ended(_))), "{history:?}");
    assert_eq!((history.job.requests, history.arrival), (2, Time::START));
}

#[test]
fn a_job_that_came_after_the_question_is_not_said_to_be_part_of_it() {
    let case = format!("policy silent \n budget 9ms {QUEUE} \n at 22ms submit 4 requests 6 deadline 165ms");
    let histories = SimRun::new(&case, scripted(&case)).histories_until(Time::NEVER, None);
    let history = histories.history(JobId(4)).expect("it came");
    let changes = history.events.iter().filter_map(|event| match event {
        HistoryEvent::Changed(change) => Some(change.counterfactual),
        _ => None,
    });
    assert_eq!(changes.collect::<Vec<_>>(), [Counterfactual::Unknown]);
    expect![[r#"
        Job j-4 came 22 ms after the server's start: 6 requests for toy, to be done within 143 ms, at any accuracy.
        It was accepted at once on lane 0, on its most accurate strategy (6 requests on video+audio: 0.785 in 60 ms), to be done 218 ms after it came, 75 ms late if nothing changed.
        After 7 ms the server itself moved it from 0.785 in 60 ms to 0.685 in 24 ms (6 on audio), because the policy exact did not answer within its 9 ms.
        From 116 ms on it ran 6 requests on audio, in 6 batches, which took 24 ms on the device.
        It was done 140 ms after it came, 3 ms before its deadline: 6 requests on audio, 0.685. On its most accurate strategy it would have taken about 60 ms of the device instead of 24 ms, and reached 0.785.
    "#]].assert_eq(&explained(Some(history)));
}
