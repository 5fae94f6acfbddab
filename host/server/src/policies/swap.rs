//! How another policy gets in place.

use std::sync::mpsc::sync_channel;

use mosel_core::{Plan, Snapshot, Trigger};
use mosel_sandbox::Policy;
use thiserror::Error;

use super::{Active, Policies};
use crate::planner::Order;

/// Why another policy was not put in place. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SwapError {
    /// Not a name.
    #[error("expected a policy's name of letters, digits, - and _, {0:?} came")]
    BadName(String),
    /// Nothing of this name on the shelf.
    #[error("expected one of the policies {known}, {name:?} came")]
    Unknown {
        /// The name that came.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The file is there and cannot be read.
    #[error("the policy {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The sandbox does not take the component.
    #[error("the policy {0} was refused when it was loaded: {1}")]
    Load(String, String),
    /// The policy does not take its settings.
    #[error("the policy {0} was refused when it was configured: {1}")]
    Configure(String, String),
    /// It did not answer a snapshot of the queue as it is now.
    #[error("the policy {0} was refused at its rehearsal on the current queue: {1}")]
    Rehearsal(String, String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl Policies {
    /// Puts another policy in place, if it can be loaded and answers for the queues as they are now. Blocks until
    /// it is asked instead of the one before.
    pub fn swap(&self, name: &str, settings: &str) -> Result<Active, SwapError> {
        let mut ready = self.workshop.prepare(name, settings)?;
        self.rehearse(name, &mut ready.policy)?;
        // held while installing: two swaps at a time must leave the same policy here and in the planner
        let mut active = self.lock();
        let (waiting, in_place) = sync_channel(0);
        let order = Order::Install(ready.active.tag.clone(), Box::new(ready.policy), waiting);
        self.planner.send(order).map_err(|_| SwapError::Stopping)?;
        // the planner says nothing, it lets go
        let _ = in_place.recv();
        *active = ready.active;
        Ok(active.clone())
    }

    fn rehearse(&self, name: &str, policy: &mut Policy) -> Result<(), SwapError> {
        let lanes = self.lanes;
        let snapshots = self.driver.look(|scheduler, now| {
            (0..lanes).map(|lane| scheduler.snapshot(lane, Trigger::Rehearsal, now)).collect::<Vec<Snapshot>>()
        });
        for snapshot in snapshots {
            let refused = |reason: String| SwapError::Rehearsal(name.into(), reason);
            let proposal = policy.decide(&snapshot).answer.map_err(|error| refused(error.to_string()))?;
            Plan::check(&snapshot, &self.workshop.catalog, &proposal).map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }
}
