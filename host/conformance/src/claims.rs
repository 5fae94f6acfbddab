//! Whether what a policy says of its own answers is so, on queues small enough to try every plan.

use mosel_core::{Catalog, Decision, Forecast, JobRow, Quality, Snapshot, at_least};

use crate::check_run::CheckRun;
use crate::judgment::Judgment;
use crate::queues::{self, Pressure, Shape};
use crate::tally::Tally;
use crate::{Check, Finding, Outcome};

const QUEUES: u64 = 48;
/// Two values that differ by no more than this share differ by rounding.
const ROUNDING: f64 = 1e-6;

/// What an answer claims, beside the truth.
struct Claim {
    quality: Quality,
    objective: Option<f64>,
    bound: Option<f64>,
    /// Sum of weight x requests x accuracy under the answer.
    value: f64,
    /// The most that a plan in this order reaches on which every job is on time.
    best: f64,
    /// Every job is on time under the answer.
    in_time: bool,
}

pub(crate) fn claims(run: &mut CheckRun) {
    let mut claims = Vec::new();
    for number in 0..QUEUES {
        if run.out_of_time() {
            break;
        }
        claims.extend(claim(run, run.options.seed.wrapping_add(number)));
    }
    run.find(finding(&claims));
}

fn claim(run: &mut CheckRun, seed: u64) -> Option<Claim> {
    let shape = Shape { jobs: 2 + seed as usize % 4, tables: 3, strategies: 4, pressure: Pressure::Tight };
    let (catalog, mut snapshot) = queues::random(seed, shape);
    let mut policy = run.start(&catalog).ok()?;
    let Judgment::Good(decision, forecast) = run.ask(&mut policy, &catalog, &mut snapshot).judgment else {
        return None;
    };
    let Decision { quality, objective, bound, .. } = decision;
    let in_time = forecast.violators().next().is_none();
    Some(Claim { quality, objective, bound, value: forecast.value(&catalog), best: best(&snapshot, &catalog), in_time })
}

fn finding(claims: &[Claim]) -> Finding {
    let claiming = claims.iter().filter(|claim| claim.quality == Quality::Optimal || claim.bound.is_some()).count();
    if claiming == 0 {
        let words = format!("it claims nothing of its answers to {} small queues", claims.len());
        return Finding { check: Check::Claims, outcome: Outcome::Pass, words };
    }
    // Only a policy whose objective is the usual one can be held to what other plans are worth by it.
    let usual = claims.iter().all(|claim| claim.objective.is_some_and(|objective| same(objective, claim.value)));
    let mut tally = Tally::new(Check::Claims);
    for claim in claims {
        let (outcome, words) = claim.judge(usual);
        tally.count(outcome, || words);
    }
    let well = format!(
        "{claiming} of them with a claim, and none refuted by trying every plan{}",
        if usual { "" } else { " (its objective is not the sum of weight x requests x accuracy, so little was tried)" }
    );
    tally.finding("small queues", &well)
}

impl Claim {
    fn judge(&self, usual: bool) -> (Outcome, String) {
        let Claim { quality, objective, bound, value, best, in_time } = *self;
        let below = |small: f64, large: f64| small < large && !same(small, large);
        let refuted = if usual { Outcome::Fail } else { Outcome::Warn };
        let excuse = if usual { "" } else { "; its objective may be another one" };
        if let (Some(objective), Some(bound)) = (objective, bound)
            && below(bound, objective)
        {
            return (Outcome::Fail, format!("its bound {bound} is below its own objective {objective}"));
        }
        if let Some(bound) = bound
            && below(bound, best)
        {
            return (
                refuted,
                format!("its bound is {bound}, but a plan that keeps every deadline is worth {best}{excuse}"),
            );
        }
        if quality == Quality::Optimal && (!in_time || below(value, best)) {
            let words = match in_time {
                true => {
                    format!("it calls {value} optimal, but a plan that keeps every deadline is worth {best}{excuse}")
                }
                false => format!("it calls a plan optimal that leaves jobs late, though all can be on time{excuse}"),
            };
            return (refuted, words);
        }
        (Outcome::Pass, String::new())
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * a.abs().max(b.abs())
}

/// Tries every plan that keeps the order. Every job of the queue can be on time.
fn best(snapshot: &Snapshot, catalog: &Catalog) -> f64 {
    let mut queue = snapshot.clone();
    let mut best = f64::NEG_INFINITY;
    let options: Vec<Vec<u32>> = snapshot.jobs.iter().map(|row| options(row, catalog)).collect();
    let plans: usize = options.iter().map(Vec::len).product();
    for mut plan in 0..plans {
        for (row, options) in queue.jobs.iter_mut().zip(&options) {
            row.current = options[plan % options.len()];
            plan /= options.len();
        }
        let forecast = Forecast::as_it_is(&queue, catalog);
        if forecast.violators().next().is_none() {
            best = best.max(forecast.value(catalog));
        }
    }
    best
}

/// What a job may run on: what keeps its floor, and what it is on.
fn options(row: &JobRow, catalog: &Catalog) -> Vec<u32> {
    let table = catalog.table(row.table).expect("rows are drawn from the catalog");
    let legal = |&index: &u32| index == row.current || at_least(table.strategy(index).accuracy, row.min_accuracy);
    (0..=table.most_accurate()).filter(legal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HONEST: Claim = Claim {
        quality: Quality::Optimal,
        objective: Some(3.0),
        bound: Some(3.0),
        value: 3.0,
        best: 3.0,
        in_time: true,
    };

    fn outcome(claim: Claim) -> Outcome {
        finding(&[HONEST, claim]).outcome
    }

    #[test]
    fn true_claims_pass() {
        assert_eq!(outcome(HONEST), Outcome::Pass);
        assert_eq!(
            outcome(Claim { quality: Quality::Bounded, objective: Some(2.0), value: 2.0, ..HONEST }),
            Outcome::Pass
        );
    }

    #[test]
    fn false_claims_of_the_usual_objective_fail() {
        let beaten = Claim { objective: Some(2.0), value: 2.0, ..HONEST };
        assert_eq!(outcome(beaten), Outcome::Fail);
        let low = Claim { quality: Quality::Bounded, objective: Some(2.0), value: 2.0, bound: Some(2.5), ..HONEST };
        assert_eq!(outcome(low), Outcome::Fail);
        assert_eq!(outcome(Claim { in_time: false, ..HONEST }), Outcome::Fail);
        assert_eq!(outcome(Claim { bound: Some(2.0), ..HONEST }), Outcome::Fail);
    }

    #[test]
    fn another_objective_is_an_excuse() {
        let other = Claim { objective: Some(0.5), bound: Some(0.5), value: 2.0, ..HONEST };
        assert_eq!(outcome(other), Outcome::Warn);
    }

    #[test]
    fn the_best_plan_keeps_every_deadline() {
        for seed in 0..50 {
            let shape = Shape { jobs: 4, tables: 2, strategies: 4, pressure: Pressure::Tight };
            let (catalog, snapshot) = queues::random(seed, shape);
            let fallback = Forecast::with_fallback(&snapshot, &catalog).value(&catalog);
            assert!(best(&snapshot, &catalog) >= fallback * (1.0 - 1e-9), "queue {seed}");
        }
    }
}
