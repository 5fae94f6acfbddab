//! Whole days as text, lived through by the server's own scheduler in virtual time.

use std::sync::Arc;

use mosel_sim::{PolicyReply, SimCase};

use super::{convert, host};
use crate::bindings::mosel::policy::types as wire;
use crate::running::Running;
use crate::{Capabilities, Catalog, Policy, Snapshot};

/// The first question that a scenario puts to a policy.
///
/// A scenario is text, one noun a line; `#` starts a comment, indentation means nothing:
///
/// | line | what it says |
/// |---|---|
/// | `modalities video audio` | the kinds of input of the one model there is |
/// | `measure video+audio 1 10ms 157/200` | selection, batch size, time of such a batch, right answers of samples |
/// | `at 5ms submit 2 requests 8 deadline 120ms min_accuracy 0.7 priority 2 tenant acme drop` | a job comes; all from `requests` on may be left out. Deadlines are points in time. `drop`: to be given up once it cannot be on time |
/// | `at 7ms cancel 2` | a job is given up by its client |
/// | `at 9ms fail` | the batch that runs fails |
/// | `device 1.5` | batches really take 1.5 times as long as profiled; default 1 |
/// | `margin 0.05` | the server promises with 5 % to spare; default 0 |
/// | `budget 5ms` | how long a policy may think |
/// | `lanes 2` | two devices, each with a queue; default 1 |
/// | `max_jobs 10` | the most jobs a lane holds |
/// | `eager` | the policy is asked after every change, as one that is [eager](crate::Description::eager) is anyway |
///
/// Jobs have 64 requests at most.
///
/// ```
/// let question = mosel_sdk::test::scenario("
///     modalities video audio
///     measure audio 1 4ms 137/200
///     measure video+audio 1 10ms 157/200
///     at 0ms submit 1 requests 4 deadline 500ms
///     at 20ms submit 2 requests 5 deadline 60ms min_accuracy 0.7
/// ");
/// // Two batches of job 1 have run, the third runs now: one request is left of it, and job 2 ends at 90 ms.
/// assert_eq!((question.now, question.start), (20_000, 30_000));
/// assert_eq!((question.jobs[0].id, question.jobs[0].requests), (1, 1));
/// assert_eq!(question.finishes(), [40_000, 90_000]);
/// assert_eq!(question.violators(), [1]);
/// ```
///
/// # Panics
/// If the text does not read, with the line and what was expected there; or if no question comes up, for then every job
/// is in time on its most accurate strategy, or was refused.
#[track_caller]
pub fn scenario(text: &str) -> Snapshot {
    questions(text).into_iter().next().expect("the scenario puts a question to the policy")
}

/// Every question that a scenario puts to a policy that never changes anything; see [`scenario()`].
///
/// # Panics
/// If the text does not read.
#[track_caller]
pub fn questions(text: &str) -> Vec<Snapshot> {
    let case = read(text);
    let mut catalog = Catalog::default();
    catalog.merge(sent_catalog(&case));
    let catalog = Arc::new(catalog);
    let mut questions = Vec::new();
    let ended = case.trace(|question| {
        let sent = Snapshot::new(convert::sent_snapshot(question), Arc::clone(&catalog));
        questions.push(sent.expect("a catalog has the tables of its server's jobs"));
        PolicyReply::at_once(Ok(mosel_core::Decision::default()))
    });
    ended.expect("the day ends");
    questions
}

