//! Runs scheduling policies as WebAssembly components, with limits on memory, fuel and time.
//!
//! The stages of a policy: [`Engine`] (once a process) compiles and checks a component to a [`LoadedPolicy`], the same
//! bytes once only, which is configured to any number of [`Instance`]s; a [`RunningPolicy`] is a loaded policy with
//! settings that replaces its instance whenever that one trapped. What it has learned goes to the next one as
//! [`SavedState`].
//!
//! What a policy answers comes back as it was given: whether a decision is legal is for the core to check. What this
//! crate promises is that every call ends within its budget, that its answer is bounded, and that a guest reaches
//! nothing but the four functions of `mosel:policy/host`.
//!
//! Where to start reading: [`Engine`], then `guest.rs`, the one place where guest code is entered.

mod bindings;
mod compiled_policy;
mod contract;
mod convert;
mod description;
mod disk_cache;
mod engine;
mod error;
mod guest;
mod host;
mod instance;
mod limits;
mod loaded_policy;
mod log;
mod log_limit;
mod memory_cache;
mod meter;
mod running_policy;
mod runtime;
mod saved_state;
mod stream;
mod ticker;

pub use bindings::CONTRACT_VERSION;
pub use description::Description;
pub use engine::Engine;
pub use error::{ConfigureError, LoadError};
pub use instance::{Instance, MeteredReply};
pub use limits::{Budget, Limits, Metering, fuel_time};
pub use loaded_policy::{LoadedPolicy, Origin};
pub use log::{Level, LogLine};
pub use running_policy::RunningPolicy;
pub use saved_state::SavedState;
