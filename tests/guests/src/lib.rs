//! Policies that misbehave, each in one way that its settings name: `{"behaviour": "loop-in-decide"}`. On lane 0 they
//! behave, so that a test can see them recover, unless the settings say `"spare_lane_0": false`.
//!
//! What has to go wrong before settings are read is a feature of this crate.

mod decide;
mod housekeeping;
mod settings;

use mosel_sdk::{Capabilities, Catalog, Decision, Description, Outcome, Policy, PolicyError, Snapshot};

use settings::spin;
pub use settings::{Behaviour, Settings};

/// The policy.
#[derive(Debug)]
pub struct Hostile {
    settings: Settings,
    /// Decisions so far, those of predecessors included.
    calls: u64,
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
