//! Why another policy was not put in place.

use thiserror::Error;

use super::store::StoreError;

/// Why another policy was not put in place. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum SwapError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sandbox does not take the component.
    #[error("the policy {0} was refused when it was loaded: {1}")]
    Load(String, String),
    /// The policy does not take its settings.
    #[error("the policy {0} was refused when it was configured: {1}")]
    Configure(String, String),
    /// It did not answer a snapshot of the queues as they are now, or of one that is made up.
    #[error("the policy {name} was refused at its rehearsal: {words}")]
    Rehearsal {
        /// Which.
        name: String,
        /// The reason's short name.
        kind: String,
        /// The reason.
        words: String,
    },
    /// No other policy was in place before, or it failed too often.
    #[error("expected a policy that was in place before, {0}")]
    NothingToRollBackTo(&'static str),
    /// Somebody else put another policy in place meanwhile.
    #[error("another policy was put in place meanwhile")]
    Overtaken,
    /// The machine gives no thread.
    #[error("no thread could be started: {0}")]
    NoThread(String),
    /// The planner panicked meanwhile and was started again; which policy it asks now is in `GET /v1/policy`.
    #[error("the planner failed while it put the policy in place")]
    Interrupted,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}
