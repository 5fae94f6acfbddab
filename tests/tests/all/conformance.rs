//! The conformance suite: every shipped policy passes it, and every way to misbehave is found out, by the right check.

use std::time::Duration;

use mosel_conformance::{Check, Options, Outcome, Report, Verdict};
use mosel_sandbox::{Budget, Limits, Metering};

use crate::guests;

const FUEL: u64 = 50_000_000;

/// Fuel binds before time does, so that results do not depend on the machine.
fn options() -> Options {
    let budget = Budget { fuel: FUEL, time: Duration::from_secs(10) };
    let limits =
        Limits { memory_bytes: 16 << 20, decide: budget, load: budget, housekeeping: budget, ..Limits::default() };
    Options { queues: 24, limits, time: Duration::from_secs(120), ..Options::default() }
}

fn check(bytes: &[u8], settings: &str) -> Report {
    mosel_conformance::check(bytes, settings, &options()).expect("this machine runs an engine")
}

fn hostile(behaviour: &str, amount: u64) -> Report {
    check(guests::HOSTILE, &format!(r#"{{"behaviour": "{behaviour}", "amount": {amount}}}"#))
}

/// The policy is found unfit, by this check among others, in words that contain these.
#[track_caller]
fn fails(report: &Report, by: Check, words: &str) {
    let finding = report.finding(by).unwrap_or_else(|| panic!("{by} was not checked: {:#?}", report.findings));
    assert_eq!(finding.outcome, Outcome::Fail, "{finding:?}");
    assert!(finding.words.contains(words), "{finding:?}");
    assert_eq!(report.verdict, Verdict::Unfit);
}

/// The worst that is found is a warning, by this check.
#[track_caller]
fn warns(report: &Report, by: Check, words: &str) {
    let finding = report.finding(by).unwrap_or_else(|| panic!("{by} was not checked: {:#?}", report.findings));
    assert!(finding.outcome == Outcome::Warn && finding.words.contains(words), "{finding:?}");
    assert_eq!(report.verdict, Verdict::FitWithWarnings, "{:#?}", report.findings);
}

#[test]
fn every_shipped_policy_is_fit() {
    let options = Options {
        limits: Limits {
            decide: Budget { time: Duration::from_secs(10), ..Limits::default().decide },
            // what ilp sees of a real clock costs it a few instructions more or less
            metering: Metering::Fuel,
            ..Limits::default()
        },
        time: Duration::from_secs(300),
        ..Options::default()
    };
    for (name, bytes) in mosel_policies::SHIPPED {
        let report = mosel_conformance::check(bytes, "{}", &options).expect("this machine runs an engine");
        assert_eq!(report.verdict, Verdict::Fit, "{name}: {:#?}", report.findings);
        assert_eq!(report.policy.expect("it loads").name, *name);
    }
}

#[test]
fn greedy_saves_whoever_the_squeeze_saves_and_highest_accuracy_nobody() {
    let figures = |name| check(mosel_policies::shipped(name).expect("it is shipped"), "{}").figures;
    let (greedy, idle) = (figures("greedy"), figures("highest-accuracy"));
    assert!(greedy.savable > 50 && greedy.left == 0, "{greedy:?}");
    assert_eq!((idle.savable, idle.left), (greedy.savable, greedy.savable));
    assert!((0.8..=1.01).contains(&greedy.value_to_fallback), "{greedy:?}");
}

#[test]
fn a_policy_that_does_nothing_wrong_is_fit() {
    for (behaviour, amount) in [("behave", 0), ("flood-log", 100), ("long-message", 10_000), ("count", 0)] {
        let report = hostile(behaviour, amount);
        assert_eq!(report.verdict, Verdict::Fit, "{behaviour}: {:#?}", report.findings);
    }
}

#[test]
fn what_does_not_load_is_told_why() {
    fails(&check(b"", "{}"), Check::Loads, "no WebAssembly component");
    fails(&check(b"\0asm\x01\0\0\0", "{}"), Check::Loads, "core WebAssembly module");
    fails(&check(&guests::HOSTILE[..5000], "{}"), Check::Loads, "");
    fails(&check(guests::LOOP_AT_START, "{}"), Check::Loads, "fuel");
    fails(&check(guests::LOOP_IN_DESCRIBE, "{}"), Check::Loads, "fuel");
    fails(&check(guests::TRAP_IN_DESCRIBE, "{}"), Check::Loads, "I do not say who I am");
    fails(&check(guests::BOAST_IN_DESCRIBE, "{}"), Check::Loads, "summary");
}

#[test]
fn what_does_not_start_is_told_why() {
    fails(&hostile("loop-in-configure", 0), Check::Settings, "fuel");
    fails(&hostile("panic-in-configure", 0), Check::Settings, "not in the mood");
    fails(&hostile("take-memory-in-configure", 1 << 30), Check::Settings, "memory");
    fails(&hostile("refuse-settings", 0), Check::Settings, "I want something else");
    fails(&check(guests::HOSTILE, "{"), Check::Settings, "EOF");
}

#[test]
fn whoever_does_not_answer_is_found_out() {
    for (behaviour, amount, words) in [
        ("loop-in-decide", 0, "fuel"),
        ("work", FUEL, "fuel"),
        ("take-memory", 1 << 30, "memory"),
        ("recurse", u64::MAX, "stack"),
        ("panic", 0, "I panic"),
        ("flood-and-panic", 0, "heard all the same"),
        ("unreachable", 0, "unreachable"),
        ("read-out-of-bounds", 0, "out of bounds"),
        ("many-assignments", 10_000, "10000 assignments"),
        ("long-order", 10_000, "10000 places"),
        ("order-out-of-bounds", 0, ""),
        ("broken-text", 0, ""),
        ("long-text", 4 << 20, ""),
    ] {
        let report = hostile(behaviour, amount);
        fails(&report, Check::Answers, words);
        assert!(report.findings.iter().any(|finding| finding.words.contains("not asked further")), "{behaviour}");
    }
    warns(&hostile("give-up", 0), Check::Answers, "out of ideas");
}

#[test]
fn whoever_breaks_down_later_is_found_out() {
    fails(&hostile("panic-later", 8), Check::Answers, "calls are too many");
    fails(&hostile("panic-later", 900), Check::Endurance, "calls are too many");
}

#[test]
fn illegal_answers_are_found_out() {
    for (behaviour, amount, words) in [
        ("choose", 999, "the policy chose 999"),
        ("choose", 0, "must keep"),
        ("unknown-job", 0, "is not in the snapshot"),
        ("incomplete-order", 0, "an order names all"),
        ("nan-objective", 0, "finite"),
        ("nan-bound", 0, "finite"),
        ("infinite-bound", 0, "finite"),
        ("bound-below-objective", 0, "bound"),
    ] {
        fails(&hostile(behaviour, amount), Check::Legal, words);
    }
    fails(&hostile("duplicate-job", 0), Check::Legal, "");
    fails(&hostile("reverse-order", 0), Check::Promises, "is on time now");
}

#[test]
fn false_claims_are_found_out() {
    warns(&hostile("claim-optimal", 0), Check::Claims, "its objective may be another one");
}

#[test]
fn trouble_between_decisions_is_found_out() {
    fails(&hostile("loop-in-update-catalog", 0), Check::CatalogUpdates, "fuel");
    fails(&hostile("loop-in-observe", 0), Check::Feedback, "fuel");
    fails(&hostile("panic-in-observe", 0), Check::Feedback, "I will not look");
    fails(&hostile("loop-in-save", 0), Check::State, "fuel");
    fails(&hostile("panic-in-save", 0), Check::State, "I keep it to myself");
    fails(&hostile("save-much", 2 << 20), Check::State, "");
    fails(&hostile("loop-in-restore", 0), Check::State, "fuel");
    fails(&hostile("panic-in-restore", 0), Check::State, "I want none of this");
    warns(&hostile("refuse-to-restore", 0), Check::State, "refuses the state that it saved itself");
}

#[test]
fn whoever_needs_most_of_its_budget_is_warned() {
    // a round of work is 7 instructions
    warns(&hostile("work", FUEL / 10), Check::Budget, "of its fuel");
}

#[test]
fn the_checks_end_in_time_whatever_the_policy_does() {
    let decide = Budget { fuel: u64::MAX, time: Duration::from_millis(50) };
    let options = Options {
        limits: Limits { decide, ..options().limits },
        time: Duration::from_secs(1),
        queues: 1_000_000,
        ..options()
    };
    let settings = r#"{"behaviour": "work", "amount": 1000000}"#;
    let report = mosel_conformance::check(guests::HOSTILE, settings, &options).expect("this machine runs an engine");
    let answers = report.finding(Check::Answers).expect("it was asked");
    assert!(answers.words.contains("all there was time for"), "{answers:?}");
    assert!(report.figures.questions < 100_000, "{:?}", report.figures);
}

#[test]
fn the_same_seed_finds_the_same() {
    let words = || hostile("choose", 1).findings.into_iter().map(|finding| finding.words).collect::<Vec<_>>();
    let (first, second) = (words(), words());
    // the last is about time
    assert_eq!(first[..first.len() - 1], second[..second.len() - 1]);
}
