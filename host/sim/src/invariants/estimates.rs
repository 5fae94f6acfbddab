//! Estimates: what batches are expected to take, and how that follows what they took.

use std::ops::RangeInclusive;

use mosel_core::{Event, scale};

use super::invariant::{Breach, Invariant};
use super::transition::LaneChange;

/// A correction stays within these bounds, whatever is measured.
const CORRECTIONS: RangeInclusive<f64> = 0.05..=1000.0;
/// Sums and products of the same floats in another order differ by less than this share.
const NEAR: f64 = 1e-9;

pub(super) fn check(change: &LaneChange<'_>) -> Result<(), Breach> {
    check_expected(change)?;
    check_correction(change)?;
    check_predictions(change)
}

/// What was started is expected to take what the profile says, corrected.
fn check_expected(change: &LaneChange<'_>) -> Result<(), Breach> {
    let Some((batch, profiled)) = change.started() else { return Ok(()) };
    let (expected, running) = (scale(profiled, change.after.correction), change.after.state.running);
    let on_device = running.is_some_and(|running| running.batch == *batch && running.started == change.transition.now);
    Invariant::Estimate.demand(batch.expected == expected && on_device, || {
        format!("{batch:?} should take {expected:?}, on the device is {running:?}")
    })
}

/// One measured batch moves the correction no further than the others reach; nothing else but time moves it.
fn check_correction(change: &LaneChange<'_>) -> Result<(), Breach> {
    let (before, after) = (change.before.correction, change.after.correction);
    let counts = match *change.transition.event {
        Event::BatchDone(id, report) => change.before.state.running.is_some_and(|running| {
            running.batch.id == id && report.answered >= running.batch.requests && running.paused.is_zero()
        }),
        _ => false,
    };
    let moved = if counts {
        let others = change.before.state.recent.iter().skip(1).copied().chain([before]);
        let (least, most) = others.fold((f64::MAX, f64::MIN), |(least, most), one| (least.min(one), most.max(one)));
        (least - NEAR..=most + NEAR).contains(&after)
    } else {
        (after - before).abs() <= NEAR * before
    };
    Invariant::Estimate.demand(moved && CORRECTIONS.contains(&after), || {
        format!(
            "the correction went from {before} to {after}; the batch counts: {counts}; {:?}",
            change.before.state.recent
        )
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
