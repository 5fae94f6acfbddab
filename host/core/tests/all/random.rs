//! What holds whatever applications, devices and policies do: random cases, each run twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mosel_core::{Action, Decision, End, Job, JobId, LaneId, OnLate, PolicyError, Snapshot, Time};
use mosel_sim::{ExternalEvent, PolicyReply, SimCase};
use proptest::prelude::*;

const MODEL: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure audio 4 9ms 137/200
    measure video 1 7ms 120/200
    measure video+audio 1 10ms 157/200
    measure video+audio 4 32ms 157/200
";

fn job() -> impl Strategy<Value = (u64, Job)> {
    (0u64..200, 1u32..12, 1u64..200, 0.0..0.8f64, 1u32..4, any::<bool>()).prop_map(
        |(arrival, requests, slack, floor, weight, drops)| {
            let job = Job {
                requests,
                deadline: Time::from_millis(arrival + slack),
                min_accuracy: if floor < 0.3 { 0.0 } else { floor },
                weight: f64::from(weight),
                on_late: if drops { OnLate::Drop } else { OnLate::Run },
                ..mosel_testkit::jobs::job(0)
            };
            (arrival, job)
        },
    )
}

fn case() -> impl Strategy<Value = SimCase> {
    let jobs = prop::collection::vec(job(), 1..25);
    let cancels = prop::collection::vec((0u64..250, 0u64..25), 0..4);
    let failures = prop::collection::vec((0u64..250, 0u32..2), 0..4);
    (jobs, cancels, failures, 1u32..3, 0.5..3.0f64, 0.0..0.2f64, any::<bool>()).prop_map(
        |(jobs, cancels, failures, lanes, device, margin, eager)| {
            let mut case = SimCase::parse(MODEL).expect("the case reads");
            case.config.lanes = lanes;
            case.config.max_jobs = 12;
            case.config.margin = margin;
            case.factor = device;
            case.eager = eager;
            let submit = |(id, (at, job)): (usize, (u64, Job))| {
                (Time::from_millis(at), ExternalEvent::Submit(Job { id: JobId(id as u64), ..job }))
            };
            case.events = jobs.into_iter().enumerate().map(submit).collect();
            case.events
                .extend(cancels.iter().map(|&(at, id)| (Time::from_millis(at), ExternalEvent::Cancel(JobId(id)))));
            case.events
                .extend(failures.iter().map(|&(at, lane)| (Time::from_millis(at), ExternalEvent::Fail(LaneId(lane)))));
            case.events.sort_by_key(|(at, _)| *at);
            case
        },
    )
}

/// A policy with no good intentions: sensible, silent, dead, and wrong in every way, by a stream of bytes.
fn whim(whims: &[u8]) -> impl FnMut(&Snapshot) -> PolicyReply {
    let mut whims = whims.iter().copied().cycle();
    let mut next = move || whims.next().unwrap_or(0);
    move |snapshot| {
        let mut decision = Decision::default();
        match next() % 8 {
            0 => return PolicyReply::never(),
            1 => return PolicyReply::at_once(Err(PolicyError::Trapped("whim".into()))),
            2 => return PolicyReply::at_once(Ok(decision)),
            3 => decision.order = snapshot.jobs.iter().rev().map(|row| row.id).collect(),
            _ => {}
        }
        for row in &snapshot.jobs {
            match next() % 8 {
                0 => decision.assignments.push((row.id, u32::from(next()))),
                1 => {}
                _ => decision.assignments.push((row.id, row.current.saturating_sub(u32::from(next() % 3)))),
            }
        }
        PolicyReply::at_once(Ok(decision))
    }
}

/// Checks a trace; returns what was broken.
fn what_is_broken(case: &SimCase, trace: &[(Time, Action)]) -> Option<String> {
    let submitted = case.jobs().count();
    let (mut accepted, mut ended) = (BTreeSet::new(), BTreeSet::new());
    let mut served: BTreeMap<JobId, BTreeSet<u32>> = BTreeMap::new();
    let mut asked: BTreeSet<u64> = BTreeSet::new();
    for (now, action) in trace {
        match action {
            Action::Accept(accept) if !accepted.insert(accept.job) => return Some(format!("{} twice", accept.job)),
            Action::Refuse(job, _) if !ended.insert(*job) => return Some(format!("{job} answered twice")),
            Action::Run(batch) => {
                let seen = served.entry(batch.job).or_default();
                seen.extend(batch.first..batch.first + batch.requests);
                if batch.requests == 0 || batch.requests > batch.batch_size {
                    return Some(format!("{batch:?} has the wrong size"));
                }
            }
            Action::Finish(outcome) => {
                if !ended.insert(outcome.job) || !accepted.contains(&outcome.job) {
                    return Some(format!("{} answered twice, or never accepted", outcome.job));
                }
                let total: u32 = outcome.mix.iter().map(|&(_, requests)| requests).sum();
                let all = served.get(&outcome.job).map_or(0, BTreeSet::len);
                if outcome.end == End::Served && (total as usize != all || !outcome.floor_kept()) {
                    return Some(format!("{outcome:?} served {all} requests, or below its floor"));
                }
                if outcome.finish != *now {
                    return Some(format!("{outcome:?} did not finish at {now}"));
                }
            }
            Action::Decide(snapshot) if !asked.insert(snapshot.decision.0) => return Some("a plan id twice".into()),
            _ => {}
        }
    }
    (ended.len() != submitted).then(|| format!("{} of {submitted} jobs were answered", ended.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_no_floor_is_broken_and_the_same_case_is_the_same(
        case in case(), whims in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let trace = case.trace(whim(&whims)).expect("the case ends");
        prop_assert_eq!(what_is_broken(&case, &trace), None);
        prop_assert_eq!(Ok(trace), case.trace(whim(&whims)));
    }

    /// With exact estimates, a margin of nothing and no failures, what was promised at admission is kept by
    /// the fallback alone: the policy never answers, for no time at all.
    #[test]
    fn a_promise_is_kept_without_any_policy(case in case()) {
        let mut case = SimCase { factor: 1.0, ..case };
        case.config.margin = 0.0;
        case.config.policy_budget = Duration::ZERO;
        case.events.retain(|(_, event)| !matches!(event, ExternalEvent::Fail(_)));
        let trace = case.trace(|_| PolicyReply::at_once(Err(PolicyError::Unavailable("none".into())))).expect("the case ends");
        prop_assert_eq!(what_is_broken(&case, &trace), None);
        for (_, action) in &trace {
            if let Action::Finish(outcome) = action {
                prop_assert!(outcome.end != End::Dropped && outcome.finish <= outcome.deadline, "{:?}", outcome);
            }
        }
    }
}
