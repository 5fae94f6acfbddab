//! `mosel bench`: measures the server, and policies, one measurement a file.

pub mod efficiency;
pub mod http;
pub mod lanes;
mod native;
pub mod policy;
mod rows;
pub mod serve;
pub mod swaps;
