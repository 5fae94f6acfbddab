//! Write a scheduling policy for Mosel: implement [`Policy`], name it in [`export_policy!`], build a component.
//!
//! A policy is asked when a waiting job would miss its deadline. It is shown a [`Snapshot`] of the queue and answers
//! with a [`Decision`]: which jobs should run on a faster, less accurate strategy. The server checks the whole answer
//! and adopts all of it or nothing.
//!
//! ```
//! use mosel_sdk::{Catalog, Decision, Description, NoSettings, Policy, PolicyError, Quality, Snapshot};
//!
//! /// Moves every waiting job to the fastest strategy that keeps its floor.
//! struct Hurry;
//!
//! impl Policy for Hurry {
//!     type Settings = NoSettings;
//!
//!     fn describe() -> Description {
//!         Description::new("hurry", "0.1.0", "Everything as fast as its floor allows")
//!     }
//!
//!     fn configure(_: NoSettings, _: &Catalog) -> Result<Hurry, PolicyError> {
//!         Ok(Hurry)
//!     }
//!
//!     fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
//!         let rows = 0..snapshot.jobs.len();
//!         let fastest: Vec<u32> = rows.map(|row| snapshot.fastest_legal(row).unwrap_or(snapshot.jobs[row].current)).collect();
//!         Ok(Decision::choosing(snapshot, &fastest, Quality::Heuristic))
//!     }
//! }
//!
//! mosel_sdk::export_policy!(Hurry);
//!
//! // Natively the same code runs against a queue made up on the spot.
//! use mosel_sdk::test::{self, Queue};
//!
//! let mut queue = Queue::new();
//! let menu = queue.menu(&[(40, 0.70), (90, 0.85)]);
//! let job = queue.job(menu, 60, 0.65);
//! let snapshot = queue.snapshot();
//! assert_eq!(snapshot.violators(), [0]);
//!
//! let decision = test::decide::<Hurry>("{}", &snapshot)?;
//! let after = test::adopt(&snapshot, &decision)?;
//! assert!(after.violators().is_empty());
//! assert_eq!(after.job(job).current, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where to start reading: [`Policy`], then [`Snapshot`], then [`mod@test`]. `wit/policy.wit` is the contract itself,
//! `README.md` the way from an empty folder to a policy that runs on a server.

#[doc(hidden)]
pub mod bindings;
mod catalog;
mod decision;
#[doc(hidden)]
pub mod export;
mod host;
mod json;
mod policy;
mod running;
mod snapshot;
pub mod state;
mod stream;
mod tenant;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;

pub use bindings::mosel::policy::host::Level;
pub use bindings::mosel::policy::types::{
    Assignment, Capabilities, Decision, Description, Job, Micros, Modality, ModalitySet, Model, Outcome, PolicyError,
    ProfileEntry, Quality, Step, Strategy, StrategyTable, Trigger,
};
pub use catalog::Catalog;
pub use host::{choose, log, now, random, random_below, remaining, shuffle};
pub use policy::{NoSettings, Policy};
pub use snapshot::{ACCURACY_TOLERANCE, Snapshot, StepDown};
pub use tenant::tenant;
