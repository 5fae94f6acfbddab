//! Queues: floors, and who may change a strategy.

use mosel_core::{Action, JobId, Outcome, at_least};

use super::invariant::{Breach, Invariant};
use super::queue::Waiting;
use super::transition::LaneChange;

/// Sums of the same floats in another order differ by less than that.
const ROUNDING: f64 = 1e-12;

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    change.after.jobs.iter().try_for_each(check_floor)?;
    change.after.jobs.iter().try_for_each(|waiting| check_decided(change, waiting))?;
    let mut gone = change.before.jobs.iter().filter(|before| change.after.find(before.id()).is_none());
    gone.try_for_each(|before| check_gone(change, before))
}

/// What was started and what is planned keep the floor.
fn check_floor(waiting: &Waiting<'_>) -> Result<(), Breach> {
    let (accuracy, floor) = (waiting.accuracy(), waiting.entry.job.min_accuracy);
    // where too few requests have an answer, the rest is as accurate as can be
    let as_near = waiting.entry.unanswered > 0 && (waiting.left == 0 || waiting.is_at_best());
    Invariant::Floor.demand(at_least(accuracy + ROUNDING, floor) || as_near, || {
        format!("job {} is planned at {accuracy}, its floor is {floor}: {:?}", waiting.id(), waiting.entry)
    })
}

/// Nobody's strategy changes unless it is said.
fn check_decided(change: &LaneChange<'_>, waiting: &Waiting<'_>) -> Result<(), Breach> {
    let id = waiting.id();
    let Some(before) = change.before.find(id) else { return check_newcomer(change, waiting) };
    if before.entry == waiting.entry || change.is_named(id) {
        return Ok(());
    }
    let (was, is) = (before.entry, waiting.entry);
    // requests without an answer are not in the mix any more
    let same = (before.mix() == waiting.mix() || is.unanswered > was.unanswered)
        && was.last_choice == is.last_choice
        && was.decisions == is.decisions;
    Invariant::Decided
        .demand(same && was.job == is.job, || format!("nobody said that job {id} changes: it was {was:?}, is {is:?}"))
}

/// Who came was accepted, and begins at its best.
fn check_newcomer(change: &LaneChange<'_>, waiting: &Waiting<'_>) -> Result<(), Breach> {
    let (id, entry) = (waiting.id(), waiting.entry);
    let moved = |action: &Action| matches!(action, Action::Move(moved, _) if *moved == id);
    if change.transition.actions.iter().any(moved) {
        return Ok(());
    }
    let accepted = |action: &Action| matches!(action, Action::Accept(accepted) if accepted.job == id);
    Invariant::Decided
        .demand(change.transition.actions.iter().any(accepted), || format!("job {id} was never accepted"))?;
    let table = change.transition.scheduler.models()[entry.job.model.0 as usize].table(entry.job.requests);
    let best = table.map(|table| (table.id, table.most_accurate()));
    Invariant::Decided.demand(best == Some(entry.last_choice) || change.is_named(id), || {
        format!("job {id} begins on {:?}, its best is {best:?}", entry.last_choice)
    })
}

/// Who is gone has ended, and its outcome names the decisions about it.
fn check_gone(change: &LaneChange<'_>, before: &Waiting<'_>) -> Result<(), Breach> {
    let (id, entry) = (before.id(), before.entry);
    let moved = |action: &Action| matches!(action, Action::Move(moved, _) if *moved == id);
    if change.transition.actions.iter().any(moved) {
        return Ok(());
    }
    let Some(outcome) = outcome(change, id) else {
        return Invariant::Answered.broken(format!("job {id} is gone and was not answered"));
    };
    let told = outcome.last_choice == entry.last_choice && outcome.decisions == entry.decisions;
    Invariant::Outcome.demand(told || change.is_named(id), || {
        format!("the last decisions about job {id} were {entry:?}, its outcome is {outcome:?}")
    })
}

fn outcome<'a>(change: &LaneChange<'a>, job: JobId) -> Option<&'a Outcome> {
    change.transition.actions.iter().find_map(|action| match action {
        Action::Finish(outcome) if outcome.job == job => Some(outcome),
        _ => None,
    })
}
