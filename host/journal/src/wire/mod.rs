//! How the core's nouns are written. The core knows nothing of it: what is written stays readable when it changes.

mod action;
mod checkpoint;
mod event;
mod job;
mod mode;
mod number;
mod profile;
mod written_action;

pub(crate) use action::ActionLine;
pub(crate) use checkpoint::CheckpointLine;
pub(crate) use event::EventLine;
pub(crate) use profile::{ConfigLine, ModelLine};
pub(crate) use written_action::WrittenAction;

use std::time::Duration;

/// Whole nanoseconds; what is beyond 584 years is 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
