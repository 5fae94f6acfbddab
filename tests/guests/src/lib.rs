//! Policies that misbehave, each in one way that its settings name: `{"behaviour": "loop-in-decide"}`. On lane 0 they
//! behave, so that a test can see them recover, unless the settings say `"spare_lane_0": false`.
//!
//! What has to go wrong before settings are read is a feature of this crate.

mod decide;
mod housekeeping;

use mosel_sdk::{Capabilities, Catalog, Decision, Description, Outcome, Policy, PolicyError, Snapshot};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct Hostile {
    settings: Settings,
    /// Decisions so far, those of predecessors included.
    calls: u64,
}

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

impl Policy for Hostile {
    type Settings = Settings;

    fn describe() -> Description {
        if cfg!(feature = "loop-in-describe") {
            spin();
        }
        if cfg!(feature = "trap-in-describe") {
            panic!("I do not say who I am");
        }
        let summary =
            "Misbehaves in a way its settings name".repeat(if cfg!(feature = "boast-in-describe") { 100 } else { 1 });
        let description = Description::new("hostile", env!("CARGO_PKG_VERSION"), &summary);
        Description { capabilities: Capabilities::STATEFUL | Capabilities::FEEDBACK, ..description }
    }

    fn configure(settings: Settings, _: &Catalog) -> Result<Hostile, PolicyError> {
        match settings.behaviour {
            Behaviour::LoopInConfigure => spin(),
            Behaviour::PanicInConfigure => panic!("not in the mood"),
            Behaviour::TakeMemoryInConfigure => decide::take_memory(settings.amount),
            Behaviour::RefuseSettings => return Err(PolicyError::BadConfig("I want something else".into())),
            _ => {}
        }
        Ok(Hostile { settings, calls: 0 })
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        self.calls += 1;
        if self.settings.spare_lane_0 && snapshot.lane == 0 {
            return Ok(Decision::keep());
        }
        decide::decide(self.settings, self.calls, snapshot)
    }

    fn update_catalog(&mut self, _: &Catalog) -> Result<(), PolicyError> {
        if self.settings.behaviour == Behaviour::LoopInUpdateCatalog {
            spin();
        }
        Ok(())
    }

    fn observe(&mut self, outcomes: &[Outcome]) {
        housekeeping::observe(self.settings, outcomes);
    }

    fn save(&self) -> Vec<u8> {
        housekeeping::save(self.settings, self.calls)
    }

    fn restore(&mut self, name: &str, version: &str, state: &[u8]) -> Result<(), PolicyError> {
        self.calls = housekeeping::restore(self.settings, &format!("{name} {version}"), state)?;
        Ok(())
    }
}

mosel_sdk::export_policy!(Hostile);

/// Runs when the component is instantiated, before any call.
#[cfg(all(target_arch = "wasm32", feature = "loop-at-start"))]
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    spin();
}

fn spin() -> ! {
    loop {
        std::hint::black_box(0);
    }
}
