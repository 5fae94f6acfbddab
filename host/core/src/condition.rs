//! What is thought of a lane's device: whether anything may be promised on it.

use std::fmt;

/// What is thought of a lane's device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LaneCondition {
    /// Jobs are promised on it.
    #[default]
    Sound,
    /// Nothing new is promised on it.
    Suspect(Suspicion),
    /// Its batch did not end: it is used for nothing until it is there again.
    Lost,
}

/// What makes a device suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Its batch takes much longer than it should.
    Overdue,
    /// Its batches have taken many times what the profile says.
    Slow,
}

impl fmt::Display for LaneCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LaneCondition::Sound => f.write_str("sound"),
            LaneCondition::Suspect(suspicion) => suspicion.fmt(f),
            LaneCondition::Lost => f.write_str("lost"),
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Suspicion::Overdue => "overdue",
            Suspicion::Slow => "slow",
        })
    }
}
