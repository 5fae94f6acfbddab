//! The policies there are, and the one in place: how another one gets there without stopping anything.
//!
//! Where to start reading: [`store`] (which there are), [`loader`] (from bytes to something that can be asked),
//! [`control`] (how it gets in place). A policy is *stored*, *loaded* (compiled), [`prepared`] (configured, and
//! rehearsed: [`rehearsal`]), [`installed`] and, once another one is, part of the [`history`]. Around that:
//! [`failures`] and [`rollback`], [`shadow`], [`watch`].

pub(crate) mod control;
pub(crate) mod error;
pub(crate) mod failures;
pub(crate) mod history;
pub(crate) mod installed;
pub(crate) mod loader;
pub(crate) mod prepared;
mod rehearsal;
pub(crate) mod rollback;
pub(crate) mod shadow;
pub(crate) mod store;
pub(crate) mod watch;
