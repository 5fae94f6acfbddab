//! Where threads report what happened: all that a device thread or the planner knows of the driver.

use mosel_core::{DecisionId, Event};

use crate::jobs::DeferredWakeups;
use crate::policies::installed::InstalledPolicy;

/// Takes what threads report. Whoever reports waits for one step of the core at most.
pub(crate) trait EventSink: Send + Sync {
    /// Something happened. Clients that this lets go on are woken when the answer is dropped.
    fn handle(&self, event: Event) -> DeferredWakeups;

    /// Another policy is asked from now on.
    fn policy_installed(&self, policy: InstalledPolicy, eager: bool);

    /// The answer to this question is still wanted.
    fn awaits(&self, question: DecisionId) -> bool;
}
