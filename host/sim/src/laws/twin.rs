//! The checkpoint law: a scheduler that was written down and taken up again lives beside the one that was not.

use mosel_core::Scheduler;

use super::turn::Moment;
use super::{Breach, Law};

/// Every so many events the twin is replaced by one that was resumed from a new checkpoint.
const PERIOD: u32 = 16;

/// The resumed scheduler.
#[derive(Debug, Default)]
pub(super) struct Twin {
    scheduler: Option<Scheduler>,
    /// Events that it has lived through.
    age: u32,
}

impl Twin {
    pub(super) fn check(&mut self, moment: &Moment<'_>) -> Result<(), Breach> {
        if let Some(twin) = &mut self.scheduler {
            let actions = twin.step(moment.now, moment.event.clone());
            let age = self.age;
            Law::Checkpoint.demand(actions == moment.actions, || {
                format!("{age} events after it was resumed it says {actions:?}, the other {:?}", moment.actions)
            })?;
        }
        self.age += 1;
        if self.scheduler.is_none() || self.age == PERIOD {
            self.scheduler = Some(resume(moment)?);
            self.age = 0;
        }
        Ok(())
    }
}

fn resume(moment: &Moment<'_>) -> Result<Scheduler, Breach> {
    let Moment { scheduler, after, .. } = *moment;
    let resumed = Scheduler::resume(scheduler.config().clone(), scheduler.models().to_vec(), after)
        .or_else(|error| Law::Checkpoint.broken(format!("its own checkpoint is not taken up: {error}")))?;
    Law::Checkpoint.demand(resumed.checkpoint() == *after, || {
        format!("written down again it is {:?}, it was {after:?}", resumed.checkpoint())
    })?;
    Ok(resumed)
}
