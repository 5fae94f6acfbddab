//! What wasmtime makes of the contract.

#![allow(missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({ world: "scheduler", path: "../../sdk/wit" });

pub(crate) use exports::mosel::policy::policy::Guest as Exports;
pub(crate) use mosel::policy::{host, types};
