//! The client side: what `mosel submit`, `mosel demo`, `mosel bench` and `mosel policy` are made of. Talks to a server over
//! HTTP like anybody else.

pub mod bench;
pub mod connection;
#[cfg(feature = "torch")]
pub mod demo;
#[cfg(feature = "torch")]
mod demo_page;
pub mod explain;
#[cfg(feature = "torch")]
mod fitting;
mod inputs;
pub mod policy;
pub mod replay;
pub mod simulate;
mod simulated;
pub mod spawned;
pub mod submit;
