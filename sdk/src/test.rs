//! Try a policy natively: a queue in a few lines, the policy's answer, the queue after it.
//!
//! There are two ways to a queue. A [`Queue`] is put together table by table and job by job, for cases where every number
//! matters. A *scenario* is text that the server's own scheduler reads and lives through in virtual time:
//!
//! ```text
//! modalities video audio
//! measure audio 1 4ms 137/200          selection, batch size, time of a batch, right answers of samples
//! measure video+audio 1 10ms 157/200
//! at 0ms submit 1 requests 10 deadline 200ms min_accuracy 0.7
//! at 5ms submit 2 requests 8 deadline 120ms min_accuracy 0.6 priority 2 tenant acme
//! ```
//!
//! [`scenario()`] gives the first question that such a day puts to a policy, [`questions`] all of them, and [`run`]
//! lets the policy answer each and gives the log of the day. The grammar is at [`scenario()`].
//!
//! [`ask`] puts a snapshot to a policy and has the answer checked, by the server's own code; [`decide`] and [`adopt`]
//! are its two halves, for answers that should be refused.
//!
//! ```
//! # use mosel_sdk::{Catalog, Decision, Description, NoSettings, Policy, PolicyError, Quality, Snapshot};
//! # struct Hurry;
//! # impl Policy for Hurry {
//! #     type Settings = NoSettings;
//! #     fn describe() -> Description { Description::new("hurry", "0.1.0", "") }
//! #     fn configure(_: NoSettings, _: &Catalog) -> Result<Hurry, PolicyError> { Ok(Hurry) }
//! #     fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
//! #         let fastest: Vec<u32> = (0..snapshot.jobs.len()).map(|row| snapshot.fastest(row)).collect();
//! #         Ok(Decision::choosing(snapshot, &fastest, Quality::Heuristic))
//! #     }
//! # }
//! use mosel_sdk::test;
//!
//! let question = test::scenario("
//!     modalities video audio
//!     measure audio 1 4ms 137/200
//!     measure video+audio 1 10ms 157/200
//!     at 0ms submit 1 requests 4 deadline 100ms
//!     at 0ms submit 2 requests 4 deadline 70ms
//! ");
//! let answer = test::ask::<Hurry>("{}", &question);
//! assert!(answer.violators().is_empty());
//! assert_eq!(answer.to_string(), "\
//! job 1: 0.785 -> 0.685, ends 22ms of 100ms
//! job 2: 0.785 -> 0.685, ends 38ms of 70ms
//! ");
//! ```
//!
//! Nothing here is part of a component: this module is there natively only.

mod answer;
mod convert;
pub mod host;
mod queue;
mod scenario;

pub use answer::{Answer, adopt, ask, decide, decide_seeded};
#[doc(hidden)] // for those who drive a policy natively on queues of the core
pub use convert::{sent_catalog, sent_snapshot};
#[allow(deprecated)]
pub use queue::Menu;
pub use queue::{Queue, Table};
pub use scenario::{questions, run, run_seeded, scenario};
