//! Write a scheduling policy for Mosel: implement [`Policy`], name it in [`export_policy!`], build a component.
//!
//! A Mosel server runs *jobs*: so many requests for a model that takes several kinds of input, with a deadline and a
//! floor on their mean accuracy. Requests can be served on fewer kinds of input, which is faster and less accurate. A
//! *strategy* is one way to serve a whole job, and every job has a *strategy table* of them. When waiting jobs would miss their
//! deadlines the server asks its policy: it shows it a [`Snapshot`] of the queue and gets back a [`Decision`], which
//! jobs should run on another strategy. The server checks the whole answer and adopts all of it or nothing.
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
//!         let fastest: Vec<u32> = (0..snapshot.jobs.len()).map(|row| snapshot.fastest(row)).collect();
//!         Ok(Decision::choosing(snapshot, &fastest, Quality::Heuristic))
//!     }
//! }
//!
//! mosel_sdk::export_policy!(Hurry);
//!
//! // Natively the same code answers questions of a day made up on the spot.
//! use mosel_sdk::test;
//!
//! let question = test::scenario("
//!     modalities video audio
//!     measure audio 1 4ms 137/200
//!     measure video+audio 1 10ms 157/200
//!     at 0ms submit 1 requests 4 deadline 60ms min_accuracy 0.65
//!     at 0ms submit 2 requests 4 deadline 70ms min_accuracy 0.7
//! ");
//! assert_eq!(question.violators(), [1]);
//!
//! let answer = test::ask::<Hurry>("{}", &question);
//! assert!(answer.violators().is_empty());
//! ```
//!
//! # The parts
//!
//! * [`Policy`] is what an author implements: three functions must be there, four may.
//! * [`Snapshot`] is what a policy sees, and what every policy would compute from it: finishes, violators, slack, legal
//!   strategies, what they are worth, the step down that harms least. Its [`Catalog`] holds models and strategy tables.
//! * [`Decision`] is what it answers.
//! * [`log`] and its macros ([`info!`], [`warn!`] and so on), [`now`], [`remaining`], [`random`] with [`choose`] and
//!   [`shuffle`]: all that a policy can reach of its server.
//! * [`state`] makes bytes of what a policy has learned, for its successor.
//! * [`mod@test`] runs a policy natively: on a queue put together by hand, on the questions of a scenario in text form,
//!   or through a whole day in virtual time.
//!
//! # What a policy may rely on
//!
//! * Rows are in execution order: what is earlier in [`Snapshot::jobs`] runs earlier. A table is sorted by latency, and
//!   latency and accuracy both strictly increase: strategy 0 is the fastest.
//! * Every row has a table and is on a strategy of it; [`Snapshot`]s where that is not so never reach a policy.
//! * The same snapshot and the same seed of the server give the same random numbers.
//! * Nothing it does can bring a job below its floor, and no failure of it loses a job. A panic costs the instance: the
//!   message is logged, and the next question goes to a fresh one.
//!
//! Where to start reading: [`Policy`], then [`Snapshot`], then [`mod@test`]. `wit/policy.wit` is the contract itself,
//! `docs/policies/tutorial.md` the way from an empty folder to a policy that runs on a server.

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
