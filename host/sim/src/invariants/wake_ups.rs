//! Wake-ups: the scheduler has no clock, so whatever falls due has to be asked for.

use mosel_core::{Action, Checkpoint, Event, LaneState, Time};

use super::invariant::{Breach, Invariant};
use super::transition::Transition;

/// The wake-up that the driver knows of.
#[derive(Debug, Default)]
pub(super) struct WakeUps {
    at: Option<Time>,
}

impl WakeUps {
    pub(super) fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        let woken = *transition.event == Event::WakeUp;
        if woken {
            self.at = None;
        }
        let asked_for = transition.actions.iter().rev().find_map(|action| match action {
            Action::WakeAt(at) => Some(*at),
            _ => None,
        });
        self.at = asked_for.or(self.at);
        self.check_known(transition.after)?;
        let now = transition.now;
        Invariant::WakeUp.demand(!woken || asked_for.is_none_or(|at| at >= now), || {
            format!("woken at {now} it asks to be woken at {asked_for:?}: it will be woken for ever")
        })
    }

    fn check_known(&self, after: &Checkpoint) -> Result<(), Breach> {
        Invariant::WakeUp.demand(after.wake_at == self.at, || {
            format!("it waits for a wake-up at {:?}, asked for was {:?}", after.wake_at, self.at)
        })?;
        let runs = after.lanes.iter().any(|lane| lane.running.is_some());
        Invariant::WakeUp
            .demand(!runs || self.at.is_some(), || "a batch runs, and nobody will look whether it ever ends".into())?;
        let Some(due) = after.lanes.iter().filter_map(due).min() else { return Ok(()) };
        Invariant::WakeUp.demand(self.at.is_some_and(|at| at <= due), || {
            format!("something is due at {due}, the wake-up is at {:?}", self.at)
        })
    }
}

/// The next time at which something has to be looked at though nothing happens.
fn due(lane: &LaneState) -> Option<Time> {
    let waiting = lane.entries.iter().filter(|entry| !entry.given_up && !entry.pending.is_empty());
    let deadlines = waiting.map(|entry| entry.job.deadline);
    deadlines.chain(lane.question.iter().map(|question| question.1)).min()
}
