//! The server: it owns the clock, the threads, the wire and the models, and lets the core decide.
//!
//! Where to start reading: [`server`] (from the first to the last moment), then one job's path: `http` (from bytes to a
//! job), [`jobs`] (what it came with, what came out), [`driver`] (steps the core), [`device`] (runs batches),
//! [`planner`] (asks the policy), [`certificate`] (what the client is told in the end). How policies come and go is in
//! [`policies`]; how they do, in [`stats`] and [`metrics`].

pub mod certificate;
pub mod config;
pub mod device;
pub mod driver;
pub mod error_code;
pub mod explained;
pub mod feedback;
mod http;
pub mod jobs;
pub mod lane_devices;
pub mod metrics;
pub mod model_loader;
pub mod model_registry;
pub mod planner;
pub mod policies;
pub mod recorder;
pub mod reference;
pub mod served;
pub mod server;
pub mod service;
pub mod shared_catalog;
pub mod stats;
