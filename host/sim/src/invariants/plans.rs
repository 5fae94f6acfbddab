//! Plans: what becomes of an answer, and of what was promised before it.

use std::collections::BTreeSet;
use std::time::Duration;

use mosel_core::{
    Action, Catalog, Decider, Decision, DecisionError, DecisionId, Event, JobId, JobRow, PolicyError, Snapshot,
    TableId, Time, at_least,
};

use super::invariant::{Breach, Invariant};
use super::queue::{Queue, Waiting};
use super::transition::{LaneChange, Transition};

/// The share of an objective by which a bound may be below it.
const ROUNDING: f64 = 1e-9;

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    check_promises(change)?;
    let Some((snapshot, due)) = change.question() else { return Ok(()) };
    match change.transition.event {
        Event::Decided(plan, answer) if *plan == snapshot.decision => check_answer(change, snapshot, answer),
        _ => check_unanswered(change, snapshot.decision, *due),
    }
}

/// Answers that nobody waits for are refused as late, and no others are spoken of.
pub(super) fn check_strangers(transition: &Transition<'_>) -> Result<(), Breach> {
    let awaited = |decision: DecisionId| {
        let questions = transition.before.lanes.iter().filter_map(|lane| lane.question.as_ref());
        questions.into_iter().any(|(snapshot, _)| snapshot.decision == decision)
    };
    let is_stranger = |decision: DecisionId| {
        matches!(transition.event, Event::Decided(answered, _) if *answered == decision) && !awaited(decision)
    };
    for action in transition.actions {
        let right = match action {
            Action::Adopt(plan, _) => awaited(*plan),
            Action::RefuseDecision(plan, error) => {
                awaited(*plan) || is_stranger(*plan) && *error == DecisionError::TooLate
            }
            _ => true,
        };
        Invariant::RefusedPlan.demand(right, || format!("nobody waits for that: {action:?}"))?;
    }
    let Event::Decided(plan, _) = transition.event else { return Ok(()) };
    let said =
        |action: &&Action| matches!(action, Action::Adopt(said, _) | Action::RefuseDecision(said, _) if said == plan);
    let said = transition.actions.iter().filter(said).count();
    Invariant::RefusedPlan.demand(said == 1, || format!("the answer to {plan:?} was adopted or refused {said} times"))
}

/// The queue's order under an answer: what is on the device first, the named ones as named, newcomers behind, and late
/// ones after all others.
pub(super) fn order_under(queue: &Queue<'_>, order: &[JobId]) -> Vec<JobId> {
    let rank = |waiting: &&Waiting<'_>| {
        let place = order.iter().position(|&job| job == waiting.id());
        let place = if order.is_empty() { Some(0) } else { place };
        // the oldest late job comes first, where late jobs have a share
        let place = if waiting.late && queue.has_late_share() { Some(0) } else { place };
        (waiting.late, waiting.left > 0 && !(waiting.late && queue.has_late_share()), place.unwrap_or(usize::MAX))
    };
    let mut jobs: Vec<&Waiting<'_>> = queue.jobs.iter().collect();
    jobs.sort_by_key(rank);
    jobs.into_iter().map(Waiting::id).collect()
}

/// Nothing but time and devices makes a job late that was on time.
fn check_promises(change: &LaneChange<'_>) -> Result<(), Breach> {
    let slower = change.after.correction > change.before.correction;
    let Transition { event, .. } = change.transition;
    let upset = change.transition.has_moves() || change.transition.has_kept_floor();
    if slower || upset || matches!(event, Event::BatchFailed(_) | Event::Paused(_)) {
        return Ok(());
    }
    check_savable(change)?;
    let overtaken = change.newcomer_place().unwrap_or(usize::MAX);
    let dropped: Vec<JobId> = change.given_up().collect();
    for (place, (waiting, before)) in change.before.finishes(change.before.free_at(change.transition.now)).enumerate() {
        let (id, deadline) = (waiting.id(), waiting.entry.job.deadline);
        if waiting.late || before > deadline {
            continue;
        }
        Invariant::Promise
            .demand(!dropped.contains(&id), || format!("job {id} would end at {before}, and is given up"))?;
        let after = change.settled.finishes(change.start).find(|(now, _)| now.id() == id).map(|(_, finish)| finish);
        // who is overtaken by a newcomer may have to be helped, and can be
        Invariant::Promise.demand(place >= overtaken || after.is_none_or(|after| after <= deadline), || {
            format!("job {id}, due {deadline}, would have ended at {before} and now ends at {after:?}")
        })?;
    }
    Ok(())
}

