//! The server: it owns the clock, the threads, the wire and the models, and lets the core decide.
//!
//! Where to start reading: [`Server`] (from the first to the last moment) and `service` (what it is put together from),
//! then one job's path: `http` (from bytes to a job), `jobs` (what it came with, what came out), `driver` (steps the
//! core), `lane` and `device` (run batches), `planner_handle` and `planner` (ask the policy), `certificate` (what the
//! client is told in the end). How policies come and go is in `policies`; how they do, in `stats` and `metrics`; who may do
//! what, in `auth`; which threads there are, and what happens when one dies, in `supervisor`.

mod auth;
mod build_time;
mod byte_budget;
mod certificate;
pub mod config;
mod descriptors;
mod device;
mod driver;
mod edge_thread;
mod error_code;
mod event_sink;
mod explained;
mod feedback;
mod http;
mod http_meters;
mod jobs;
mod journal;
mod kept_jobs;
mod lane;
mod lane_devices;
mod lane_restart;
mod metrics;
mod model_build;
mod model_loader;
mod model_registry;
mod network;
mod output_queue;
mod planner;
mod planner_handle;
mod policies;
mod preparation;
mod pulse;
mod recorder;
pub mod reference;
mod served;
mod server;
mod service;
mod shared_catalog;
mod shares;
mod signals;
mod stats;
mod supervisor;
mod tenant;
mod watchdog;
mod wire_id;
mod work_pool;

pub use auth::{NewToken, Right, TokenPurpose, local_admin_token};
pub use config::{Config, Overrides};
pub use explained::job_explanation;
pub use lane_devices::LaneDevices;
pub use model_build::Build;
pub use output_queue::OutputQueue;
pub use served::{ModelSource, ServedModel, load_models};
pub use server::{GIVEN_UP, Server, Stop, Stopped};
pub use signals::exit_at_once;

/// What reads strangers' bytes, for targets of cargo-fuzz: see `fuzz/`.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use crate::error_code::ErrorCode;
    pub use crate::http::fuzzing::{BOUNDARY, read_json, read_multipart};
}
