//! Runs scheduling policies as WebAssembly components, with limits on memory, fuel and time.
//!
//! The road of a policy: [`Engine`] (once a process) compiles and checks a component to a [`Loaded`], the same bytes
//! once only, and that makes [`Instance`]s; a [`Policy`] is a `Loaded` with settings that replaces its instance whenever
//! that one trapped. What a policy has learned goes to the next one as [`Saved`] state.
//!
//! What a policy answers comes back as it was given: whether a proposal is legal is for the core to check. What this
//! crate promises is that every call ends within its budget, that its answer is bounded, and that a guest reaches
//! nothing but the four functions of `mosel:policy/host`.
//!
//! Where to start reading: [`Engine`], then `guest.rs`, the one place where guest code is entered.

mod bindings;
mod cache;
mod compiled;
mod contract;
mod convert;
mod engine;
mod error;
mod guest;
mod host;
mod instance;
mod limits;
mod loaded;
mod log;
mod log_limit;
mod meter;
mod policy;
mod saved;
mod stream;
mod ticker;

pub use contract::CONTRACT_VERSION;
pub use engine::Engine;
pub use error::{ConfigureError, LoadError};
pub use instance::{Decided, Instance};
pub use limits::{Budget, Limits, Metering, fuel_time};
pub use loaded::{Description, Loaded, Origin};
pub use log::{Level, LogLine};
pub use policy::Policy;
pub use saved::Saved;