/// Where a newcomer was taken in, those that could be on time on their fastest strategies still can.
fn check_savable(change: &LaneChange<'_>) -> Result<(), Breach> {
    if change.newcomer_place().is_none() {
        return Ok(());
    }
    let mut fastest = Duration::ZERO;
    let start = change.before.free_at(change.transition.now);
    let promised = change.before.on_time().filter(|waiting| {
        fastest += waiting.fastest;
        start.after(fastest, change.before.factor) <= waiting.entry.job.deadline
    });
    let promised: Vec<JobId> = promised.map(Waiting::id).collect();
    let lost = change.settled.lost(change.start, &promised);
    Invariant::Promise
        .demand(lost.is_none(), || format!("job {lost:?} could be on time before a newcomer was taken in"))
}

/// A question that is not answered in this step stays, times out, or is void.
fn check_unanswered(change: &LaneChange<'_>, decision: DecisionId, due: Time) -> Result<(), Breach> {
    Invariant::Adopted
        .demand(change.adopted().is_none(), || format!("nobody answered {decision:?}, yet it is adopted"))?;
    let budget = change.transition.scheduler.config().policy_budget;
    let timed_out = DecisionError::Policy(PolicyError::TimedOut(budget));
    let overdue = |error: &DecisionError| *error == timed_out && due <= change.transition.now;
    let error = refusal(change, decision);
    Invariant::RefusedPlan.demand(error.is_none_or(overdue), || {
        format!("nobody answered {decision:?}, due {due}, yet it is refused: {error:?}")
    })
}

fn check_answer(
    change: &LaneChange<'_>,
    snapshot: &Snapshot,
    answer: &Result<Decision, PolicyError>,
) -> Result<(), Breach> {
    let verdict = match answer {
        Err(error) => Err(DecisionError::Policy(error.clone()).kind()),
        Ok(decision) => judge(change, snapshot, decision),
    };
    match (verdict, change.adopted(), answer) {
        (Ok(()), Some(jobs), Ok(decision)) => check_adopted(change, snapshot, decision, jobs),
        (Err(kind), None, _) => {
            let said = refusal(change, snapshot.decision).map(DecisionError::kind);
            Invariant::RefusedPlan.demand(said == Some(kind), || {
                format!("the answer is refused as {said:?}, it is {kind}: {answer:?} to {snapshot:?}")
            })
        }
        (Ok(()), ..) => Invariant::Adopted.broken(format!("a legal answer is refused: {answer:?} to {snapshot:?}")),
        (Err(kind), ..) => Invariant::RefusedPlan.broken(format!("an answer is adopted, it is {kind}: {answer:?}")),
    }
}

/// Every job that the answer names is on what it names, or was the policy's no more, or was there already.
fn check_adopted(
    change: &LaneChange<'_>,
    snapshot: &Snapshot,
    decision: &Decision,
    jobs: &[JobId],
) -> Result<(), Breach> {
    let named: BTreeSet<JobId> = decision.assignments.iter().map(|&(job, _)| job).collect();
    let stranger = jobs.iter().find(|job| !named.contains(job));
    Invariant::Adopted
        .demand(stranger.is_none(), || format!("job {stranger:?} is adopted, the answer does not name it"))?;
    for &(job, choice) in &decision.assignments {
        let row = snapshot.jobs.iter().find(|row| row.id == job);
        let Some(row) = row else { return Invariant::Adopted.broken(format!("job {job} was not shown")) };
        let due = newly(&change.judged, row, choice).is_some();
        Invariant::Adopted.demand(due == jobs.contains(&job), || {
            format!("strategy {choice} of job {job} is adopted: {}, expected: {due}; shown was {row:?}", !due)
        })?;
        let Some(after) = change.after.find(job).filter(|_| due) else { continue };
        let taken = after.entry.last_choice == (row.table, choice);
        let by = after.entry.decisions.contains(&Decider::Policy(snapshot.decision));
        let moved = change.fallback().iter().any(|(moved, _)| *moved == job);
        Invariant::Adopted.demand(by && (taken || moved), || {
            format!("job {job} was given strategy {choice} of {:?}, and is {:?}", row.table, after.entry)
        })?;
    }
    Ok(())
}

