//! The scheduler under faults of every kind: random cases, each run twice, and the cases that broke an invariant once.
//!
//! `MOSEL_CASES` says how many cases (10,000), `MOSEL_FIRST_CASE` with which seed they begin (0).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};

use mosel_sim::{Log, SimCase, shrink};

/// All that has to happen on enough cases: a fault that never comes tests nothing.
const MUST_HAPPEN: [(&str, &[&str]); 10] = [
    (
        "fault",
        &[
            "job",
            "burst",
            "cancel",
            "cancel storm",
            "failed batch",
            "failing device",
            "slower device",
            "lost device",
            "clock jump",
            "policy change",
            "wrong profile",
            "times that vary",
            "eager policy",
            "no time for policies",
            "nobody may be late",
            "many lanes",
            "late jobs' share",
            "tenants' shares",
            "hung batch",
            "requests without an answer",
        ],
    ),
    ("mode", &["sensible", "unmoved", "silent", "slow", "traps", "lies", "garbage"]),
    (
        "event",
        &[
            "submit",
            "cancel",
            "planned",
            "batch done",
            "batch failed",
            "policy changed",
            "pause",
            "lane restored",
            "wake up",
        ],
    ),
    (
        "action",
        &[
            "accept",
            "refuse",
            "run",
            "plan",
            "adopt",
            "refuse plan",
            "fallback",
            "give up",
            "finish",
            "wake at",
            "keep floor",
            "suspect",
            "trust",
            "lose lane",
            "move",
        ],
    ),
    ("question", &["violation", "arrival", "completion"]),
    ("adoption", &["of new strategies"]),
    (
        "refusal",
        &[
            "unknown model",
            "too many requests",
            "invalid",
            "duplicate",
            "floor",
            "deadline",
            "deadline, ever",
            "queue full",
            "over share of places",
            "over share of device time",
            "device suspect",
        ],
    ),
    (
        "plan refused",
        &[
            "declined",
            "timed_out",
            "out_of_fuel",
            "out_of_memory",
            "trapped",
            "malformed",
            "unavailable",
            "late",
            "unknown_job",
            "duplicate_job",
            "no_such_strategy",
            "below_floor",
            "order_incomplete",
            "not_finite",
            "bound_below_objective",
            "makes_late",
        ],
    ),
    ("end", &["served", "partial", "served late", "dropped", "cancelled", "failed"]),
    ("case", &["ran"]),
];
/// With fewer cases than that some of it may be missing.
const ENOUGH_CASES: u64 = 2000;
/// So many cases that broke an invariant are enough to find a small one.
const ENOUGH_BROKEN: usize = 4;

#[test]
fn all_invariants_hold_in_every_case() {
    let (first, cases) = (number("MOSEL_FIRST_CASE", 0), number("MOSEL_CASES", 10_000));
    let Results { log, broken } = run_all(first, cases);
    assert!(broken.is_empty(), "{}", explain(&broken));
    print(&log.counts);
    let missing = missing(&log);
    assert!(cases < ENOUGH_CASES || missing.is_empty(), "this never happened: {missing:?}");
}

#[test]
fn all_invariants_hold_in_cases_that_broke_one_once() {
    let ran = mosel_testkit::cases::check("regressions");
    assert!(ran >= 6, "there are {ran} cases");
}

#[test]
fn a_case_reads_back_from_its_text() {
    for seed in 0..500 {
        let text = SimCase::draw(seed).to_text();
        let read = SimCase::parse(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        assert_eq!(read.to_text(), text, "seed {seed}");
        assert_eq!(read.check_deterministic(), SimCase::draw(seed).check_deterministic(), "seed {seed}");
    }
}

#[test]
fn a_case_whose_answers_are_written_out_is_the_same() {
    for seed in 0..200 {
        let case = SimCase::draw(seed);
        let ran = |case: &SimCase| case.run_unchecked().map(|log| log.text);
        assert_eq!(ran(&case.written_out()), ran(&case), "seed {seed}");
    }
}

/// What became of many cases.
#[derive(Default)]
struct Results {
    /// The counts of those that broke no invariant.
    log: Log,
    /// The seeds of those that did; there may be more.
    broken: Vec<u64>,
}

/// Runs cases on every core, until all are done or enough are broken.
fn run_all(first: u64, cases: u64) -> Results {
    let next = AtomicU64::new(first);
    let all = Mutex::new(Results::default());
    let run_some = || {
        let mut counts = Log::default();
        while let seed = next.fetch_add(1, Ordering::Relaxed)
            && seed < first + cases
        {
            match SimCase::draw(seed).check_deterministic() {
                Ok(log) => counts.add_counts(&log),
                Err(_) => {
                    let mut all = all.lock().expect("no thread panics");
                    all.broken.push(seed);
                    if all.broken.len() >= ENOUGH_BROKEN {
                        next.fetch_add(cases, Ordering::Relaxed);
                    }
                }
            }
        }
        all.lock().expect("no thread panics").log.add_counts(&counts);
    };
    scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, Into::into) {
            scope.spawn(run_some);
        }
    });
    all.into_inner().expect("no thread panics")
}

/// Shrinks these cases, shows the smallest, and says what to do with it.
fn explain(seeds: &[u64]) -> String {
    let small = seeds.iter().filter_map(|&seed| {
        let case = SimCase::draw(seed);
        let invariant = case.check_deterministic().err()?.invariant;
        Some((
            seed,
            shrink(&case, |case| case.check_deterministic().is_err_and(|broken| broken.invariant == invariant)),
        ))
    });
    let Some((seed, case)) = small.min_by_key(|(_, case)| case.to_text().len()) else {
        return format!("cases {seeds:?} break invariants, but not always");
    };
    let broken = case.check_deterministic().expect_err("a shrunk case breaks the same invariant");
    format!(
        "cases {seeds:?} break invariants. The case of seed {seed}, shrunk, {broken}\n\n{}\n\
         Keep it as tests/cases/regressions/NAME.txt, named after what went wrong; UPDATE_EXPECT=1 adds its log:\n\n{}",
        broken.log.text,
        case.to_text()
    )
}

fn missing(log: &Log) -> Vec<(&'static str, &'static str)> {
    let all = MUST_HAPPEN.into_iter().flat_map(|(kind, names)| names.iter().map(move |&name| (kind, name)));
    all.filter(|item| log.counts.get(item).is_none_or(|&times| times == 0)).collect()
}

fn print(counts: &BTreeMap<(&'static str, &'static str), u64>) {
    for (kind, _) in MUST_HAPPEN {
        let of_kind = counts.iter().filter(|((other, _), _)| *other == kind);
        let words: Vec<String> = of_kind.map(|((_, name), times)| format!("{name} {times}")).collect();
        println!("{kind:>13}: {}", words.join(" · "));
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, no number")))
}
