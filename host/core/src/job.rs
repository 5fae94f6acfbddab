//! Jobs: what an application submits.

use std::fmt;
use std::hash::Hasher;

use fnv::FnvHasher;

use crate::{ModelId, Time};

/// Names a job; given by the driver, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// A batch of requests for one model, with a service-level objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// The model it is for.
    pub model: ModelId,
    /// How many requests, at least 1.
    pub requests: u32,
    /// When it has to be finished.
    pub deadline: Time,
    /// The floor: the least mean accuracy over its requests, in 0..=1.
    pub min_accuracy: f64,
    /// Importance relative to other jobs, positive; 1 by default.
    pub weight: f64,
    /// Who it is for, as far as policies tell jobs apart.
    pub tenant: Tenant,
    /// What to do once the deadline cannot be met.
    pub on_late: OnLate,
}

/// Names a tenant: the FNV-1a hash (64 bits; Fowler, Noll, Vo) of what clients call it, so that policies are handed
/// a number that is the same on every server. 0 is nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u64);

impl Tenant {
    /// The tenant of this name; nobody if it is empty.
    pub fn named(name: &str) -> Tenant {
        if name.is_empty() {
            return Tenant(0);
        }
        let mut hasher = FnvHasher::default();
        hasher.write(name.as_bytes());
        Tenant(hasher.finish())
    }
}

/// The job's wish for the case that its deadline cannot be met any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLate {
    /// Run it all the same, after every job that can still be on time.
    #[default]
    Run,
    /// Give it up and free its place.
    Drop,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
