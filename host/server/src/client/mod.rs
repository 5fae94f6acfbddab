//! The client side: what `mosel submit`, `mosel demo` and `mosel bench` are made of. Talks to a server over
//! HTTP like anybody else.

pub mod bench;
pub mod connection;
#[cfg(feature = "torch")]
pub mod demo;
pub mod spawned;
pub mod submit;
