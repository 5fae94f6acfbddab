//! Servers in virtual time: what `mosel simulate`, `mosel replay`, `mosel bench figures` and `headline` are made of.
//!
//! A [`World`] is a model by its profile, devices that may be otherwise, and the scheduler's bounds; a [`Contestant`] is
//! a policy with its settings, run in the sandbox with fuel as its clock. The same world, contestant and arrivals give
//! the same run.

mod contestant;
mod past;
mod summary;
mod world;

pub(crate) use contestant::{Contestant, Workbench};
pub(crate) use past::{Past, Whatif};
pub(crate) use summary::{Column, comparison, percentile, row};
pub(crate) use world::World;
