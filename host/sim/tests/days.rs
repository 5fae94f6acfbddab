//! The scheduler under a menu of faults: random days, each lived twice, and the days that broke a law once.
//!
//! `MOSEL_DAYS` says how many days (10,000), `MOSEL_FIRST_DAY` with which seed they begin (0).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};

use mosel_sim::{Day, Log, shrink};

/// All that has to happen on enough days: a fault that never comes tests nothing.
const MENU: [(&str, &[&str]); 10] = [
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
        ],
    ),
    ("mood", &["sensible", "unmoved", "silent", "slow", "traps", "lies", "garbage"]),
    ("event", &["submit", "cancel", "planned", "batch done", "batch failed", "policy changed", "wake up"]),
    ("action", &["accept", "refuse", "run", "plan", "adopt", "refuse plan", "squeeze", "give up", "finish", "wake at"]),
    ("question", &["violation", "arrival", "completion"]),
    ("adoption", &["of new strategies"]),
    (
        "refusal",
        &[
            "unknown model",
            "too many requests",
            "nonsense",
            "duplicate",
            "floor",
            "deadline",
            "deadline, ever",
            "queue full",
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
    ("end", &["served", "served late", "dropped", "cancelled", "failed"]),
    ("day", &["lived"]),
];
/// With fewer days than that some of the menu may be missing.
const ENOUGH_DAYS: u64 = 2000;
/// So many days that broke a law are enough to find a small one.
const ENOUGH_BROKEN: usize = 4;

#[test]
fn all_laws_hold_on_every_day() {
    let (first, days) = (number("MOSEL_FIRST_DAY", 0), number("MOSEL_DAYS", 10_000));
    let Lived { log, broken } = live_all(first, days);
    assert!(broken.is_empty(), "{}", explain(&broken));
    print(&log.counts);
    let missing = missing(&log);
    assert!(days < ENOUGH_DAYS || missing.is_empty(), "this never happened: {missing:?}");
}

#[test]
fn all_laws_hold_on_days_that_broke_one_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios/regressions");
    let files = std::fs::read_dir(&folder).expect("the folder of regressions is there");
    let mut lived = 0;
    for file in files {
        let path = file.expect("the folder can be read").path();
        let text = std::fs::read_to_string(&path).expect("a regression is text");
        let day = Day::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Err(broken) = day.live_twice() {
            panic!("{}: {broken}\n{}", path.display(), broken.log.text);
        }
        lived += 1;
    }
    assert!(lived >= 2, "{} has {lived} days", folder.display());
}

#[test]
fn a_day_reads_back_from_its_text() {
    for seed in 0..500 {
        let text = Day::draw(seed).to_text();
        let read = Day::parse(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        assert_eq!(read.to_text(), text, "seed {seed}");
        assert_eq!(read.live_twice(), Day::draw(seed).live_twice(), "seed {seed}");
    }
}

#[test]
fn a_day_whose_answers_are_written_out_is_the_same() {
    for seed in 0..200 {
        let day = Day::draw(seed);
        let lived = |day: &Day| day.relive().map(|log| log.text);
        assert_eq!(lived(&day.written_out()), lived(&day), "seed {seed}");
    }
}

/// What became of many days.
#[derive(Default)]
struct Lived {
    /// The counts of those that broke no law.
    log: Log,
    /// The seeds of those that did; there may be more.
    broken: Vec<u64>,
}

/// Lives through days on every core, until all are lived or enough are broken.
fn live_all(first: u64, days: u64) -> Lived {
    let next = AtomicU64::new(first);
    let all = Mutex::new(Lived::default());
    let live_some = || {
        let mut counts = Log::default();
        while let seed = next.fetch_add(1, Ordering::Relaxed)
            && seed < first + days
        {
            match Day::draw(seed).live_twice() {
                Ok(log) => counts.add_counts(&log),
                Err(_) => {
                    let mut all = all.lock().expect("no thread panics");
                    all.broken.push(seed);
                    if all.broken.len() >= ENOUGH_BROKEN {
                        next.fetch_add(days, Ordering::Relaxed);
                    }
                }
            }
        }
        all.lock().expect("no thread panics").log.add_counts(&counts);
    };
    scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, Into::into) {
            scope.spawn(live_some);
        }
    });
    all.into_inner().expect("no thread panics")
}

/// Shrinks these days, shows the smallest, and says what to do with it.
fn explain(seeds: &[u64]) -> String {
    let small = seeds.iter().filter_map(|&seed| {
        let day = Day::draw(seed);
        let law = day.live_twice().err()?.law;
        Some((seed, shrink(&day, |day| day.live_twice().is_err_and(|broken| broken.law == law))))
    });
    let Some((seed, day)) = small.min_by_key(|(_, day)| day.to_text().len()) else {
        return format!("days {seeds:?} break laws, but not always");
    };
    let broken = day.live_twice().expect_err("a shrunk day breaks the same law");
    format!(
        "days {seeds:?} break laws. The day of seed {seed}, shrunk, {broken}\n\n{}\n\
         Keep it as tests/scenarios/regressions/NAME.txt, named after what went wrong:\n\n{}",
        broken.log.text,
        day.to_text()
    )
}

fn missing(log: &Log) -> Vec<(&'static str, &'static str)> {
    let menu = MENU.into_iter().flat_map(|(kind, names)| names.iter().map(move |&name| (kind, name)));
    menu.filter(|item| log.counts.get(item).is_none_or(|&times| times == 0)).collect()
}

fn print(counts: &BTreeMap<(&'static str, &'static str), u64>) {
    for (kind, _) in MENU {
        let of_kind = counts.iter().filter(|((other, _), _)| *other == kind);
        let words: Vec<String> = of_kind.map(|((_, name), times)| format!("{name} {times}")).collect();
        println!("{kind:>13}: {}", words.join(" · "));
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, no number")))
}
