//! The paper's integer program, solved in the sandbox: one strategy a job, the most accuracy in the time there is.
//!
//! Start with [`Ilp`]; `options.rs` is what each row may run on and by when it must be done, `program.rs` the program
//! that microlp solves. README.md says what the paper leaves open and how far the solver gets.

mod options;
mod program;

use mosel_sdk::{Catalog, Decision, Description, Policy, PolicyError, Quality, Snapshot, remaining};
use policy_squeeze::{Pick, squeeze};
use serde::Deserialize;

use options::RowOptions;
use program::{Limits, Solved};

/// The policy.
#[derive(Debug)]
pub struct Ilp {
    settings: Settings,
}

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which deadlines the program knows.
    pub form: Form,
    /// Branch-and-bound nodes a decision may cost, 1 to [`MOST_NODES`]. The same on every machine.
    pub nodes: u64,
    /// Binary variables of the largest program that is tried, 1 to [`MOST_VARIABLES`]; above it the squeeze answers.
    pub variables: usize,
}

/// Which deadlines the program knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Every row's.
    #[default]
    Prefix,
    /// The last row's only, as published: an earlier job may be made late by it, and the server then refuses the answer.
    Paper,
}

/// More nodes than this are refused: no budget of a server lasts so long.
pub const MOST_NODES: u64 = 1_000_000;

/// Programs of more variables than this are refused: the solver looks at the clock too rarely to be stopped in time.
pub const MOST_VARIABLES: usize = 20_000;

impl Default for Settings {
    fn default() -> Settings {
        Settings { form: Form::Prefix, nodes: 30, variables: 300 }
    }
}

const SETTINGS_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "form": {
      "enum": ["prefix", "paper"],
      "default": "prefix",
      "description": "Which deadlines the program knows: every job's, or the last job's only, as published. The second can make an earlier job late; the server refuses such an answer."
    },
    "nodes": {
      "type": "integer",
      "minimum": 1,
      "maximum": 1000000,
      "default": 30,
      "description": "Branch-and-bound nodes a decision may cost."
    },
    "variables": {
      "type": "integer",
      "minimum": 1,
      "maximum": 20000,
      "default": 300,
      "description": "Binary variables of the largest program that is tried: strategies of all jobs together. Above it jobs are squeezed at random."
    }
  },
  "additionalProperties": false
}"#;

impl Policy for Ilp {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "Solves the paper's integer program: the most accuracy in the time there is";
        let description = Description::new("ilp", env!("CARGO_PKG_VERSION"), summary);
        Description { config_schema: SETTINGS_SCHEMA.into(), ..description }
    }

    fn configure(settings: Settings, _: &Catalog) -> Result<Ilp, PolicyError> {
        within("nodes", settings.nodes, MOST_NODES)?;
        within("variables", settings.variables as u64, MOST_VARIABLES as u64)?;
        Ok(Ilp { settings })
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let squeezed = squeeze(snapshot, Pick::Random);
        let options = match self.settings.form {
            Form::Prefix => Some(RowOptions::due_each(snapshot)),
            Form::Paper => RowOptions::due_at_the_end(snapshot),
        };
        let Some(options) = options else {
            return Ok(Decision::choosing(snapshot, &squeezed.chosen, Quality::BestEffort));
        };
        let answer = self.answer(&options, squeezed.chosen);
        let quality = if squeezed.all_saved { answer.quality() } else { Quality::BestEffort };
        let objective = options.value(&answer.chosen);
        let bound = answer.bound.map(|bound| bound.max(objective));
        let decision = Decision::choosing(snapshot, &answer.chosen, quality);
        Ok(Decision { objective: Some(objective), bound, ..decision })
    }
}

mosel_sdk::export_policy!(Ilp);

fn within(name: &str, value: u64, most: u64) -> Result<(), PolicyError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(PolicyError::BadConfig(format!("{name} must be 1 to {most}, not {value}")))
}

/// A strategy for every row, and what was proven about it.
struct Answer {
    chosen: Vec<u32>,
    /// No answer is worth more.
    bound: Option<f64>,
    optimal: bool,
}

impl Answer {
    fn quality(&self) -> Quality {
        match self.bound {
            _ if self.optimal => Quality::Optimal,
            Some(_) => Quality::Bounded,
            None => Quality::Heuristic,
        }
    }
}

impl Ilp {
    /// The solver's answer; the squeezed one where the solver has none, or one that is worth less.
    fn answer(&self, options: &RowOptions, squeezed: Vec<u32>) -> Answer {
        let best = options.best();
        if options.fits(&best) {
            return Answer { bound: Some(options.value(&best)), chosen: best, optimal: true };
        }
        let fallback = Answer { chosen: squeezed, bound: None, optimal: false };
        if options.variables() > self.settings.variables || remaining() == 0 {
            return fallback;
        }
        let limits = Limits { nodes: self.settings.nodes, time: remaining() / 2 };
        let Some(Solved { chosen, bound, optimal }) = program::solve(options, &fallback.chosen, limits) else {
            return fallback;
        };
        // The solver's numbers are rounded; whether a deadline holds is decided in whole microseconds.
        let sound = chosen.filter(|chosen| options.fits(chosen));
        let better = |chosen: &Vec<u32>| {
            !options.fits(&fallback.chosen) || options.value(chosen) >= options.value(&fallback.chosen)
        };
        match sound.filter(better) {
            Some(chosen) => Answer { chosen, bound, optimal },
            None => Answer { bound, ..fallback },
        }
    }
}

#[cfg(test)]
mod tests;