/// The log of a scenario in which the policy, configured with these settings (JSON), answers every question; see
/// [`scenario()`]. The server's seed is 0.
///
/// The policy lives through the whole day: what it keeps in its fields stays. It is asked as its
/// [`describe`](Policy::describe) wants to be; outcomes are not reported to it. Answers take no time.
///
/// ```
/// # use mosel_sdk::{Catalog, Decision, Description, NoSettings, Policy, PolicyError, Quality, Snapshot};
/// # struct Hurry;
/// # impl Policy for Hurry {
/// #     type Settings = NoSettings;
/// #     fn describe() -> Description { Description::new("hurry", "0.1.0", "") }
/// #     fn configure(_: NoSettings, _: &Catalog) -> Result<Hurry, PolicyError> { Ok(Hurry) }
/// #     fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
/// #         let fastest: Vec<u32> = (0..snapshot.jobs.len()).map(|row| snapshot.fastest(row)).collect();
/// #         Ok(Decision::choosing(snapshot, &fastest, Quality::Heuristic))
/// #     }
/// # }
/// let log = mosel_sdk::test::run::<Hurry>("{}", "
///     modalities video audio
///     measure audio 2 8ms 137/200
///     measure video+audio 2 20ms 157/200
///     at 0ms submit 1 requests 2 deadline 100ms
///     at 0ms submit 2 requests 2 deadline 30ms min_accuracy 0.6
/// ");
/// assert_eq!(log, "\
/// 0ms accept 1 until 20ms
/// 0ms run 1 0..2 on video+audio
/// 0ms accept 2 until 40ms
/// 0ms ask about 2
/// 0ms adopt [2]
/// 20ms Served 1: 2 video+audio = 0.785
/// 20ms run 2 0..2 on audio
/// 28ms Served 2: 2 audio = 0.685
/// ");
/// ```
///
/// # Panics
/// If the text does not read or the policy refuses its settings, with the reason.
#[track_caller]
pub fn run<P: Policy>(settings: &str, text: &str) -> String {
    run_seeded::<P>(settings, text, 0)
}

/// [`run`] on a server of another seed.
///
/// # Panics
/// As [`run`].
#[track_caller]
pub fn run_seeded<P: Policy>(settings: &str, text: &str, seed: u64) -> String {
    let mut case = read(text);
    case.eager |= P::describe().capabilities.contains(Capabilities::EAGER);
    host::begin(0, 0, 0, 0);
    let mut running = match Running::<P>::configure(settings, sent_catalog(&case)) {
        Ok(running) => running,
        Err(error) => panic!("the policy refuses its settings: {error:?}"),
    };
    let log = case.action_log_with(|question| {
        let sent = convert::sent_snapshot(question);
        host::begin(seed, sent.sequence, sent.now, sent.budget);
        let decision = running.decide(sent);
        PolicyReply::at_once(decision.map(|decision| convert::core_decision(&decision)).map_err(convert::error))
    });
    log.expect("the day ends")
}

#[track_caller]
fn read(text: &str) -> SimCase {
    match SimCase::parse(text) {
        Ok(case) => case,
        Err(error) => panic!("the scenario does not read: {error}"),
    }
}

