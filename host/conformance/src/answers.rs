//! Questions about queues: small ones by hand, many random ones, very long ones.

use std::time::Duration;

use mosel_core::{Catalog, Forecast, JobRow, LaneId, Snapshot, Time};
use mosel_sandbox::RunningPolicy;

use crate::check_run::CheckRun;
use crate::judgment::{JudgedReply, Judgment};
use crate::queues::{self, Pressure, Shape};
use crate::report::{Finding, Spread};
use crate::tally::Tally;
use crate::{Check, Outcome};

/// Queues that are drawn for one catalog, and put to one instance.
const QUEUES_A_CATALOG: usize = 12;
const PRESSURES: [Pressure; 4] = [Pressure::Wild, Pressure::Tight, Pressure::Hopeless, Pressure::Slack];
/// Every so many queues the same question is asked again.
const ASKED_AGAIN: usize = 4;
/// A policy that failed to answer this often is not asked further.
const FAILURES: usize = 3;
const LONG: usize = 1000;
/// Questions that one instance is asked.
const ENDURANCE: u64 = 1000;
/// Of a limit: who needs more has no room for a slower machine.
const COMFORT: f64 = 0.5;

pub(crate) fn simple(run: &mut CheckRun) {
    let catalog = queues::catalog(run.options.seed, 1, 4);
    let empty = Snapshot { jobs: Vec::new(), ..queue(&catalog, |_| {}) };
    let finding = ask_all(run, Check::EmptyQueue, &catalog, vec![empty]);
    run.find(finding);
    let table = &catalog.tables[0];
    let (fastest, slowest) = (table.strategies[0].latency, table.strategy(table.most_accurate()).latency);
    let best = table.strategy(table.most_accurate()).accuracy;
    let due = |row: &mut JobRow, work: Duration| row.deadline = row.deadline + work;
    let with = |change: &dyn Fn(&mut JobRow)| queue(&catalog, change);
    let one = vec![
        with(&|row| due(row, slowest * 2)),
        with(&|row| due(row, slowest)),
        with(&|row| due(row, fastest)),
        with(&|row| due(row, fastest / 2)),
        with(&|row| {
            due(row, fastest);
            row.min_accuracy = best;
        }),
        with(&|row| {
            due(row, fastest);
            row.current = 0;
            row.min_accuracy = best;
        }),
        with(&|row| {
            row.given_up = true;
            row.deadline = Time::START;
        }),
    ];
    let finding = ask_all(run, Check::OneJob, &catalog, one);
    run.find(finding);
}

/// One job of the first table on its most accurate strategy, due at once if it is not changed.
fn queue(catalog: &Catalog, change: impl Fn(&mut JobRow)) -> Snapshot {
    let mut snapshot = queues::snapshot(1, catalog, 1, Pressure::Slack);
    snapshot.lane = LaneId(1);
    snapshot.time_factor = 1.0;
    let row = &mut snapshot.jobs[0];
    *row = JobRow { current: catalog.tables[0].most_accurate(), min_accuracy: 0.0, deadline: snapshot.start, ..*row };
    change(row);
    snapshot
}

/// Puts these to a fresh instance.
fn ask_all(run: &mut CheckRun, check: Check, catalog: &Catalog, snapshots: Vec<Snapshot>) -> Finding {
    let mut tally = Tally::new(check);
    let what = if snapshots.len() == 1 { "question" } else { "questions" };
    match run.start(catalog) {
        Err(error) => tally.count(Outcome::Fail, || error.to_string()),
        Ok(mut policy) => {
            for mut snapshot in snapshots {
                let (outcome, words) = run.ask(&mut policy, catalog, &mut snapshot).judgment.verdict();
                tally.count(outcome, || words);
            }
        }
    }
    tally.finding(what, "answered legally")
}

/// Two instances that are asked the same.
struct InstancePair {
    first: RunningPolicy,
    second: RunningPolicy,
}

/// One of many queues.
struct DrawnQueue<'a> {
    /// For whoever wants to draw it again.
    name: String,
    catalog: &'a Catalog,
    snapshot: Snapshot,
    /// It is put a second time.
    again: bool,
}

/// What many queues show.
struct QueueResults {
    answers: Tally,
    legal: Tally,
    promises: Tally,
    repeatable: Tally,
    micros: Vec<f64>,
    fuel: Vec<f64>,
    savable: usize,
    left: usize,
    /// The value of answers that left nobody, and of the fallback on the same queues.
    values: (f64, f64),
}

pub(crate) fn random(run: &mut CheckRun) {
    let mut results = QueueResults::new();
    let catalogs = run.options.queues.div_ceil(QUEUES_A_CATALOG);
    for number in 0..catalogs {
        if run.out_of_time() || results.answers.wrong() >= FAILURES {
            break;
        }
        results.ask_about(run, run.options.seed.wrapping_add(1000 * number as u64), number);
    }
    results.report(run);
}

