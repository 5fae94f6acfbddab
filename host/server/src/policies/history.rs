//! The policy in place and the one before it.

use std::sync::Arc;

use mosel_sandbox::SavedState;

use super::installed::InstalledPolicy;
use crate::jobs::PolicyTag;
use crate::planner_handle::StateTransfer;

/// The policy in place, and what a rollback would bring back.
#[derive(Clone, Debug)]
pub(crate) struct PolicyHistory {
    /// The policy in place.
    pub(crate) active: InstalledPolicy,
    /// The one before.
    pub(crate) previous: Option<PreviousPolicy>,
    /// The last return to the one before.
    pub(crate) last_rollback: Option<Rollback>,
}

/// A policy that was in place before.
#[derive(Clone, Debug)]
pub(crate) struct PreviousPolicy {
    /// Which.
    pub(crate) active: InstalledPolicy,
    /// It was taken out since it failed too often.
    pub(crate) failed: bool,
    pub(super) left: Option<Arc<SavedState>>,
}

/// A return to the policy before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rollback {
    /// Which policy was in place.
    pub(crate) from: Arc<PolicyTag>,
    /// Which came back.
    pub(crate) to: Arc<PolicyTag>,
    /// Why.
    pub(crate) reason: String,
    /// Nobody asked for it.
    pub(crate) automatic: bool,
}

/// Another policy is in place.
#[derive(Clone, Debug)]
pub(crate) struct PolicyChange {
    /// Which.
    pub(crate) active: InstalledPolicy,
    /// What became of the state of the one before.
    pub(crate) transfer: StateTransfer,
}
