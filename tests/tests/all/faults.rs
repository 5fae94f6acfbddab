//! What a hostile policy does to jobs: an overloaded lane, run through the core in virtual time, asks a policy that
//! misbehaves. It is cut off within its budget, the fallback acts in the same step, the reason is one that an operator
//! understands, and no job is worse off than with no policy at all.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use mosel_core::{Action, Catalog, Decision, DecisionError, End, JobId, Outcome, PolicyError, Snapshot, Time};
use mosel_sandbox::{Budget, Engine, Limits, LoadedPolicy, Metering, RunningPolicy};
use mosel_sim::{PolicyReply, SimCase};

const MEMORY: u64 = 16 << 20;
const FUEL: u64 = 20_000_000;
/// Longer than any budget here lasts, shorter than a hang: fuel binds before time does.
const SOON: Duration = Duration::from_secs(20);

/// Work for half a second on the most accurate strategies, and deadlines that leave less.
const OVERLOAD: &str = "
    modalities video audio
    measure audio 1 4ms 137/200
    measure video+audio 1 10ms 157/200
    budget 10000ms
    at 0ms  submit 1 requests 4 deadline 60ms min_accuracy 0.6
    at 1ms  submit 2 requests 10 deadline 500ms min_accuracy 0.71
    at 2ms  submit 3 requests 4 deadline 150ms min_accuracy 0.685
    at 3ms  submit 4 requests 8 deadline 200ms min_accuracy 0.75
    at 40ms submit 5 requests 6 deadline 230ms min_accuracy 0.685 priority 3
    at 41ms submit 6 requests 1 deadline 235ms min_accuracy 0.785
    at 90ms submit 7 requests 12 deadline 350ms min_accuracy 0.7 drop
    at 95ms submit 8 requests 9 deadline 370ms
";

/// One way to misbehave in a decision, and what the operator is told.
struct Fault {
    behaviour: &'static str,
    amount: u64,
    kind: &'static str,
    words: &'static str,
}

const fn fault(behaviour: &'static str, amount: u64, kind: &'static str, words: &'static str) -> Fault {
    Fault { behaviour, amount, kind, words }
}

const FAULTS: [Fault; 28] = [
    fault("loop-in-decide", 0, "out_of_fuel", "the policy used up its 20000000 units of fuel"),
    fault("work", FUEL, "out_of_fuel", "the policy used up its 20000000 units of fuel"),
    fault("take-memory", 2 * MEMORY, "out_of_memory", "the policy asked for more than its 16777216 bytes of memory"),
    fault("recurse", 10_000_000, "trapped", "the policy trapped: wasm trap: call stack exhausted"),
    fault("panic", 0, "trapped", "I panic"),
    fault("flood-and-panic", 0, "trapped", "heard all the same"),
    fault("unreachable", 0, "trapped", "the policy trapped: wasm trap: wasm `unreachable` instruction executed"),
    fault("read-out-of-bounds", 0, "trapped", "the policy trapped: wasm trap: out of bounds memory access"),
    fault("choose", 0, "below_floor", "the policy chose a strategy at 0.685"),
    fault("choose", 99, "no_such_strategy", "strategies, the policy chose 99"),
    fault("unknown-job", 0, "unknown_job", "job 18446744073709551615 is not in the snapshot"),
    fault("duplicate-job", 0, "duplicate_job", "is named twice"),
    fault("incomplete-order", 0, "order_incomplete", "an order names all"),
    fault("reverse-order", 0, "makes_late", "is on time now and would be"),
    fault("many-assignments", 100, "malformed", "it has 100 assignments for"),
    fault("long-order", 100, "malformed", "it has 100 places in the order for"),
    fault("long-order", 500_000, "malformed", "too much data"),
    fault("order-out-of-bounds", 0, "malformed", "the policy's answer is malformed: "),
    fault("broken-text", 0, "malformed", "the policy's answer is malformed: "),
    fault("long-text", 2 << 20, "malformed", "the policy's answer is malformed: "),
    fault("nan-objective", 0, "not_finite", "objective and bound must be finite numbers"),
    fault("nan-bound", 0, "not_finite", "objective and bound must be finite numbers"),
    fault("infinite-bound", 0, "not_finite", "objective and bound must be finite numbers"),
    fault("bound-below-objective", 0, "bound_below_objective", "the bound 1 is below the objective 2"),
    fault("give-up", 0, "declined", "the policy declined: gave up: out of ideas"),
    fault("bad-config", 0, "declined", "the policy declined: bad settings: too late"),
    fault("unsupported", 0, "declined", "the policy declined: unsupported: no such thing"),
    fault("internal", 0, "declined", "the policy declined: internal error: all is lost"),
];

fn limits() -> Limits {
    let budget = Budget { fuel: FUEL, time: Duration::from_secs(10) };
    let limits = Limits { memory_bytes: MEMORY as usize, decide: budget, load: budget, ..Limits::default() };
    Limits { housekeeping: budget, ..limits }
}

