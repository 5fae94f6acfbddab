//! What a component is compiled to: code that is checked and linked, and who the policy says it is.

use crate::Description;
use crate::bindings::SchedulerPre;
use crate::host::Host;

/// A compiled and checked policy, shared by all that are loaded from the same bytes.
pub(crate) struct CompiledPolicy {
    pub(crate) code: SchedulerPre<Host>,
    /// SHA-256 of the component, in hex.
    pub(crate) hash: String,
    pub(crate) description: Description,
}
