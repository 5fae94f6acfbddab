//! The policies there are, and the one in place: how another one gets there without stopping anything.

mod shelf;
mod swap;
mod workshop;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard};

pub use shelf::{Listed, Shelf};
pub use swap::SwapError;
pub use workshop::{Ready, Workshop};

use crate::driver::Driver;
use crate::jobs::PolicyTag;
use crate::planner::Order;

/// Prepares, tries and installs policies.
pub struct Policies {
    workshop: Workshop,
    lanes: u32,
    driver: Arc<Driver>,
    planner: SyncSender<Order>,
    active: Mutex<Active>,
}

/// The policy in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Active {
    /// Which.
    pub tag: Arc<PolicyTag>,
    /// What it says of itself.
    pub version: String,
    /// What it says of itself.
    pub summary: String,
    /// JSON text it was configured with.
    pub settings: String,
}

impl Policies {
    /// With this policy in place: the planner has been started with it.
    pub fn new(
        workshop: Workshop,
        lanes: u32,
        driver: Arc<Driver>,
        planner: SyncSender<Order>,
        active: Active,
    ) -> Self {
        Policies { workshop, lanes, driver, planner, active: Mutex::new(active) }
    }

    /// Every policy there is.
    pub fn list(&self) -> Vec<Listed> {
        self.workshop.shelf.list()
    }

    /// The policy in place.
    pub fn active(&self) -> Active {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().expect("nobody panics while installing a policy")
    }
}
