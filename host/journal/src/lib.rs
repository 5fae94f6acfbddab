//! The record of what happened on a server: every event and what was done about it, a line each.
//!
//! A journal is a text file of JSON lines. The first line, the [`Header`], has all that the rest depends on: the
//! scheduler's configuration, the models' profiles, the policy in place, and the scheduler's state if the file does not
//! begin with an empty server. Every other line is a step, an event with its time and the actions that followed, a
//! word about a policy that was put in place, or the name by which a job's client knows it. Since the scheduler is a function of its events, a journal can be
//! replayed: [`replay()`] says where what it does differs from what is written.
//!
//! Times are microseconds since the server's start (`t`, or with the ending `_us`), durations nanoseconds (`_ns`),
//! selections of modalities are bits (1 is the first modality of the profile), jobs and batches are numbers. Unknown
//! fields are ignored, another `version` is refused.
//!
//! Every line ends with its number and a hash over itself and all before it (`chain.rs`): what was removed or changed is
//! found.
//!
//! Where to start reading: `header.rs` and `line.rs`, then `replay.rs`; `wire/` is how the core's nouns are written;
//! `history/` keeps the history of every job from the same steps, `explain/` puts it into sentences.

#![forbid(unsafe_code)]

mod chain;
mod explain;
mod folder;
mod header;
mod history;
mod line;
mod reader;
mod recorder;
mod replay;
mod wire;

pub use chain::{ChainBreak, LastLine, Link, file_follows};
pub use explain::{Naming, explain};
pub use folder::{Folder, Written};
pub use header::{Header, PolicyRecord, VERSION};
pub use history::{
    Cause, Change, Choice, Counterfactual, DecidedBy, DecisionRecord, HistoryEvent, JobHistories, JobHistory, LateJob,
    Ran,
};
pub use line::{Line, name_line, policy_line, step_line};
pub use reader::{JournalError, Reader};
pub use recorder::Recorder;
pub use replay::{Difference, ReplayEvent, ReplayResult, replay};
