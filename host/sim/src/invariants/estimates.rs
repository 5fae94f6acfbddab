//! Estimates: what batches are expected to take, and how that follows what they took.

use std::ops::RangeInclusive;

use mosel_core::{Event, scale};

use super::invariant::{Breach, Invariant};
use super::transition::LaneChange;

/// A correction stays within these bounds, whatever is measured.
const CORRECTIONS: RangeInclusive<f64> = 0.05..=20.0;
/// A correction as near as that to what was measured need not move.
const NEAR: f64 = 1e-12;

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    check_expected(change)?;
    check_correction(change)?;
    check_predictions(change)
}

/// What was started is expected to take what the profile says, corrected.
fn check_expected(change: &LaneChange<'_>) -> Result<(), Breach> {
    let Some((batch, profiled)) = change.started() else { return Ok(()) };
    let (expected, running) = (scale(profiled, change.after.state.correction), change.after.state.running);
    let on_device = running.is_some_and(|running| running.batch == *batch && running.started == change.transition.now);
    Invariant::Estimate.demand(batch.expected == expected && on_device, || {
        format!("{batch:?} should take {expected:?}, on the device is {running:?}")
    })
}

/// A measured batch moves the correction towards itself; a partial one proves slowness only.
fn check_correction(change: &LaneChange<'_>) -> Result<(), Breach> {
    let (before, after) = (change.before.state.correction, change.after.state.correction);
    let measured = match *change.transition.event {
        Event::BatchDone(id, report) => change.before.state.running.filter(|run| run.batch.id == id).map(|run| {
            let measured = report.compute;
            let full = run.batch.requests == run.batch.batch_size;
            (measured.as_secs_f64() / run.profiled.as_secs_f64(), full)
        }),
        _ => None,
    };
    let moved = match measured {
        Some((ratio, full)) if full || ratio > before => {
            let towards = ratio.clamp(*CORRECTIONS.start(), *CORRECTIONS.end());
            let gap = |correction: f64| (towards - correction).abs();
            let overshot = (towards - before) * (towards - after) < 0.0;
            !overshot && (gap(after) < gap(before) || gap(before) < NEAR)
        }
        _ => after == before,
    };
    Invariant::Estimate.demand(moved && CORRECTIONS.contains(&after), || {
        format!("the correction went from {before} to {after}, measured over profiled is {measured:?}")
    })
}

/// What the scheduler predicts is what its queue says.
fn check_predictions(change: &LaneChange<'_>) -> Result<(), Breach> {
    let Event::BatchDone(..) = change.transition.event else { return Ok(()) };
    let predicted = change.transition.scheduler.predictions(change.transition.now);
    for (waiting, finish) in change.after.finishes(change.after.free_at(change.transition.now)) {
        let said = predicted.get(&waiting.id());
        Invariant::Estimate.demand(said == Some(&finish), || {
            format!("job {} is predicted to end at {said:?}, by its queue at {finish}", waiting.id())
        })?;
    }
    Ok(())
}
