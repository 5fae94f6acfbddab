//! Order: who comes first, who is given up, and what starts next.

use std::time::Duration;

use mosel_core::{Event, JobId, Time};

use super::plans::order_under;
use super::queue::Waiting;
use super::turn::Turn;
use super::{Breach, Law};

/// Times that were added up in another way differ by no more than that.
const MICROS: Duration = Duration::from_micros(3);

pub(super) fn check(turn: &Turn<'_>) -> Result<(), Breach> {
    check_order(turn)?;
    check_late(turn)?;
    check_given_up(turn)?;
    check_next(turn)
}

/// The queue is in the order it was in, or in the adopted one; those that are given up go behind all others.
fn check_order(turn: &Turn<'_>) -> Result<(), Breach> {
    let mut order = order_now(turn);
    let given_up = given_up_at_last(turn);
    order.retain(|job| !given_up.contains(job));
    order.extend(&given_up);
    order.retain(|&job| turn.after.find(job).is_some());
    let found: Vec<JobId> = turn.after.jobs.iter().map(Waiting::id).collect();
    Law::Order.demand(order == found, || format!("the order is {found:?}, expected {order:?}"))
}

/// Late are those that were late before or are given up now, and they come last.
fn check_late(turn: &Turn<'_>) -> Result<(), Breach> {
    for waiting in &turn.after.jobs {
        let was = turn.before.find(waiting.id()).is_some_and(|before| before.late);
        let is = was || turn.given_up().any(|job| job == waiting.id());
        Law::Order
            .demand(waiting.late == is, || format!("job {} is late: {}, expected {is}", waiting.id(), waiting.late))?;
    }
    let late: Vec<(bool, JobId)> = turn.after.jobs.iter().map(|waiting| (waiting.late, waiting.id())).collect();
    Law::Order.demand(late.is_sorted_by_key(|(late, _)| *late), || {
        format!("a late job is in front of one that is not: {late:?}")
    })
}

/// The order once an answer was taken, before anybody else is given up.
fn order_now(turn: &Turn<'_>) -> Vec<JobId> {
    let mut order = match (turn.moment.event, turn.adopted()) {
        (Event::Planned(_, Ok(proposal)), Some(_)) => order_under(&turn.judged, &proposal.order),
        _ => turn.judged.jobs.iter().map(Waiting::id).collect(),
    };
    let newcomers = turn.after.jobs.iter().map(Waiting::id).filter(|&id| turn.before.find(id).is_none());
    let place = turn.newcomer_place().unwrap_or(turn.judged.on_time().count());
    order.splice(place..place, newcomers);
    order
}

fn given_up_at_last(turn: &Turn<'_>) -> Vec<JobId> {
    let before = turn.given_up_before_answer();
    turn.given_up().filter(|job| !before.contains(job)).collect()
}

/// Whoever is given up could not be on time by the best guess, without the margin.
fn check_given_up(turn: &Turn<'_>) -> Result<(), Breach> {
    let (now, queue) = (turn.moment.now, &turn.before);
    let before_answer = turn.given_up_before_answer();
    check_hopeless(queue.free_at(now), queue.state.correction, queue.on_time(), &before_answer)?;
    let order = order_now(turn);
    let given_up = given_up_at_last(turn);
    // who was dropped in this step is seen as it was before; who was served or cancelled takes no time any more
    let jobs = order.iter().filter_map(|&job| {
        let waiting = turn.settled.find(job).or(turn.before.find(job).filter(|_| given_up.contains(&job)))?;
        let counts = !waiting.late || given_up.contains(&job);
        counts.then_some(waiting)
    });
    let sure: Vec<JobId> = given_up.iter().copied().filter(|&job| !turn.is_put_back(job)).collect();
    check_hopeless(turn.start + MICROS, turn.after.state.correction, jobs, &sure)
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
        let (end, deadline) = (start.after(work + waiting.fastest, correction), waiting.entry.job.deadline);
        Law::Order.demand(end > deadline, || {
            format!("job {} is given up, and may be done at {end}, due {deadline}", waiting.id())
        })?;
    }
    Ok(())
}

/// What was started is of the first job that has a batch.
fn check_next(turn: &Turn<'_>) -> Result<(), Breach> {
    let Some((batch, _)) = turn.started() else { return Ok(()) };
    let has_batch = |waiting: &&Waiting<'_>| waiting.left > 0 || waiting.id() == batch.job;
    let first = turn.settled.jobs.iter().find(has_batch).map(Waiting::id);
    Law::Order.demand(first == Some(batch.job), || format!("{batch:?} was started, next was job {first:?}"))
}
