//! What happens between decisions: the catalog changes, outcomes come in, state is handed on.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::{Catalog, End, Forecast, JobRow, Outcome as JobOutcome, PolicyError, Snapshot, StrategyTable};
use mosel_sandbox::{RunningPolicy, SavedState};

use crate::check_run::CheckRun;
use crate::judgment::Judgment;
use crate::queues::{self, Pressure};
use crate::tally::Tally;
use crate::{Check, Outcome};

const ROUNDS: u64 = 8;
const JOBS: usize = 12;

/// Starts with a part of a catalog; more tables come, then others in place of them.
pub(crate) fn catalog(run: &mut CheckRun) {
    let mut tally = Tally::new(Check::CatalogUpdates);
    let all = queues::catalog(run.options.seed, 12, 5);
    let part = Catalog { tables: all.tables[..3].to_vec(), ..all.clone() };
    let changed = Catalog { revision: 3, ..shortened(&all) };
    match run.start(&part) {
        Err(error) => tally.count(Outcome::Fail, || error.to_string()),
        Ok(mut policy) => {
            for (step, catalog) in [part, Catalog { revision: 2, ..all }, changed].iter().enumerate() {
                if let Err(error) = policy.update_catalog(catalog) {
                    tally.count(Outcome::Fail, || format!("update {step}: {error}"));
                    break;
                }
                for round in 0..ROUNDS {
                    let mut snapshot = queues::snapshot(round, catalog, JOBS, Pressure::Wild);
                    let (outcome, words) = run.ask(&mut policy, catalog, &mut snapshot).judgment.verdict();
                    tally.count(outcome, || format!("after update {step}: {words}"));
                }
            }
        }
    }
    run.find(tally.finding("questions between changes", "answered legally"));
}

/// The same tables without their most accurate strategies: who remembers the old ones names what is not there.
fn shortened(catalog: &Catalog) -> Catalog {
    let shorten = |table: &Arc<StrategyTable>| {
        let kept = table.strategies.len().div_ceil(2);
        Arc::new(StrategyTable { strategies: table.strategies[..kept].to_vec(), ..StrategyTable::clone(table) })
    };
    Catalog { tables: catalog.tables.iter().map(shorten).collect(), ..catalog.clone() }
}

pub(crate) fn feedback(run: &mut CheckRun) {
    if !run.loaded.description().feedback {
        return run.say(Check::Feedback, Outcome::Pass, "it does not ask for outcomes");
    }
    let mut tally = Tally::new(Check::Feedback);
    let catalog = queues::catalog(run.options.seed, 4, 5);
    match run.start(&catalog) {
        Err(error) => tally.count(Outcome::Fail, || error.to_string()),
        Ok(mut policy) => {
            for round in 0..ROUNDS {
                ask_and_tell(run, &mut policy, &catalog, round, &mut tally);
            }
            // an answered queue, and outcomes of jobs it never saw
            let strangers = queues::snapshot(99, &catalog, JOBS, Pressure::Wild);
            let told = policy.observe(&outcomes(&strangers.jobs, &catalog, &strangers));
            tally.count(severity(&told), || format!("outcomes of jobs it was never asked about: {}", words(&told)));
        }
    }
    run.find(tally.finding("calls", "outcomes taken in, questions answered legally"));
}

/// A question, then what became of its jobs.
fn ask_and_tell(run: &mut CheckRun, policy: &mut RunningPolicy, catalog: &Catalog, round: u64, tally: &mut Tally) {
    let mut snapshot = queues::snapshot(round, catalog, JOBS, Pressure::Wild);
    let judgment = run.ask(policy, catalog, &mut snapshot).judgment;
    let (outcome, reason) = judgment.verdict();
    tally.count(outcome, || reason);
    let jobs = if let Judgment::Good(_, forecast) = judgment { forecast.jobs } else { snapshot.jobs.clone() };
    let told = policy.observe(&outcomes(&jobs, catalog, &snapshot));
    tally.count(severity(&told), || format!("told outcomes: {}", words(&told)));
}

