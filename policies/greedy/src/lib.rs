//! Moves random queued jobs to faster strategies until every deadline holds that can be held.
//!
//! The paper's fallback for when its integer program takes too long, with the rules it leaves open settled in README.md; the
//! squeeze itself is in `../squeeze`, where other policies can start from it.

use mosel_sdk::{Catalog, Decision, Description, Policy, PolicyError, Quality, Snapshot};
use policy_squeeze::{Pick, Squeezed, squeeze};
use serde::Deserialize;

/// The policy.
#[derive(Debug)]
pub struct Greedy {
    settings: Settings,
}

/// What can be set.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Squeeze the first job that can be made faster, instead of a random one.
    pub deterministic: bool,
}

const SETTINGS_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "deterministic": {
      "type": "boolean",
      "default": false,
      "description": "Squeeze the first job that can be made faster, instead of a random one."
    }
  },
  "additionalProperties": false
}"#;

impl Policy for Greedy {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "Moves random queued jobs to faster strategies until every deadline holds";
        let description = Description::new("greedy", env!("CARGO_PKG_VERSION"), summary);
        Description { config_schema: SETTINGS_SCHEMA.into(), ..description }
    }

    fn configure(settings: Settings, _: &Catalog) -> Result<Greedy, PolicyError> {
        Ok(Greedy { settings })
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let pick = if self.settings.deterministic { Pick::First } else { Pick::Random };
        let Squeezed { chosen, all_saved } = squeeze(snapshot, pick);
        let quality = if all_saved { Quality::Heuristic } else { Quality::BestEffort };
        Ok(Decision::choosing(snapshot, &chosen, quality))
    }
}

mosel_sdk::export_policy!(Greedy);

#[cfg(test)]
mod tests;
