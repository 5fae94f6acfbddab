//! Estimates: what batches are expected to take, and how that follows what they took.

use std::ops::RangeInclusive;

use mosel_core::{Event, scale};

use super::turn::Turn;
use super::{Breach, Law};

/// A correction stays within these bounds, whatever is measured.
const CORRECTIONS: RangeInclusive<f64> = 0.05..=20.0;
/// A correction as near as that to what was measured need not move.
const NEAR: f64 = 1e-12;

pub(super) fn check(turn: &Turn<'_>) -> Result<(), Breach> {
    check_expected(turn)?;
    check_correction(turn)?;
    check_predictions(turn)
}

/// What was started is expected to take what the profile says, corrected.
fn check_expected(turn: &Turn<'_>) -> Result<(), Breach> {
    let Some((batch, profiled)) = turn.started() else { return Ok(()) };
    let (expected, running) = (scale(profiled, turn.after.state.correction), turn.after.state.running);
    let on_device = running.is_some_and(|running| running.batch == *batch && running.started == turn.moment.now);
    Law::Estimate.demand(batch.expected == expected && on_device, || {
        format!("{batch:?} should take {expected:?}, on the device is {running:?}")
    })
}

/// A measured batch moves the correction towards itself; a partial one proves slowness only.
fn check_correction(turn: &Turn<'_>) -> Result<(), Breach> {
    let (before, after) = (turn.before.state.correction, turn.after.state.correction);
    let measured = match *turn.moment.event {
        Event::BatchDone(id, measured) => turn.before.state.running.filter(|run| run.batch.id == id).map(|run| {
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
    Law::Estimate.demand(moved && CORRECTIONS.contains(&after), || {
        format!("the correction went from {before} to {after}, measured over profiled is {measured:?}")
    })
}

/// What the scheduler predicts is what its queue says.
fn check_predictions(turn: &Turn<'_>) -> Result<(), Breach> {
    let Event::BatchDone(..) = turn.moment.event else { return Ok(()) };
    let predicted = turn.moment.scheduler.predictions(turn.moment.now);
    for (waiting, finish) in turn.after.finishes(turn.after.free_at(turn.moment.now)) {
        let said = predicted.get(&waiting.id());
        Law::Estimate.demand(said == Some(&finish), || {
            format!("job {} is predicted to end at {said:?}, by its queue at {finish}", waiting.id())
        })?;
    }
    Ok(())
}
