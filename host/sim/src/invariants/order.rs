//! Order: who comes first, who is given up, and what starts next.

use std::time::Duration;

use mosel_core::{Event, JobId, Time, Turn};

use super::invariant::{Breach, Invariant};
use super::plans::order_under;
use super::queue::Waiting;
use super::transition::LaneChange;

/// Times that were added up in another way differ by no more than that.
const MICROS: Duration = Duration::from_micros(3);

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    if change.transition.has_moves() {
        return check_late_last(change);
    }
    check_order(change)?;
    check_late(change)?;
    check_given_up(change)?;
    check_next(change)
}

/// The queue is in the order it was in, or in the adopted one; those that are given up go behind all others.
fn check_order(change: &LaneChange<'_>) -> Result<(), Breach> {
    let mut order = order_now(change);
    let given_up = given_up_at_last(change);
    order.retain(|job| !given_up.contains(job));
    order.extend(&given_up);
    order.retain(|&job| change.after.find(job).is_some());
    let found: Vec<JobId> = change.after.jobs.iter().map(Waiting::id).collect();
    Invariant::Order.demand(order == found, || format!("the order is {found:?}, expected {order:?}"))
}

/// Late are those that were late before or are given up now, and they come last.
fn check_late(change: &LaneChange<'_>) -> Result<(), Breach> {
    for waiting in &change.after.jobs {
        let was = change.before.find(waiting.id()).is_some_and(|before| before.late);
        let is = was || change.given_up().any(|job| job == waiting.id());
        Invariant::Order
            .demand(waiting.late == is, || format!("job {} is late: {}, expected {is}", waiting.id(), waiting.late))?;
    }
    check_late_last(change)
}

fn check_late_last(change: &LaneChange<'_>) -> Result<(), Breach> {
    let late: Vec<(bool, JobId)> = change.after.jobs.iter().map(|waiting| (waiting.late, waiting.id())).collect();
    Invariant::Order.demand(late.is_sorted_by_key(|(late, _)| *late), || {
        format!("a late job is in front of one that is not: {late:?}")
    })
}

/// The order once an answer was taken, before anybody else is given up.
fn order_now(change: &LaneChange<'_>) -> Vec<JobId> {
    let mut order = match (change.transition.event, change.adopted()) {
        (Event::Decided(_, Ok(decision)), Some(_)) => order_under(&change.judged, &decision.order),
        _ => change.judged.jobs.iter().map(Waiting::id).collect(),
    };
    let newcomers = change.after.jobs.iter().map(Waiting::id).filter(|&id| change.before.find(id).is_none());
    let place = change.newcomer_place().unwrap_or(change.judged.on_time().count());
    order.splice(place..place, newcomers);
    order
}

fn given_up_at_last(change: &LaneChange<'_>) -> Vec<JobId> {
    let before = change.given_up_before_answer();
    change.given_up().filter(|job| !before.contains(job)).collect()
}

/// Whoever is given up could not be on time by the best guess, without the margin.
fn check_given_up(change: &LaneChange<'_>) -> Result<(), Breach> {
    let (now, queue) = (change.transition.now, &change.before);
    let before_answer = change.given_up_before_answer();
    check_hopeless(queue.free_at(now), queue.correction, queue.on_time(), &before_answer)?;
    let order = order_now(change);
    let given_up = given_up_at_last(change);
    // who was dropped in this step is seen as it was before; who was served or cancelled takes no time any more
    let jobs = order.iter().filter_map(|&job| {
        let waiting = change.settled.find(job).or(change.before.find(job).filter(|_| given_up.contains(&job)))?;
        let counts = !waiting.late || given_up.contains(&job);
        counts.then_some(waiting)
    });
    let sure: Vec<JobId> = given_up.iter().copied().filter(|&job| !change.is_put_back(job)).collect();
    check_hopeless(change.start + MICROS, change.after.correction, jobs, &sure)
}

/// Nobody of these could be on time behind those that are not given up, everybody on the fastest strategy.
fn check_hopeless<'a, 'b: 'a>(
    start: Time,
    correction: f64,
    jobs: impl Iterator<Item = &'a Waiting<'b>>,
    given_up: &[JobId],
) -> Result<(), Breach> {
    let mut work = Duration::ZERO;
    for waiting in jobs {
        if !given_up.contains(&waiting.id()) {
            work += waiting.fastest;
            continue;
        }
        let correction = if waiting.entry.probe { correction.min(1.0) } else { correction };
        let (end, deadline) = (start.after(work + waiting.fastest, correction), waiting.entry.job.deadline);
        Invariant::Order.demand(end > deadline, || {
            format!("job {} is given up, and may be done at {end}, due {deadline}", waiting.id())
        })?;
    }
    Ok(())
}

/// What was started is of the first job that has a batch; of the first late one if it is on the late jobs' share.
fn check_next(change: &LaneChange<'_>) -> Result<(), Breach> {
    let Some((batch, _)) = change.started() else { return Ok(()) };
    let share = change.after.state.running.is_some_and(|running| running.turn == Turn::LateShare);
    let has_batch =
        |waiting: &&Waiting<'_>| (waiting.late || !share) && (waiting.left > 0 || waiting.id() == batch.job);
    let first = change.settled.jobs.iter().find(has_batch).map(Waiting::id);
    Invariant::Order.demand(first == Some(batch.job), || format!("{batch:?} was started, next was job {first:?}"))
}
