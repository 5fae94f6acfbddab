//! The policies there are, and the one in place: how another one gets there without stopping anything.
//!
//! Where to start reading: [`shelf`] (which there are), [`workshop`] (from bytes to something that can be asked),
//! [`swap`] (how it gets in place); then what happens around that: [`rollback`], [`shadow`], [`watch`].

mod rehearsal;
pub mod rollback;
pub mod shadow;
pub mod shelf;
pub mod swap;
pub mod watch;
pub mod workshop;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use mosel_sandbox::{Description, LoadedPolicy};

use crate::driver::Driver;
use crate::feedback::Feedback;
use crate::jobs::{ByteBudget, PolicyTag};
use crate::metrics::Metrics;
use crate::planner::{Order, Place};
use crate::stats::PolicyStats;
use rollback::Rule;
use shadow::Stage;
use shelf::{Component, Listed, ShelfError, Source};
use swap::{Active, Changing, Standing, SwapError};
pub use workshop::{Trial, Workshop};

/// Prepares, tries and installs policies.
pub struct Policies {
    workshop: Workshop,
    lanes: u32,
    rule: Rule,
    driver: Arc<Driver>,
    planner: SyncSender<Order>,
    stage: Arc<Stage>,
    feedback: Arc<Feedback>,
    metrics: Arc<Metrics>,
    /// Components that are being received.
    receiving: Arc<ByteBudget>,
    changing: Mutex<()>,
    standing: Mutex<Standing>,
}

/// What policies are kept with.
pub struct Parts {
    /// Prepares them.
    pub workshop: Workshop,
    /// Lanes that they answer for.
    pub lanes: u32,
    /// When one has failed too often.
    pub rule: Rule,
    /// Where the queues are.
    pub driver: Arc<Driver>,
    /// Asks the one in place.
    pub planner: SyncSender<Order>,
    /// Where another one may watch.
    pub stage: Arc<Stage>,
    /// Where it is said who wants to know what became of jobs.
    pub feedback: Arc<Feedback>,
    /// Where changes are counted.
    pub metrics: Arc<Metrics>,
    /// The policy in place: the planner has been started with it.
    pub active: Active,
}

/// A policy on the shelf, with what it says of itself if it was compiled lately.
pub type Known = (Listed, Option<Description>);

/// A component that was put onto the shelf.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// It, compiled.
    pub loaded: LoadedPolicy,
    /// Another one of its name made place for it.
    pub replaced: bool,
    /// That other one is in place, and stays there until it is changed.
    pub older_in_place: bool,
}

/// Components of the largest size that may be received at a time.
const RECEIVED_AT_A_TIME: u64 = 2;

impl Policies {
    /// With one in place.
    pub fn new(parts: Parts) -> Policies {
        let Parts { workshop, lanes, rule, driver, planner, stage, feedback, metrics, active } = parts;
        let receiving = ByteBudget::new(RECEIVED_AT_A_TIME * workshop.engine.limits().component_bytes as u64);
        let standing = Mutex::new(Standing { active, previous: None, last_rollback: None });
        let changing = Mutex::default();
        Policies { workshop, lanes, rule, driver, planner, stage, feedback, metrics, receiving, changing, standing }
    }

    /// Every policy there is.
    pub fn list(&self) -> Vec<Known> {
        let describe = |listed: Listed| {
            let loaded = listed.hash.as_ref().and_then(|hash| self.workshop.compiled(hash));
            (listed, loaded.map(|loaded| loaded.description().clone()))
        };
        self.workshop.shelf.list().into_iter().map(describe).collect()
    }

    /// The policy in place.
    pub fn active(&self) -> Active {
        self.lock().active.clone()
    }

    /// The policy in place, and the one before.
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }

    /// Room for components that are being received.
    pub fn receiving(&self) -> &Arc<ByteBudget> {
        &self.receiving
    }

    /// The largest component.
    pub fn most_component_bytes(&self) -> u64 {
        self.workshop.engine.limits().component_bytes as u64
    }

    /// A component of this name and size could be put onto the shelf.
    pub fn check_room(&self, name: &str, bytes: u64) -> Result<(), ShelfError> {
        self.workshop.shelf.check_room(name, bytes)
    }

    /// Compiles and checks a component and puts it onto the shelf. What is in place stays there.
    pub fn push(&self, name: &str, bytes: Bytes) -> Result<Pushed, SwapError> {
        self.check_room(name, bytes.len() as u64)?;
        let component = Component { hash: shelf::hash(&bytes), bytes, source: Source::Pushed };
        let loaded = self.workshop.load(name, &component)?;
        let replaced = self.workshop.shelf.put(name, component.bytes, &component.hash)?;
        let in_place = self.active().tag;
        let older_in_place = in_place.name == name && in_place.hash != component.hash;
        Ok(Pushed { loaded, replaced, older_in_place })
    }

    /// Takes a component off the shelf, unless it is used.
    pub fn remove(&self, name: &str) -> Result<(), ShelfError> {
        let _changing = self.changing();
        if self.active().tag.name == name && mosel_policies::shipped(name).is_none() {
            return Err(ShelfError::InUse(name.into(), "in place"));
        }
        if self.shadow().is_some_and(|shadow| shadow.name == name) && mosel_policies::shipped(name).is_none() {
            return Err(ShelfError::InUse(name.into(), "the shadow"));
        }
        self.workshop.shelf.remove(name)
    }

    fn place(&self, tag: PolicyTag) -> Place {
        place(tag, self.rule, &self.metrics)
    }

    fn changing(&self) -> Changing<'_> {
        self.changing.lock().expect("nobody panics while installing a policy")
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("nobody panics while looking at what is in place")
    }
}

/// A place for a policy, with counters that start at nothing.
pub fn place(tag: PolicyTag, rule: Rule, metrics: &Metrics) -> Place {
    let stats = PolicyStats::new(rule, metrics.of_policy(&tag.name));
    Place { tag: tag.into(), stats: stats.into() }
}
