//! The ways to misbehave, as settings name them.

use serde::Deserialize;

/// How it misbehaves.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// In which way.
    pub behaviour: Behaviour,
    /// How much, where that makes a difference.
    pub amount: u64,
    /// It behaves when it is asked about lane 0.
    pub spare_lane_0: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { behaviour: Behaviour::Behave, amount: 0, spare_lane_0: true }
    }
}

/// In which way it misbehaves; in `decide` and on every lane but 0, if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// Not at all.
    Behave,
    /// `amount` rounds of arithmetic.
    Work,
    /// Never returns.
    LoopInDecide,
    /// Never returns from `configure`.
    LoopInConfigure,
    /// Never returns from `update-catalog`.
    LoopInUpdateCatalog,
    /// Panics in `configure`.
    PanicInConfigure,
    /// Takes `amount` bytes of memory and writes to all of it.
    TakeMemory,
    /// The same in `configure`.
    TakeMemoryInConfigure,
    /// Calls itself `amount` times.
    Recurse,
    /// Panics.
    Panic,
    /// Panics after more log messages than are kept.
    FloodAndPanic,
    /// Panics at every call after the first `amount`.
    PanicLater,
    /// Executes `unreachable`.
    Unreachable,
    /// Reads where no memory is.
    ReadOutOfBounds,
    /// Chooses strategy `amount` for every job.
    Choose,
    /// Assigns a job that is not there.
    UnknownJob,
    /// Assigns the first job twice, so that there are as many assignments as jobs.
    DuplicateJob,
    /// The order the other way round.
    ReverseOrder,
    /// An order without the last job.
    IncompleteOrder,
    /// `amount` assignments.
    ManyAssignments,
    /// An order of `amount` jobs.
    LongOrder,
    /// An order that lies outside its memory.
    OrderOutOfBounds,
    /// An error whose text is no UTF-8.
    BrokenText,
    /// An error whose text has `amount` bytes.
    LongText,
    /// Says that it gives up.
    GiveUp,
    /// Says that its settings are wrong, when it is too late for that.
    BadConfig,
    /// Says that it cannot use the snapshot.
    Unsupported,
    /// Says that something is wrong with it.
    Internal,
    /// An objective that is not a number, and an infinite bound.
    NanObjective,
    /// A bound that is not a number.
    NanBound,
    /// An infinite bound.
    InfiniteBound,
    /// A bound below the objective.
    BoundBelowObjective,
    /// Changes nothing and calls that optimal.
    ClaimOptimal,
    /// Logs `amount` messages.
    FloodLog,
    /// Logs a message of `amount` bytes, past the SDK that would cut it.
    LongMessage,
    /// Refuses its settings.
    RefuseSettings,
    /// Answers with what the host tells: `amount` random numbers, then the time, then what is left of it, as an order.
    Echo,
    /// Answers with the number of its calls as objective.
    Count,
    /// Never returns from `observe`.
    LoopInObserve,
    /// Panics in `observe`.
    PanicInObserve,
    /// Logs in `observe` how many outcomes it was told, then each of the first `amount`.
    TellOutcomes,
    /// Never returns from `save`.
    LoopInSave,
    /// Panics in `save`.
    PanicInSave,
    /// Saves `amount` bytes.
    SaveMuch,
    /// Never returns from `restore`.
    LoopInRestore,
    /// Panics in `restore`.
    PanicInRestore,
    /// Refuses to restore anything.
    RefuseToRestore,
}

/// Never returns.
pub(crate) fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}
