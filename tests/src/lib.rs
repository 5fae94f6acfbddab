//! What the tests over the whole workspace share.

pub mod queue;