/// Every job served in its turn, a third slower or faster than expected.
fn outcomes(jobs: &[JobRow], catalog: &Catalog, snapshot: &Snapshot) -> Vec<JobOutcome> {
    let queue = Snapshot { jobs: jobs.to_vec(), ..snapshot.clone() };
    let finishes = Forecast::as_it_is(&queue, catalog).finishes;
    let outcome = |(place, (row, finish)): (usize, (&JobRow, _))| {
        let table = catalog.table(row.table).expect("rows are drawn from the catalog");
        let expected = table.strategy(row.current).latency;
        let accuracy = table.strategy(row.current).accuracy;
        JobOutcome {
            job: row.id,
            end: End::Served,
            finish,
            deadline: row.deadline,
            min_accuracy: row.min_accuracy,
            mix: Vec::new(),
            accuracy: Some(accuracy),
            answered: row.requests,
            requests: row.requests,
            started: Some(snapshot.start),
            device_time: if place % 2 == 0 { expected * 4 / 3 } else { expected * 2 / 3 }.max(Duration::from_micros(1)),
            expected_time: expected,
            last_choice: (row.table, row.current),
            decisions: Vec::new(),
        }
    };
    queue.jobs.iter().zip(finishes).enumerate().map(outcome).collect()
}

pub(crate) fn state(run: &mut CheckRun) {
    if !run.loaded.description().stateful {
        return run.say(Check::State, Outcome::Pass, "it keeps no state");
    }
    let catalog = queues::catalog(run.options.seed, 4, 5);
    let (outcome, words) = hand_on(run, &catalog).unwrap_or_else(|words| (Outcome::Fail, words));
    run.say(Check::State, outcome, words);
}

/// Saves after some decisions, restores into a successor, then tries to restore garbage.
fn hand_on(run: &mut CheckRun, catalog: &Catalog) -> Result<(Outcome, String), String> {
    let mut ignored = Tally::new(Check::State);
    let mut policy = run.start(catalog).map_err(|error| error.to_string())?;
    for round in 0..ROUNDS {
        ask_and_tell(run, &mut policy, catalog, round, &mut ignored);
    }
    let saved = policy.save().map_err(|error| format!("it does not save: {error}"))?;
    let saved = saved.ok_or("it says that it keeps a state and saves none")?;
    let mut successor = run.start(catalog).map_err(|error| error.to_string())?;
    let restored = successor.restore(&saved);
    let mut snapshot = queues::snapshot(1, catalog, JOBS, Pressure::Wild);
    let (outcome, words) = run.ask(&mut successor, catalog, &mut snapshot).judgment.verdict();
    if outcome == Outcome::Fail {
        return Err(format!("after a state was restored: {words}"));
    }
    garbage(run, catalog, &saved)?;
    let bytes = saved.state.len();
    match restored {
        Ok(()) => Ok((Outcome::Pass, format!("{bytes} bytes saved and restored, garbage does it no harm"))),
        Err(PolicyError::Declined(reason)) => {
            Ok((Outcome::Warn, format!("it refuses the state that it saved itself, so every swap loses it: {reason}")))
        }
        Err(error) => Err(format!("restoring what it saved: {error}")),
    }
}

/// Garbage may be refused or taken, if the policy then works; it must not crash it.
fn garbage(run: &mut CheckRun, catalog: &Catalog, saved: &SavedState) -> Result<(), String> {
    let half = saved.state[..saved.state.len() / 2].to_vec();
    let mut flipped = saved.state.clone();
    flipped.iter_mut().for_each(|byte| *byte ^= 0xa5);
    for state in [Vec::new(), half, flipped, vec![0xff; 1000]] {
        let bytes = state.len();
        let mut policy = run.start(catalog).map_err(|error| error.to_string())?;
        let taken = policy.restore(&SavedState { state, ..saved.clone() });
        if severity(&taken) == Outcome::Fail {
            return Err(format!("{bytes} bytes of garbage in place of its state: {}", words(&taken)));
        }
        let mut snapshot = queues::snapshot(1, catalog, JOBS, Pressure::Wild);
        let (outcome, words) = run.ask(&mut policy, catalog, &mut snapshot).judgment.verdict();
        if outcome == Outcome::Fail {
            return Err(format!("after {bytes} bytes of garbage in place of its state: {words}"));
        }
    }
    Ok(())
}

/// To decline is its right.
fn severity(result: &Result<(), PolicyError>) -> Outcome {
    match result {
        Ok(()) | Err(PolicyError::Declined(_)) => Outcome::Pass,
        Err(_) => Outcome::Fail,
    }
}

fn words(result: &Result<(), PolicyError>) -> String {
    result.as_ref().map_or_else(ToString::to_string, |()| "well".into())
}
