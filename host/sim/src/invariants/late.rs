//! Late jobs: what is saved for them, when their batches are due, and whose turn it is.

use std::time::Duration;

use mosel_core::{Event, LateCredit, Turn, scale};

use super::invariant::{Breach, Invariant};
use super::queue::{Queue, Waiting};
use super::transition::LaneChange;

/// What is saved is counted in whole nanoseconds of floats; times that were added up in another way differ by less.
const NANOS: i64 = 1000;

/// A late batch starts before others if it is due and harms nobody, and else not; what is saved for it is as it was saved.
pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    let fairness = &change.transition.scheduler.config().fairness;
    if fairness.late_share == 0.0 {
        let (off, ran) = (change.after.state.late == LateCredit::default(), turn(change) != Some(Turn::LateShare));
        return Invariant::LateShare.demand(off && ran, || "late jobs have no share, and get one".into());
    }
    let mut late = accounted(change, fairness.late_share);
    look(&mut late, change, need(&change.settled, change));
    let due = late.due_since.is_some();
    check_turn(change, due)?;
    if turn(change) == Some(Turn::LateShare) {
        late.saved_ns -= nanos(change.started().map_or(Duration::ZERO, |(batch, _)| batch.expected));
        late.due_since = None;
    }
    if change.started().is_some() {
        look(&mut late, change, change.after.late_need());
    }
    let is = change.after.state.late;
    let near = (late.saved_ns - is.saved_ns).abs() < NANOS && late.waiting_since == is.waiting_since;
    let at_the_bound = || near_due(change, late.saved_ns);
    Invariant::LateShare.demand(near && (late.due_since == is.due_since || at_the_bound()), || {
        format!("saved for late jobs is {is:?}, expected {late:?}, before it was {:?}", change.before.state.late)
    })
}

/// The credit after the batch that ended, if one did.
fn accounted(change: &LaneChange<'_>, share: f64) -> LateCredit {
    let (now, queue) = (change.transition.now, &change.before);
    let mut late = queue.state.late;
    let ended = match change.transition.event {
        Event::BatchDone(id, _) => Some(*id),
        Event::BatchFailed(id) => Some(*id),
        _ => None,
    };
    let Some(running) = queue.state.running.filter(|running| Some(running.batch.id) == ended) else { return late };
    let (Some(since), took) = (late.waiting_since, now.since(running.started)) else { return late };
    match running.turn {
        Turn::LateShare => {
            let expected = nanos(running.batch.expected);
            let least = late.saved_ns.min(0) - expected;
            late.saved_ns = (late.saved_ns + expected - nanos(took)).max(least);
        }
        Turn::OnTime => {
            let Some(need) = queue.late_need() else { return late };
            let work: Duration = queue.on_time().map(|waiting| waiting.fastest).sum();
            let most = nanos(need * 2 + scale(work, queue.state.correction * share));
            let saved = (now.since(running.started.max(since)).as_secs_f64() * share * 1e9) as i64;
            late.saved_ns = (late.saved_ns + saved).min(most.max(late.saved_ns));
        }
        Turn::Spare => {}
    }
    late
}

/// A late batch waits that needs so long, or none.
fn look(late: &mut LateCredit, change: &LaneChange<'_>, need: Option<Duration>) {
    let Some(need) = need else {
        *late = LateCredit::default();
        return;
    };
    let now = change.transition.now;
    late.waiting_since = late.waiting_since.or(Some(now));
    late.due_since = (late.saved_ns >= nanos(need)).then(|| late.due_since.unwrap_or(now));
}

/// How long the next late batch takes in the queue as it was before anything was started.
fn need(settled: &Queue<'_>, change: &LaneChange<'_>) -> Option<Duration> {
    let started = change.started();
    let of_started = |waiting: &Waiting<'_>| started.filter(|(batch, _)| batch.job == waiting.id());
    let next =
        settled.jobs.iter().find(|waiting| waiting.late && (waiting.left > 0 || of_started(waiting).is_some()))?;
    match of_started(next) {
        Some((batch, _)) => Some(batch.expected),
        None => Some(scale(next.entry.steps.first()?.batch_latency, settled.state.correction)),
    }
}

fn check_turn(change: &LaneChange<'_>, due: bool) -> Result<(), Breach> {
    let (Some((batch, profiled)), Some(turn)) = (change.started(), turn(change)) else { return Ok(()) };
    let (now, queue) = (change.transition.now, &change.settled);
    let is_late = queue.find(batch.job).is_some_and(|waiting| waiting.late);
    let has_batch = |waiting: &Waiting<'_>| waiting.left > 0 || waiting.id() == batch.job;
    let others_wait = queue.on_time().any(has_batch);
    let harmed = || {
        let mut work = Duration::ZERO;
        queue.on_time().find(|waiting| {
            work += waiting.fastest;
            let deadline = waiting.entry.job.deadline;
            now.after(work, queue.factor) <= deadline && now.after(profiled + work, queue.cautious) > deadline
        })
    };
    let right = match turn {
        Turn::OnTime => !(is_late || due && harms_nobody(change) && !near_due(change, queue.state.late.saved_ns)),
        Turn::Spare => is_late && !others_wait,
        Turn::LateShare => is_late && others_wait && due && harmed().is_none(),
    };
    Invariant::LateShare.demand(right, || {
        format!("{batch:?} was started as {turn:?}; it is late: {is_late}, due: {due}, others wait: {others_wait}")
    })
}

/// The next late batch would make nobody late, however the others are served.
fn harms_nobody(change: &LaneChange<'_>) -> bool {
    let queue = &change.settled;
    let next = queue.jobs.iter().find(|waiting| waiting.late && waiting.left > 0);
    let Some(step) = next.and_then(|waiting| waiting.entry.steps.first()) else { return false };
    let mut work = Duration::ZERO;
    queue.on_time().all(|waiting| {
        work += waiting.latency;
        change.transition.now.after(step.batch_latency + work, queue.cautious) <= waiting.entry.job.deadline
    })
}

/// What is saved is at the bound at which a batch is due, up to rounding.
fn near_due(change: &LaneChange<'_>, saved_ns: i64) -> bool {
    let near = |need: Duration| (nanos(need) - saved_ns).abs() < NANOS;
    change.after.late_need().is_some_and(near) || need(&change.settled, change).is_some_and(near)
}

fn turn(change: &LaneChange<'_>) -> Option<Turn> {
    change.started()?;
    change.after.state.running.map(|running| running.turn)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
