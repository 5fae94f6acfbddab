//! The data sets: real inputs with labels, cut into what is trained on and what is held out.
//!
//! Whole groups are held out (families of emoji, people, stretches of a recording), and the held-out part is cut at random into two halves of
//! the *same* groups: one is profiled, the other is served. A profile made on other groups would mispredict.

pub mod doom;
pub mod emoji;
pub mod home_tasks;
mod split;
mod tensors;
pub mod watch;

use crate::Request;

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Seen in training.
    Train,
    /// Held out; what the profiler measures accuracy on.
    Profile,
    /// Held out, of the same groups; what demos and benchmarks submit.
    Served,
}

/// One labeled input.
#[derive(Clone, Debug)]
pub struct Example {
    /// What a client would send.
    pub request: Request,
    /// Position in the model's labels.
    pub label: usize,
    /// Names the example, for people: `google/1f600`, `person 3, recording 12, window 4`.
    pub name: String,
}

/// How a data set was cut, for profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// In words.
    pub description: String,
    /// What the cut was drawn with.
    pub seed: u64,
}
