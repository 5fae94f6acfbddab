//! The checkpoint invariant: a scheduler that was written down and taken up again runs beside the one that was not.

use mosel_core::Scheduler;

use super::invariant::{Breach, Invariant};
use super::transition::Transition;

/// Every so many events the resumed is replaced by one that was resumed from a new checkpoint.
const PERIOD: u32 = 16;

/// The resumed scheduler.
#[derive(Debug, Default)]
pub(super) struct ResumeCheck {
    scheduler: Option<Scheduler>,
    /// Events that it has ran through.
    age: u32,
}

impl ResumeCheck {
    pub(super) fn check(&mut self, transition: &Transition<'_>) -> Result<(), Breach> {
        if let Some(resumed) = &mut self.scheduler {
            let actions = resumed.step(transition.now, transition.event.clone());
            let age = self.age;
            Invariant::Checkpoint.demand(actions == transition.actions, || {
                format!("{age} events after it was resumed it says {actions:?}, the other {:?}", transition.actions)
            })?;
        }
        self.age += 1;
        if self.scheduler.is_none() || self.age == PERIOD {
            self.scheduler = Some(resume(transition)?);
            self.age = 0;
        }
        Ok(())
    }
}

fn resume(transition: &Transition<'_>) -> Result<Scheduler, Breach> {
    let Transition { scheduler, after, .. } = *transition;
    let resumed = Scheduler::resume(scheduler.config().clone(), scheduler.models().to_vec(), after)
        .or_else(|error| Invariant::Checkpoint.broken(format!("its own checkpoint is not taken up: {error}")))?;
    Invariant::Checkpoint.demand(resumed.checkpoint() == *after, || {
        format!("written down again it is {:?}, it was {after:?}", resumed.checkpoint())
    })?;
    Ok(resumed)
}
