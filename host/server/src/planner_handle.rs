//! The planner as others see it: where questions and changes of policy are put.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use mosel_core::Snapshot;
use mosel_sandbox::{RunningPolicy, SavedState};

use crate::policies::installed::InstalledPolicy;

/// The planner as others see it.
#[derive(Clone, Debug)]
pub(crate) struct PlannerHandle(SyncSender<Order>);

/// Something for the planner.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask the policy; the answer goes to the driver.
    Ask(Snapshot),
    /// From now on, ask another one.
    Install(Box<Install>),
    /// Outcomes wait to be told, or more models are there.
    Outcomes,
}

/// Another policy to put in place.
#[derive(Debug)]
pub(crate) struct Install {
    /// Which policy, and which installation.
    pub(crate) installed: InstalledPolicy,
    /// What is asked.
    pub(crate) policy: RunningPolicy,
    /// What it left when it was in place before; used if the one in place leaves nothing.
    pub(crate) left: Option<Arc<SavedState>>,
    /// Is sent the one that it replaces once that is so.
    pub(crate) done: SyncSender<Installation>,
}

/// Another policy is in place.
#[derive(Debug)]
pub(crate) struct Installation {
    /// The one before; whoever waits drops it, not the planner.
    pub(crate) replaced: RunningPolicy,
    /// What became of its state.
    pub(crate) transfer: StateTransfer,
    /// Its state.
    pub(crate) left: Option<SavedState>,
}

/// What became of a policy's state when another one took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StateTransfer {
    /// One of the two keeps none.
    None,
    /// The new one has it.
    Over,
    /// The new one has what it had when it was in place before.
    Back,
    /// The new one starts without; why.
    Lost(String),
}

impl Order {
    /// What the planner does about it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Order::Ask(_) => "asks the policy",
            Order::Install(_) => "puts a policy in place",
            Order::Outcomes => "looks for outcomes",
        }
    }
}

impl PlannerHandle {
    /// A handle for so many lanes, and where its thread finds what is put there.
    pub(crate) fn new(lanes: u32) -> (PlannerHandle, Receiver<Order>) {
        let (orders, taken) = sync_channel(most_orders(lanes));
        (PlannerHandle(orders), taken)
    }

    /// Asks the policy; false if the planner has too much to do. Never waits.
    pub(crate) fn ask(&self, snapshot: Snapshot) -> bool {
        self.0.try_send(Order::Ask(snapshot)).is_ok()
    }

    /// Says that there is something to tell policies; false if the planner has too much to do. Never waits.
    pub(crate) fn wake(&self) -> bool {
        self.0.try_send(Order::Outcomes).is_ok()
    }

    /// Puts another policy in place after whatever waits; false if the planner has ended.
    pub(crate) fn install(&self, install: Install) -> bool {
        self.0.send(Order::Install(Box::new(install))).is_ok()
    }
}

/// Orders that may wait for the planner: a question a lane, a change of policy, the questions that it makes the lanes
/// ask anew, and a word of outcomes: two, if the planner looks for outcomes just when it is being told; and one of models.
fn most_orders(lanes: u32) -> usize {
    2 * lanes as usize + 4
}
