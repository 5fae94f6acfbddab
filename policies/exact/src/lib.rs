//! The most accurate plan under which every job that can be in time is in time: a multiple-choice knapsack with a
//! deadline for every prefix of the queue, solved to a proven gap.
//!
//! Where to start reading: [`Exact`], then `search.rs`, which goes through the steps in order: `deadlines.rs`,
//! `relaxation.rs` (on the hulls of `hull.rs`), `fill.rs`, `core.rs`, `beam.rs`. `README.md` tells the method.

mod beam;
mod core;
mod deadlines;
mod fill;
mod hull;
mod point;
mod queue;
mod relaxation;
mod row;
mod search;
mod tables;

use mosel_sdk::{Capabilities, Catalog, Decision, Description, Policy, PolicyError, Quality, Snapshot};
use serde::Deserialize;

use crate::queue::Queue;
use crate::search::{Effort, Search};
use crate::tables::Tables;

/// The policy.
#[derive(Debug)]
pub struct Exact {
    settings: Settings,
    tables: Tables,
    queue: Queue,
    search: Search,
}

/// What can be set.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The search ends when the plan is proven to be within this share of the best possible one; 0 to below 1.
    pub gap: f64,
    /// How many partial plans the search may look at, at most half a million; with 0 the rounded relaxation is the answer.
    pub work: usize,
    /// The share of the time beyond the fastest strategies that is left free, where deadlines press; 0 to below 1. For
    /// jobs that have not come yet and devices that are not as fast as they were.
    pub reserve: f64,
    /// Less is left free (a quarter at least) where everything is done within this share of the shortest time that any
    /// waiting job was given on its arrival; 0 to 1000.
    pub horizon: f64,
}

/// More work than that would outlast the fuel of a decision, and a plan that is in hand would be lost.
const MOST_WORK: usize = 500_000;

impl Default for Settings {
    fn default() -> Settings {
        Settings { gap: 0.0002, work: 10_000, reserve: 0.95, horizon: 0.5 }
    }
}

const SETTINGS_SCHEMA: &str = r#"{
  "type": "object",
  "properties": {
    "gap": {
      "type": "number",
      "minimum": 0,
      "exclusiveMaximum": 1,
      "default": 0.0002,
      "description": "The search ends when the plan is proven to be within this share of the best possible one."
    },
    "work": {
      "type": "integer",
      "minimum": 0,
      "maximum": 500000,
      "default": 10000,
      "description": "How many partial plans the search may look at; with 0 the rounded relaxation is the answer."
    },
    "reserve": {
      "type": "number",
      "minimum": 0,
      "exclusiveMaximum": 1,
      "default": 0.95,
      "description": "The share of the time beyond the fastest strategies that is left free, where deadlines press: for jobs that have not come yet and devices that are not as fast as they were."
    },
    "horizon": {
      "type": "number",
      "minimum": 0,
      "maximum": 1000,
      "default": 0.5,
      "description": "Less than the reserve is left free (a quarter at least) where everything is done within this share of the shortest time that any waiting job was given on its arrival."
    }
  },
  "additionalProperties": false
}"#;

impl Policy for Exact {
    type Settings = Settings;

    fn describe() -> Description {
        let summary = "The most accurate plan that keeps every deadline that can be kept, with a proven gap";
        let description = Description::new("exact", env!("CARGO_PKG_VERSION"), summary);
        Description { config_schema: SETTINGS_SCHEMA.into(), capabilities: Capabilities::EAGER, ..description }
    }

    fn configure(settings: Settings, catalog: &Catalog) -> Result<Exact, PolicyError> {
        check(settings).map_err(PolicyError::BadConfig)?;
        let tables = Tables::new(catalog)?;
        Ok(Exact { settings, tables, queue: Queue::default(), search: Search::default() })
    }

    fn update_catalog(&mut self, catalog: &Catalog) -> Result<(), PolicyError> {
        self.tables = Tables::new(catalog)?;
        Ok(())
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        if self.tables.revision() != snapshot.catalog.revision() {
            self.update_catalog(&snapshot.catalog)?;
        }
        let Exact { settings, ref tables, ref mut queue, ref mut search } = *self;
        let Settings { gap, work, reserve, horizon } = settings;
        queue.read(snapshot, tables)?;
        // What is proven is proven of all plans, not only of those that keep the reserve.
        let limit = (reserve > 0.0 && queue.presses()).then(|| {
            let limit = search.limit(queue, tables);
            queue.keep(reserve, horizon, snapshot, tables);
            limit
        });
        // Work is what bounds a search; the clock only stops one on a machine that is far too slow for it.
        let effort = Effort { gap, work, reserve: mosel_sdk::remaining() / 4 };
        let best = search.run(queue, tables, effort);
        let optimal = best.optimal && limit.is_none();
        let quality = match optimal {
            _ if queue.hopeless > 0 => Quality::BestEffort,
            true => Quality::Optimal,
            false => Quality::Bounded,
        };
        let objective = queue.objective(tables, best.chosen);
        let bound = if optimal { objective } else { limit.unwrap_or(best.bound).max(objective) };
        let decision = Decision::choosing(snapshot, best.chosen, quality);
        Ok(Decision { objective: Some(objective), bound: Some(bound), ..decision })
    }
}

mosel_sdk::export_policy!(Exact);

fn check(settings: Settings) -> Result<(), String> {
    let Settings { gap, work, reserve, horizon } = settings;
    if !(0.0..=1000.0).contains(&horizon) {
        return Err(format!("horizon is {horizon}, expected a number from 0 to 1000"));
    }
    if !(0.0..1.0).contains(&reserve) {
        return Err(format!("reserve is {reserve}, expected a number from 0 to below 1"));
    }
    if !(0.0..1.0).contains(&gap) {
        return Err(format!("gap is {gap}, expected a number from 0 to below 1"));
    }
    if work > MOST_WORK {
        return Err(format!("work is {work}, expected at most {MOST_WORK}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
