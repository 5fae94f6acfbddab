//! How a policy is checked.

use std::time::Duration;

use mosel_sandbox::Limits;

/// How a policy is checked.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the random queues are drawn with.
    pub seed: u64,
    /// How many random queues there are, apart from a few very long ones.
    pub queues: usize,
    /// What the policy may use up in a call: as on the server it is meant for.
    pub limits: Limits,
    /// How long the checks may take together, loading not counted; what is not done by then is reported.
    pub time: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 1, queues: 120, limits: Limits::default(), time: Duration::from_secs(60) }
    }
}
