//! `mosel bench`: measures the server, and policies, one measurement a file.

#[cfg(feature = "torch")]
pub mod efficiency;
pub mod http;
#[cfg(feature = "torch")]
pub mod lanes;
mod native;
pub mod policy;
#[cfg(feature = "torch")]
mod rows;
pub mod serve;
pub mod swaps;
