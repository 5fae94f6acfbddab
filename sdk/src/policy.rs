//! What an author implements.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Capabilities, Catalog, Decision, Description, Outcome, PolicyError, Snapshot};

/// A scheduling policy.
///
/// Three functions are a policy: who it is, how it starts, what it answers. Calls never overlap, and come in this
/// order: `describe`, `configure`, `restore` perhaps, then the others as things happen. Each has a budget of time, fuel
/// and memory; a policy that exceeds one, or panics, is thrown away, and the next call goes to a fresh one, `configure`
/// first. Whatever a policy does, the server keeps every accuracy floor: an answer that breaks one is refused whole.
///
/// # State
///
/// A policy lives on between calls, so what it learns can simply be kept in its fields. What should outlive it, when
/// another version takes over, is handed on by [`save`](Policy::save) and [`restore`](Policy::restore), as bytes that
/// only the two of them understand. With [`state`](crate::state) that is a line each:
///
/// ```
/// use mosel_sdk::{Catalog, Decision, Description, NoSettings, Outcome, Policy, PolicyError, Snapshot, state};
/// use serde::{Deserialize, Serialize};
///
/// /// Keeps count of deadlines that were missed.
/// struct Watchful {
///     learned: Learnt,
/// }
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Learnt {
///     met: u64,
///     missed: u64,
/// }
///
/// impl Policy for Watchful {
///     type Settings = NoSettings;
///
///     fn describe() -> Description {
///         Description::new("watchful", "0.2.0", "Counts missed deadlines").stateful().feedback()
///     }
///
///     fn configure(_: NoSettings, _: &Catalog) -> Result<Watchful, PolicyError> {
///         Ok(Watchful { learned: Learnt::default() })
///     }
///
///     fn decide(&mut self, _: &Snapshot) -> Result<Decision, PolicyError> {
///         Ok(Decision::keep())
///     }
///
///     fn observe(&mut self, outcomes: &[Outcome]) {
///         let met = outcomes.iter().filter(|outcome| outcome.deadline_met).count();
///         self.learned.met += met as u64;
///         self.learned.missed += (outcomes.len() - met) as u64;
///     }
///
///     fn save(&self) -> Vec<u8> {
///         state::to_json(&self.learned)
///     }
///
///     fn restore(&mut self, name: &str, version: &str, state: &[u8]) -> Result<(), PolicyError> {
///         if name != "watchful" {
///             return Err(PolicyError::Unsupported(format!("knows its own state only, not that of {name} {version}")));
///         }
///         self.learned = state::from_json(state)?;
///         Ok(())
///     }
/// }
///
/// let mut policy = Watchful::configure(NoSettings {}, &Catalog::default()).unwrap();
/// policy.restore("watchful", "0.1.0", br#"{"met": 40, "missed": 2}"#).unwrap();
/// assert_eq!(policy.save(), br#"{"met":40,"missed":2}"#);
/// assert!(policy.restore("watchful", "0.1.0", b"garbage").is_err());
/// ```
pub trait Policy: Sized {
    /// What the operator can set, read from JSON. [`NoSettings`] if there is nothing to set.
    ///
    /// With `#[serde(default, deny_unknown_fields)]` everything can be left out and nothing can be misspelt. What does
    /// not read is refused with the path of the field and what was expected there.
    type Settings: DeserializeOwned + Default;

    /// Who the policy is. The same at every call.
    fn describe() -> Description;

    /// A policy with these settings. Refuse what you cannot work with: the operator sees the message.
    ///
    /// Models and tables may still be missing from the catalog, and be added later.
    fn configure(settings: Self::Settings, catalog: &Catalog) -> Result<Self, PolicyError>;

    /// New strategies for the queue. Jobs that the decision does not name keep theirs.
    ///
    /// The server refuses the whole answer if it names a job that is not in the snapshot, or one twice, or a strategy
    /// that is off the table or below the floor; if an order does not name every job; if a job that is on time as things
    /// are would be late; if objective or bound are no finite numbers, or the bound is below the objective.
    /// [`test::adopt`](crate::test::adopt) checks the same. After a refusal, an error or no answer in time the server
    /// itself moves jobs to faster strategies.
    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError>;

    /// The catalog has grown; every [`Snapshot`] brings it along, so most policies need not care.
    fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        let _ = catalog;
        Ok(())
    }

    /// What became of jobs since the last call. Asked for by [`Description::feedback`].
    fn observe(&mut self, outcomes: &[Outcome]) {
        let _ = outcomes;
    }

    /// State for a successor, at most 1 MiB ([`state::MOST_BYTES`](crate::state::MOST_BYTES)). Asked for by
    /// [`Description::stateful`].
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes over what the policy of this name and version saved. To refuse is fine: the policy then starts without, as
    /// it does if nothing was saved.
    fn restore(&mut self, name: &str, version: &str, state: &[u8]) -> Result<(), PolicyError> {
        let _ = state;
        Err(PolicyError::Unsupported(format!("keeps no state, so nothing of {name} {version} can be taken over")))
    }
}

/// Settings of a policy that has none: `{}`, and anything else is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Made in one expression, with what the policy has beside its name:
///
/// ```
/// use mosel_sdk::{Capabilities, Description};
///
/// let description = Description::new("calm", "0.1.0", "Gives time back").eager().settings_schema("{}");
/// assert_eq!(description.capabilities, Capabilities::EAGER);
/// ```
impl Description {
    /// A policy without state, feedback and settings. At most 64 bytes of name and of version, 1 KiB of summary.
    pub fn new(name: &str, version: &str, summary: &str) -> Description {
        Description {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            capabilities: Capabilities::empty(),
            config_schema: String::new(),
        }
    }

    /// Its state is worth handing to a successor: [`Policy::save`] and [`Policy::restore`] are called.
    pub fn stateful(self) -> Description {
        self.with(Capabilities::STATEFUL)
    }

    /// It wants to be told what became of jobs: [`Policy::observe`] is called.
    pub fn feedback(self) -> Description {
        self.with(Capabilities::FEEDBACK)
    }

    /// It wants to be asked after every change while some waiting job is not on its most accurate strategy, so that it
    /// can give time back that was gained. Others are asked only when a deadline would be missed.
    pub fn eager(self) -> Description {
        self.with(Capabilities::EAGER)
    }

    /// The JSON Schema of its settings, at most 64 KiB.
    pub fn settings_schema(mut self, schema: &str) -> Description {
        self.config_schema = schema.into();
        self
    }

    fn with(mut self, capability: Capabilities) -> Description {
        self.capabilities |= capability;
        self
    }
}