impl QueueResults {
    fn new() -> QueueResults {
        QueueResults {
            answers: Tally::new(Check::Answers),
            legal: Tally::new(Check::Legal),
            promises: Tally::new(Check::Promises),
            repeatable: Tally::new(Check::Repeatable),
            micros: Vec::new(),
            fuel: Vec::new(),
            savable: 0,
            left: 0,
            values: (0.0, 0.0),
        }
    }

    /// A fresh instance, a catalog, and queues that refer to it.
    fn ask_about(&mut self, run: &mut CheckRun, seed: u64, number: usize) {
        let catalog = match number % 2 {
            0 => queues::solved_catalog(seed),
            _ => queues::catalog(seed, 1 + number % 7, 1 + (number * 5) % 24),
        };
        let pair = run.start(&catalog).and_then(|first| Ok(InstancePair { first, second: run.start(&catalog)? }));
        let mut pair = match pair {
            Ok(pair) => pair,
            Err(error) => return self.answers.count(Outcome::Fail, || format!("catalog {seed}: {error}")),
        };
        for round in 0..QUEUES_A_CATALOG {
            if run.out_of_time() || self.answers.wrong() >= FAILURES {
                return;
            }
            let pressure = PRESSURES[round % PRESSURES.len()];
            let jobs = [2, 3, 5, 8, 13, 21, 34, 60, 100][(round + number) % 9];
            let mut snapshot = queues::snapshot(seed + round as u64, &catalog, jobs, pressure);
            let asked = run.ask(&mut pair.first, &catalog, &mut snapshot);
            let name = format!("queue {} of catalog {seed}, {jobs} jobs", seed + round as u64);
            let queue = DrawnQueue { name, catalog: &catalog, snapshot, again: round % ASKED_AGAIN == 0 };
            self.judge(&asked, &queue.name);
            self.compare_with_fallback(&asked.judgment, &queue);
            self.compare_pair(run, &mut pair, &asked, &queue);
        }
    }

    fn judge(&mut self, asked: &JudgedReply, name: &str) {
        self.micros.push(asked.reply.wall.as_secs_f64() * 1e6);
        self.fuel.extend(asked.reply.fuel_used.map(|fuel| fuel as f64));
        let (outcome, words) = asked.judgment.verdict();
        let words = || format!("{name}: {words}");
        match asked.judgment {
            Judgment::NoAnswer(_) => return self.answers.count(outcome, words),
            Judgment::Illegal(_) => self.legal.count(outcome, words),
            Judgment::Harmful(_) => self.promises.count(outcome, words),
            Judgment::Good(..) => self.promises.pass(),
        }
        self.answers.pass();
        if !matches!(asked.judgment, Judgment::Illegal(_)) {
            self.legal.pass();
        }
    }

    /// How good the answer is, beside the fallback's.
    fn compare_with_fallback(&mut self, judgment: &Judgment, queue: &DrawnQueue) {
        let Judgment::Good(_, forecast) = judgment else { return };
        let DrawnQueue { catalog, snapshot, .. } = queue;
        let (before, fallback) = (Forecast::as_it_is(snapshot, catalog), Forecast::with_fallback(snapshot, catalog));
        let late = |forecast: &Forecast| forecast.violators().count();
        // the fallback saves whoever can be saved without changing the order
        let least = late(&fallback);
        self.savable += late(&before) - least;
        let left = late(forecast).saturating_sub(least);
        self.left += left;
        if left == 0 && forecast.jobs.iter().all(|job| job.weight < 1e3) {
            self.values.0 += forecast.value(catalog);
            self.values.1 += fallback.value(catalog);
        }
    }

    /// The same to the other instance, and now and then to both again.
    fn compare_pair(&mut self, run: &mut CheckRun, pair: &mut InstancePair, asked: &JudgedReply, queue: &DrawnQueue) {
        let first = &asked.reply;
        if first.answer.is_err() {
            return;
        }
        let DrawnQueue { name, catalog, snapshot, again } = queue;
        let second = run.ask_again(&mut pair.second, catalog, snapshot).reply;
        if first.answer != second.answer {
            self.repeatable.count(Outcome::Warn, || format!("{name}: two instances that were asked the same differ"));
        } else if first.fuel_used != second.fuel_used {
            let words =
                || format!("{name}: the same answer took {:?}, then {:?} fuel", first.fuel_used, second.fuel_used);
            self.repeatable.count(Outcome::Warn, words);
        } else {
            self.repeatable.pass();
        }
        if *again && !run.loaded.description().stateful {
            let repeated = run.ask_again(&mut pair.first, catalog, snapshot).reply;
            run.ask_again(&mut pair.second, catalog, snapshot);
            let outcome = if repeated.answer == first.answer { Outcome::Pass } else { Outcome::Warn };
            let words = || format!("{name}: asked again it differs, though it does not say that it keeps a state");
            self.repeatable.count(outcome, words);
        }
    }

