//! Names of things, so that a lane is never taken for a model.

use std::fmt;

/// A model, by its place in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelId(pub u32);

/// A lane: a device and the queue in front of it. Counted from 0, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u32);

impl LaneId {
    /// The lane at this place in a list of all lanes.
    pub fn at(index: usize) -> LaneId {
        LaneId(index.try_into().expect("lanes are counted in 32 bits"))
    }

    /// Its place in a list of all lanes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A kind of device. Lanes of one kind share their profiles; which number stands for which device the driver knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKind(pub u32);

impl DeviceKind {
    /// The kind at this place in a list of all kinds.
    pub fn at(index: usize) -> DeviceKind {
        DeviceKind(index.try_into().expect("kinds of devices are counted in 32 bits"))
    }

    /// Its place in a list of all kinds.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A strategy table of the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// A question to a policy, and its answer. Strictly increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(pub u64);

/// A batch given to a device. Strictly increasing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);
