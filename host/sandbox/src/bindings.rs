//! What wasmtime makes of the contract.

#![allow(missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({ world: "scheduler", path: "../../sdk/wit" });

pub(crate) use exports::mosel::policy::policy::Guest as Exports;
pub(crate) use mosel::policy::{host, types};

/// The version of `mosel:policy` that this server speaks. Policies built for any 0.1 load.
pub const CONTRACT_VERSION: &str = "0.1.0";
