//! What an author implements.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Catalog, Decision, Description, Outcome, PolicyError, Snapshot};

/// A scheduling policy.
///
/// Calls never overlap. Each has a budget of time, fuel and memory; a policy that exceeds one, or panics, is thrown
/// away, and the next call goes to a fresh one, `configure` first. Whatever a policy does, the server keeps every
/// accuracy floor: an answer that breaks one is refused whole.
pub trait Policy: Sized {
    /// What the operator can set, read from JSON. [`NoSettings`] if there is nothing to set.
    type Settings: DeserializeOwned + Default;

    /// Who the policy is. The same at every call.
    fn describe() -> Description;

    /// A policy with these settings. Refuse what you cannot work with: the operator sees the message.
    fn configure(settings: Self::Settings, catalog: &Catalog) -> Result<Self, PolicyError>;

    /// New strategies for the queue. Jobs that the decision does not name keep theirs.
    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError>;

    /// The catalog has grown; every [`Snapshot`] brings it along, so most policies need not care.
    fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        let _ = catalog;
        Ok(())
    }

    /// What became of jobs since the last call. Asked for by [`Capabilities::FEEDBACK`](crate::Capabilities::FEEDBACK).
    fn observe(&mut self, outcomes: &[Outcome]) {
        let _ = outcomes;
    }

    /// State for a successor. Asked for by [`Capabilities::STATEFUL`](crate::Capabilities::STATEFUL).
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes over what the policy of this name and version saved. Without it a policy starts afresh.
    fn restore(&mut self, name: &str, version: &str, state: &[u8]) -> Result<(), PolicyError> {
        let _ = state;
        Err(PolicyError::Unsupported(format!("keeps no state, so nothing of {name} {version} can be taken over")))
    }
}

/// Settings of a policy that has none: `{}`, and anything else is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Description {
    /// A policy without state, feedback and settings; set the other fields for one that has them.
    pub fn new(name: &str, version: &str, summary: &str) -> Description {
        Description {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            capabilities: crate::Capabilities::empty(),
            config_schema: String::new(),
        }
    }
}