/// What has to become of an answer: nothing against it, or the kind of error it is.
fn judge(change: &LaneChange<'_>, snapshot: &Snapshot, decision: &Decision) -> Result<(), &'static str> {
    let claims = [decision.objective, decision.bound];
    if claims.into_iter().flatten().any(|claim| !claim.is_finite()) {
        return Err("not_finite");
    }
    if let [Some(objective), Some(bound)] = claims
        && bound < objective - ROUNDING * objective.abs()
    {
        return Err("bound_below_objective");
    }
    judge_choices(snapshot, change.transition.scheduler.catalog(), &decision.assignments)?;
    judge_order(snapshot, &decision.order)?;
    judge_times(change, snapshot, decision)
}

fn judge_choices(snapshot: &Snapshot, catalog: &Catalog, choices: &[(JobId, u32)]) -> Result<(), &'static str> {
    let mut seen = BTreeSet::new();
    for &(job, choice) in choices {
        let row = snapshot.jobs.iter().find(|row| row.id == job).ok_or("unknown_job")?;
        let strategies = catalog.table(row.table).map_or(&[][..], |table| &table.strategies);
        let strategy = strategies.get(choice as usize).ok_or("no_such_strategy")?;
        if choice != row.current && !at_least(strategy.accuracy, row.min_accuracy) {
            return Err("below_floor");
        }
        if !seen.insert(job) {
            return Err("duplicate_job");
        }
    }
    Ok(())
}

fn judge_order(snapshot: &Snapshot, order: &[JobId]) -> Result<(), &'static str> {
    let mut seen = BTreeSet::new();
    for &job in order {
        if !snapshot.jobs.iter().any(|row| row.id == job) {
            return Err("unknown_job");
        }
        if !seen.insert(job) {
            return Err("duplicate_job");
        }
    }
    let whole = order.is_empty() || order.len() == snapshot.jobs.len();
    if whole { Ok(()) } else { Err("order_incomplete") }
}

/// Nobody who is on time as things are would be late.
fn judge_times(change: &LaneChange<'_>, snapshot: &Snapshot, decision: &Decision) -> Result<(), &'static str> {
    let queue = &change.judged;
    let start = queue.free_at(change.transition.now);
    let mut work = Duration::ZERO;
    for job in order_under(queue, &decision.order) {
        let Some((waiting, before)) = queue.finishes(start).find(|(waiting, _)| waiting.id() == job) else {
            continue;
        };
        work += latency_under(queue, waiting, snapshot, decision);
        let deadline = waiting.entry.job.deadline;
        if !waiting.late && before <= deadline && start.after(work, queue.factor) > deadline {
            return Err("makes_late");
        }
    }
    Ok(())
}

fn latency_under(queue: &Queue<'_>, waiting: &Waiting<'_>, snapshot: &Snapshot, decision: &Decision) -> Duration {
    let row = snapshot.jobs.iter().find(|row| row.id == waiting.id());
    let choice = decision.assignments.iter().find(|(job, _)| *job == waiting.id());
    let newly = row.zip(choice).and_then(|(row, &(_, choice))| newly(queue, row, choice));
    newly.unwrap_or(waiting.latency)
}

/// The time that the choice newly gives the job: if it still waits, was not started since it was shown, and is not on
/// that strategy already.
fn newly(queue: &Queue<'_>, row: &JobRow, choice: u32) -> Option<Duration> {
    let waiting = queue.find(row.id)?;
    let table = waiting.table()?;
    let same: TableId = row.table;
    let strategy = table.strategies.get(choice as usize)?;
    let legal = choice == table.most_accurate() || waiting.keeps_floor(strategy.accuracy);
    let new = table.id == same && legal && waiting.current()? != choice;
    new.then_some(strategy.latency)
}

fn refusal<'a>(change: &LaneChange<'a>, asked: DecisionId) -> Option<&'a DecisionError> {
    change.transition.actions.iter().find_map(|action| match action {
        Action::RefuseDecision(plan, error) if *plan == asked => Some(error),
        _ => None,
    })
}