/// What the scenario's server tells a policy of its model.
fn sent_catalog(case: &SimCase) -> wire::Catalog {
    convert::sent_catalog(case.scheduler().catalog())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::{Decision, Description, NoSettings, PolicyError, Quality, Trigger, tenant};

    const TOY: &str = "
        modalities video audio
        measure audio 1 4ms 137/200
        measure video+audio 1 10ms 157/200
    ";

    /// Always the most accurate strategies that all deadlines allow, if one job has to give way.
    #[derive(Debug)]
    struct Calm {
        asked: u32,
    }

    impl Policy for Calm {
        type Settings = NoSettings;

        fn describe() -> Description {
            Description::new("calm", "0.1.0", "Gives time back").eager()
        }

        fn configure(_: NoSettings, catalog: &Catalog) -> Result<Calm, PolicyError> {
            assert_eq!(catalog.models()[0].modalities.len(), 2);
            Ok(Calm { asked: 0 })
        }

        fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
            self.asked += 1;
            if self.asked == 2 {
                return Err(PolicyError::GaveUp("the second question is too hard".into()));
            }
            let mut chosen = snapshot.chosen();
            for row in 0..chosen.len() {
                chosen[row] = snapshot.strategies(row).len() as u32 - 1;
                while !snapshot.violators_with(&chosen).is_empty()
                    && let Some(faster) = snapshot.next_faster(row, chosen[row])
                {
                    chosen[row] = faster;
                }
            }
            Ok(Decision::choosing(snapshot, &chosen, Quality::Heuristic))
        }
    }

    #[test]
    fn a_question_carries_what_the_scenario_says() {
        let text = format!(
            "{TOY} margin 0.1 \n at 3ms submit 7 requests 3 deadline 32ms min_accuracy 0.6 priority 2 tenant acme"
        );
        let question = scenario(&format!("{text} \n at 3ms submit 8 deadline 90ms"));
        assert_eq!((question.trigger, question.now, question.start), (Trigger::Violation, 3_000, 13_000));
        assert_eq!(question.time_factor, 1.1);
        let job = question.jobs[0];
        assert_eq!((job.id, job.requests, job.deadline), (7, 2, 32_000));
        assert!(
            (job.min_accuracy - (0.6 * 3.0 - 0.785) / 2.0).abs() < 1e-9,
            "what is left may be worse: {}",
            job.min_accuracy
        );
        assert_eq!((job.weight, job.tenant, job.late), (2.0, tenant("acme"), false));
        assert_eq!(question.table(0).requests, 2);
        assert_eq!(question.model(0).unwrap().profile.len(), 2);
        let best = question.strategies(0).last().unwrap();
        assert_eq!((best.latency, best.accuracy, best.steps.len()), (20_000, 0.785, 1));
    }

    #[test]
    fn questions_are_all_there_in_order() {
        let questions =
            questions(&format!("{TOY} \n at 0ms submit 1 requests 3 deadline 100ms \n at 0ms submit 2 deadline 35ms"));
        let asked: Vec<_> = questions.iter().map(|question| (question.now, question.jobs.len())).collect();
        assert_eq!(asked, [(0, 2), (10_000, 2), (20_000, 1), (30_000, 1)]);
        assert!(questions.is_sorted_by_key(|question| question.sequence));
    }

    #[test]
    fn the_largest_job_has_a_menu() {
        let question =
            scenario(&format!("{TOY} \n at 0ms submit 1 deadline 20ms \n at 0ms submit 2 requests 64 deadline 400ms"));
        assert_eq!(question.table(0).requests, mosel_sim::LARGEST_JOB);
        let log = run::<Calm>("{}", &format!("{TOY} \n at 0ms submit 1 requests 65 deadline 300ms"));
        assert!(log.contains("refuse 1: "), "{log}");
    }

    #[test]
    fn an_eager_policy_is_asked_again_and_may_give_up_in_between() {
        let day = "
            at 0ms submit 1 requests 2 deadline 100ms
            at 0ms submit 2 requests 4 deadline 50ms
            at 5ms cancel 1
        ";
        expect![[r#"
            0ms accept 1 until 20ms
            0ms run 1 0..1 on video+audio
            0ms accept 2 until 60ms
            0ms ask about 1,2
            0ms adopt [1,2]
            5ms Cancelled 1:  = -
            5ms ask about 2
            5ms refuse the plan: the policy declined: gave up: the second question is too hard
            10ms run 2 0..1 on audio
            14ms run 2 1..2 on video+audio
            24ms run 2 2..3 on video+audio
            34ms run 2 3..4 on video+audio
            44ms Served 2: 1 audio + 3 video+audio = 0.760
        "#]]
        .assert_eq(&run::<Calm>("{}", &format!("{TOY}{day}")));
    }

    #[test]
    #[should_panic(expected = "the scenario does not read: line 1: \"measure\": expected modalities, measure")]
    fn a_scenario_that_does_not_read_says_where() {
        scenario("measure");
    }

    #[test]
    #[should_panic(expected = "the policy refuses its settings: PolicyError::BadConfig(\"pace: unknown field `pace`")]
    fn settings_that_do_not_read_fail_the_test() {
        run::<Calm>(r#"{"pace": 1}"#, TOY);
    }
}