fn load(limits: Limits) -> LoadedPolicy {
    let engine = Engine::new(limits).expect("this machine runs an engine");
    let bytes = crate::guests::HOSTILE;
    engine.load("hostile", bytes).expect("it behaves until it is configured")
}

fn hostile() -> &'static LoadedPolicy {
    static HOSTILE: OnceLock<LoadedPolicy> = OnceLock::new();
    HOSTILE.get_or_init(|| load(limits()))
}

fn overload() -> SimCase {
    SimCase::parse(OVERLOAD).expect("the case reads")
}

/// A policy that misbehaves on every lane, started for the case's model.
fn start(behaviour: &str, amount: u64) -> RunningPolicy {
    start_loaded(hostile().clone(), behaviour, amount)
}

fn start_loaded(loaded: LoadedPolicy, behaviour: &str, amount: u64) -> RunningPolicy {
    let catalog = overload().scheduler().catalog().clone();
    let settings = format!(r#"{{"behaviour": "{behaviour}", "amount": {amount}, "spare_lane_0": false}}"#);
    RunningPolicy::start(loaded, &settings, &catalog, 0).expect("it behaves until it is asked")
}

/// What happens when this policy is asked; every answer comes within its budget.
fn trace_with(policy: &mut RunningPolicy) -> Vec<(Time, Action)> {
    trace(|snapshot| {
        let decided = policy.decide(snapshot);
        assert!(decided.wall < SOON, "it took {:?}", decided.wall);
        assert!(decided.fuel_used.is_some_and(|fuel| fuel <= FUEL), "{:?} used", decided.fuel_used);
        decided.answer
    })
}

fn trace(mut policy: impl FnMut(&Snapshot) -> Result<Decision, PolicyError>) -> Vec<(Time, Action)> {
    overload().trace(|snapshot| PolicyReply::at_once(policy(snapshot))).expect("the case ends")
}

fn without_a_policy() -> Vec<(Time, Action)> {
    trace(|_| Err(PolicyError::Unavailable("there is none".into())))
}

fn outcomes(trace: &[(Time, Action)]) -> BTreeMap<JobId, Outcome> {
    let outcome = |(_, action): &(Time, Action)| match action {
        Action::Finish(outcome) => Some((outcome.job, outcome.clone())),
        _ => None,
    };
    trace.iter().filter_map(outcome).collect()
}

fn refusals(trace: &[(Time, Action)]) -> Vec<&DecisionError> {
    let mut refusals = Vec::new();
    for (_, action) in trace {
        if let Action::RefuseDecision(_, error) = action {
            refusals.push(error);
        }
    }
    refusals
}

/// All that were submitted were accepted and served to their end, none below its floor.
fn check_served(trace: &[(Time, Action)], label: &str) {
    let submitted = overload().jobs().count();
    let accepted = trace.iter().filter(|(_, action)| matches!(action, Action::Accept(_))).count();
    assert_eq!(accepted, submitted, "{label}: the lane refuses jobs");
    let outcomes = outcomes(trace);
    assert_eq!(outcomes.len(), submitted, "{label}: a job is lost");
    for outcome in outcomes.values() {
        assert_eq!(outcome.end, End::Served, "{label}: job {}", outcome.job);
        assert!(outcome.floor_kept(), "{label}: job {} is at {:?}", outcome.job, outcome.accuracy);
    }
}

/// No job is late that would be on time without a policy.
fn check_unharmed(trace: &[(Time, Action)], label: &str) {
    let on_time = |outcome: &Outcome| outcome.finish <= outcome.deadline;
    let without = outcomes(&without_a_policy());
    for (job, outcome) in outcomes(trace) {
        assert!(on_time(&outcome) || !on_time(&without[&job]), "{label}: job {job} is late");
    }
}

/// After each refusal the fallback acts at once, before anything else is done.
fn check_squeezed(trace: &[(Time, Action)], label: &str) {
    for pair in trace.windows(2) {
        let [(asked, Action::RefuseDecision(plan, _)), (acted, action)] = pair else { continue };
        assert!(
            matches!(action, Action::Fallback(mosel_core::LaneId(0), _)) && acted == asked,
            "{label}: {plan:?}: {action:?} at {acted}"
        );
    }
}

#[test]
fn the_lane_is_overloaded_and_the_squeeze_saves_all() {
    let trace = without_a_policy();
    check_served(&trace, "no policy");
    check_squeezed(&trace, "no policy");
    assert!(refusals(&trace).len() >= 3, "only {} questions", refusals(&trace).len());
    assert!(outcomes(&trace).values().all(Outcome::good));
    let idle = overload().trace(|_| PolicyReply::at_once(Ok(Decision::default()))).expect("the case ends");
    assert!(outcomes(&idle).values().any(|outcome| !outcome.good()), "without changes jobs are late");
}

#[test]
fn every_fault_costs_nothing_but_the_policy_s_say() {
    for Fault { behaviour, amount, kind, words } in FAULTS {
        let label = format!("{behaviour} {amount}");
        let trace = trace_with(&mut start(behaviour, amount));
        let refusals = refusals(&trace);
        let first = refusals.first().unwrap_or_else(|| panic!("{label}: nothing was refused"));
        assert_eq!(first.kind(), kind, "{label}: {first}");
        assert!(first.to_string().contains(words), "{label}: {first}");
        check_squeezed(&trace, &label);
        check_served(&trace, &label);
        check_unharmed(&trace, &label);
    }
}

#[test]
fn a_policy_that_runs_out_of_time_costs_nothing_but_its_say() {
    let decide = Budget { fuel: 1, time: Duration::from_millis(5) };
    let loaded = load(Limits { decide, metering: Metering::Time, ..limits() });
    let mut policy = start_loaded(loaded, "loop-in-decide", 0);
    let trace = trace(|snapshot| policy.decide(snapshot).answer);
    let words = "the policy did not answer within its 5ms";
    assert!(!refusals(&trace).is_empty());
    assert!(refusals(&trace).iter().all(|error| error.kind() == "timed_out" && error.to_string() == words));
    check_squeezed(&trace, "out of time");
    assert_eq!(outcomes(&trace), outcomes(&without_a_policy()));
}

#[test]
fn a_policy_that_traps_now_and_then_is_asked_again() {
    let mut policy = start("panic-later", 1);
    let trace = trace_with(&mut policy);
    let trapped = refusals(&trace).iter().filter(|error| error.kind() == "trapped").count();
    let adopted = trace.iter().filter(|(_, action)| matches!(action, Action::Adopt(..))).count();
    assert!(trapped >= 1 && adopted >= trapped, "{trapped} traps, {adopted} answers");
    assert!(policy.replaced() + 1 >= trapped as u64);
    check_squeezed(&trace, "panic-later");
    check_served(&trace, "panic-later");
}

#[test]
fn a_policy_that_lies_about_its_quality_gains_nothing_by_it() {
    let lying = trace_with(&mut start("claim-optimal", 0));
    let silent = trace_with(&mut start("behave", 0));
    assert_eq!(outcomes(&lying), outcomes(&silent));
    check_served(&lying, "claim-optimal");
}

#[test]
fn a_log_flood_costs_no_answer() {
    let mut policy = start("flood-log", 10_000);
    let mut logged = Vec::new();
    let trace = trace(|snapshot| {
        let decided = policy.decide(snapshot);
        logged.push(decided.log.len());
        decided.answer
    });
    assert!(refusals(&trace).is_empty());
    assert!(logged.len() > 3 && logged.iter().all(|count| *count <= 65), "{logged:?}");
    assert!(logged.iter().sum::<usize>() <= 1000, "{logged:?}");
    check_served(&trace, "flood-log");
}

/// A policy that misbehaves between decisions, told an outcome and asked for its state before every one.
fn asked_in_between(behaviour: &str) -> (Vec<(Time, Action)>, u64) {
    let mut policy = start(behaviour, 2 << 20);
    let [outcome] = &outcomes(&without_a_policy()).into_values().take(1).collect::<Vec<_>>()[..] else {
        panic!("a job ended")
    };
    let saved = start("behave", 0).save().unwrap().unwrap();
    let mut failures = 0;
    let trace = trace(|snapshot| {
        let calls = [policy.observe(std::slice::from_ref(outcome)), policy.save().map(drop), policy.restore(&saved)];
        failures += calls.iter().filter(|call| call.is_err()).count() as u64;
        policy.decide(snapshot).answer
    });
    (trace, failures)
}

#[test]
fn what_fails_between_decisions_costs_no_decision() {
    let (behaving, failures) = asked_in_between("behave");
    assert_eq!(failures, 0);
    let behaviours = [
        "loop-in-observe",
        "panic-in-observe",
        "loop-in-save",
        "panic-in-save",
        "save-much",
        "loop-in-restore",
        "panic-in-restore",
        "refuse-to-restore",
    ];
    for behaviour in behaviours {
        let (trace, failures) = asked_in_between(behaviour);
        assert!(failures > 3, "{behaviour}: {failures} failures");
        assert!(refusals(&trace).is_empty(), "{behaviour}: {:?}", refusals(&trace));
        assert_eq!(outcomes(&trace), outcomes(&behaving), "{behaviour}");
    }
}

#[test]
fn a_policy_whose_catalog_is_unknown_declines() {
    let mut policy = RunningPolicy::start(hostile().clone(), "{}", &Catalog::default(), 0).unwrap();
    let trace = trace_with(&mut policy);
    assert!(!refusals(&trace).is_empty());
    assert!(refusals(&trace).iter().all(|error| error.kind() == "declined"));
    check_squeezed(&trace, "no catalog");
    check_unharmed(&trace, "no catalog");
}
