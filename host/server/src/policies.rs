//! The policies there are, and the one in place: how another one gets there without stopping anything.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};

use mosel_core::{Catalog, Plan, Snapshot, Trigger};
use mosel_sandbox::{Engine, Policy};
use thiserror::Error;

use crate::driver::Driver;
use crate::jobs::PolicyTag;
use crate::planner::Order;

/// Where components are found: those that are shipped, then NAME.wasm in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    dir: Option<PathBuf>,
}

/// A policy on the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is asked for by.
    pub name: String,
    /// It came with the server.
    pub shipped: bool,
}

/// What a policy is prepared with.
pub struct Workshop {
    /// Where its component is found.
    pub shelf: Shelf,
    /// What compiles and bounds it.
    pub engine: Engine,
    /// The models and menus it is told about.
    pub catalog: Catalog,
    /// What its random numbers are drawn from.
    pub seed: u64,
}

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

/// A policy that is compiled and configured, and was not asked anything yet.
pub struct Ready {
    /// What it will be known as.
    pub active: Active,
    /// It.
    pub policy: Policy,
}

/// Why another policy was not put in place. The one before stays.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SwapError {
    /// Not a name.
    #[error("expected a policy's name of letters, digits, - and _, {0:?} came")]
    BadName(String),
    /// Nothing of this name on the shelf.
    #[error("expected one of the policies {known}, {name:?} came")]
    Unknown {
        /// The name that came.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The file is there and cannot be read.
    #[error("the policy {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The sandbox does not take the component.
    #[error("the policy {0} was refused when it was loaded: {1}")]
    Load(String, String),
    /// The policy does not take its settings.
    #[error("the policy {0} was refused when it was configured: {1}")]
    Configure(String, String),
    /// It did not answer a snapshot of the queue as it is now.
    #[error("the policy {0} was refused at its rehearsal on the current queue: {1}")]
    Rehearsal(String, String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl Shelf {
    /// The shipped policies, and those of this directory if it is named.
    pub fn new(dir: &Path) -> Shelf {
        Shelf { dir: (!dir.as_os_str().is_empty()).then(|| dir.to_owned()) }
    }

    /// Every policy, by name; the directory is read anew each time.
    pub fn list(&self) -> Vec<Listed> {
        let shipped = mosel_policies::SHIPPED.iter().map(|(name, _)| Listed { name: (*name).into(), shipped: true });
        let mut listed: Vec<Listed> = shipped.collect();
        let entries = self.dir.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_str().and_then(|file| file.strip_suffix(".wasm")).map(str::to_owned);
            if let Some(name) = name.filter(|name| is_name(name) && listed.iter().all(|other| other.name != *name)) {
                listed.push(Listed { name, shipped: false });
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// The component of this name; a shipped one wins over a file.
    pub fn component(&self, name: &str) -> Result<Cow<'static, [u8]>, SwapError> {
        if !is_name(name) {
            return Err(SwapError::BadName(name.into()));
        }
        if let Some(bytes) = mosel_policies::shipped(name) {
            return Ok(bytes.into());
        }
        let file = self.dir.as_ref().map(|dir| dir.join(format!("{name}.wasm")));
        let Some(file) = file.filter(|file| file.exists()) else {
            let known = self.list().into_iter().map(|listed| listed.name).collect::<Vec<String>>().join(", ");
            return Err(SwapError::Unknown { name: name.into(), known });
        };
        // a file that grows without end would fill the memory before the sandbox could refuse it
        let bytes = read_bounded(&file).map_err(|error| SwapError::Unreadable(name.into(), error.to_string()))?;
        Ok(bytes.into())
    }
}

impl Workshop {
    /// Compiles a policy and configures it; a few hundred milliseconds, and none of the scheduler's.
    pub fn prepare(&self, name: &str, settings: &str) -> Result<Ready, SwapError> {
        let component = self.shelf.component(name)?;
        let loaded = self.engine.load(name, &component);
        let loaded = loaded.map_err(|error| SwapError::Load(name.into(), error.to_string()))?;
        let tag = PolicyTag { name: name.into(), hash: loaded.hash().into() };
        let (version, summary) = (loaded.description().version.clone(), loaded.description().summary.clone());
        let policy = Policy::start(loaded, settings, &self.catalog, self.seed);
        let policy = policy.map_err(|error| SwapError::Configure(name.into(), error.to_string()))?;
        Ok(Ready { active: Active { tag: Arc::new(tag), version, summary, settings: settings.into() }, policy })
    }
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

    /// Puts another policy in place, if it can be loaded and answers for the queues as they are now. Blocks until
    /// it is asked instead of the one before.
    pub fn swap(&self, name: &str, settings: &str) -> Result<Active, SwapError> {
        let mut ready = self.workshop.prepare(name, settings)?;
        self.rehearse(name, &mut ready.policy)?;
        // held while installing: two swaps at a time must leave the same policy here and in the planner
        let mut active = self.lock();
        let (waiting, in_place) = sync_channel(0);
        let order = Order::Install(ready.active.tag.clone(), Box::new(ready.policy), waiting);
        self.planner.send(order).map_err(|_| SwapError::Stopping)?;
        // the planner says nothing, it lets go
        let _ = in_place.recv();
        *active = ready.active;
        Ok(active.clone())
    }

    fn rehearse(&self, name: &str, policy: &mut Policy) -> Result<(), SwapError> {
        let lanes = self.lanes;
        let snapshots = self.driver.look(|scheduler, now| {
            (0..lanes).map(|lane| scheduler.snapshot(lane, Trigger::Rehearsal, now)).collect::<Vec<Snapshot>>()
        });
        for snapshot in snapshots {
            let refused = |reason: String| SwapError::Rehearsal(name.into(), reason);
            let proposal = policy.decide(&snapshot).answer.map_err(|error| refused(error.to_string()))?;
            Plan::check(&snapshot, &self.workshop.catalog, &proposal).map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().expect("nobody panics while installing a policy")
    }
}

/// Larger than any component the sandbox takes.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_COMPONENT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Nothing that could lead out of a directory.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_directory() {
        let shelf = Shelf::new(Path::new("/"));
        for name in ["", "../greedy", "a/b", "a.wasm", "a\0"] {
            assert_eq!(shelf.component(name), Err(SwapError::BadName(name.into())));
        }
    }

    #[test]
    fn an_unknown_policy_is_told_which_there_are() {
        let message = Shelf::new(Path::new("")).component("lazy").unwrap_err().to_string();
        assert!(message.contains("greedy") && message.contains("highest-accuracy"), "{message}");
    }
}