    fn report(self, run: &mut CheckRun) {
        let stopped = self.answers.wrong() >= FAILURES;
        let mut answers = self.answers.finding("questions", "every one answered");
        if stopped {
            answers.words += "; after that it was not asked further";
        } else if run.out_of_time() {
            answers.outcome = answers.outcome.max(Outcome::Warn);
            answers.words += &format!("; that is all there was time for in {:?}", run.options.time);
        }
        run.find(answers);
        run.find(self.legal.finding("answers", "every one legal"));
        run.find(self.promises.finding("legal answers", "none makes a job late"));
        run.find(self.repeatable.finding("repetitions", "all the same"));
        let figures = &mut run.figures;
        (figures.decide_us, figures.decide_fuel) = (Spread::of(self.micros), Spread::of(self.fuel));
        (figures.savable, figures.left) = (self.savable, self.left);
        figures.value_to_fallback = if self.values.1 > 0.0 { self.values.0 / self.values.1 } else { 0.0 };
        let words = format!(
            "{} of {} jobs that could be saved are late under its answers (the fallback saves all); where it \
             saves all it keeps {:.3} of the value that the fallback keeps",
            figures.left, figures.savable, figures.value_to_fallback
        );
        run.say(Check::Saves, Outcome::Pass, words);
    }
}

pub(crate) fn long(run: &mut CheckRun) {
    let mut tally = Tally::new(Check::LongQueues);
    let (mut micros, mut fuel) = (Vec::new(), Vec::new());
    for pressure in PRESSURES {
        if run.out_of_time() {
            tally.count(Outcome::Warn, || "there was no time for the rest".into());
            break;
        }
        let (catalog, mut snapshot) =
            queues::random(run.options.seed, Shape { jobs: LONG, tables: 12, strategies: 12, pressure });
        let mut policy = match run.start(&catalog) {
            Ok(policy) => policy,
            Err(error) => {
                tally.count(Outcome::Fail, || error.to_string());
                break;
            }
        };
        let asked = run.ask(&mut policy, &catalog, &mut snapshot);
        micros.push(asked.reply.wall.as_secs_f64() * 1e6);
        fuel.extend(asked.reply.fuel_used.map(|fuel| fuel as f64));
        let (outcome, words) = asked.judgment.verdict();
        tally.count(outcome, || format!("{pressure:?}: {words}"));
    }
    (run.figures.long_us, run.figures.long_fuel) = (Spread::of(micros), Spread::of(fuel));
    run.find(tally.finding("queues of 1,000 jobs", "answered legally"));
}

pub(crate) fn endurance(run: &mut CheckRun) {
    let mut tally = Tally::new(Check::Endurance);
    let catalog = queues::catalog(run.options.seed, 4, 6);
    match run.start(&catalog) {
        Err(error) => tally.count(Outcome::Fail, || error.to_string()),
        Ok(mut policy) => {
            for round in 0..ENDURANCE {
                if run.out_of_time() || tally.wrong() >= FAILURES {
                    break;
                }
                let mut snapshot = queues::snapshot(round, &catalog, 6, Pressure::Tight);
                let (outcome, words) = run.ask(&mut policy, &catalog, &mut snapshot).judgment.verdict();
                tally.count(outcome, || format!("question {round}: {words}"));
            }
        }
    }
    run.find(tally.finding("questions to one instance", "answered legally"));
}

pub(crate) fn budget(run: &mut CheckRun) {
    let figures = &run.figures;
    let (time, most_fuel) = figures.limits;
    let share = |most: f64, limit: f64| if limit > 0.0 { most / limit } else { 0.0 };
    let of_fuel = share(figures.decide_fuel.max.max(figures.long_fuel.max), most_fuel as f64);
    let of_time = share(figures.decide_us.p99.max(figures.long_us.p50), time.as_secs_f64() * 1e6);
    let outcome = if of_fuel.max(of_time) > COMFORT { Outcome::Warn } else { Outcome::Pass };
    let words = format!(
        "at most {:.1} % of its fuel and {:.1} % of its time; a decision on up to 100 jobs takes {:.0} us (p99 {:.0}), on \
         1,000 jobs {:.0} us",
        100.0 * of_fuel,
        100.0 * of_time,
        figures.decide_us.p50,
        figures.decide_us.p99,
        figures.long_us.p50,
    );
    run.say(Check::Budget, outcome, words);
}
