//! An example that judges every job by itself: each gets the cheapest strategy that its own floor and deadline allow.
//!
//! Something to compare with, after INFaaS; README.md says what differs and why nobody should serve with it.

use mosel_sdk::{Catalog, Decision, Description, NoSettings, Policy, PolicyError, Quality, Snapshot};

/// The policy.
#[derive(Debug)]
pub struct Cheapest;

impl Policy for Cheapest {
    type Settings = NoSettings;

    fn describe() -> Description {
        let summary = "Gives every job its cheapest strategy, whatever time is left";
        Description::new("cheapest", env!("CARGO_PKG_VERSION"), summary).eager()
    }

    fn configure(_: NoSettings, _: &Catalog) -> Result<Cheapest, PolicyError> {
        Ok(Cheapest)
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let chosen: Vec<u32> = (0..snapshot.jobs.len()).map(|row| cheapest(snapshot, row)).collect();
        let all_saved = snapshot.violators_with(&chosen).is_empty();
        let quality = if all_saved { Quality::Heuristic } else { Quality::BestEffort };
        Ok(Decision::choosing(snapshot, &chosen, quality))
    }
}

mosel_sdk::export_policy!(Cheapest);

/// The cheapest strategy of a row that meets its deadline; if none does, the fastest. Never a slower one than it has.
///
/// What a strategy costs is its time, so the cheapest at or above the floor is the fastest one there too. It meets the
/// deadline if any does, so the deadline need not be looked at. Unlike [`Snapshot::fastest`] this moves late rows too.
fn cheapest(snapshot: &Snapshot, row: usize) -> u32 {
    let current = snapshot.jobs[row].current;
    snapshot.fastest_legal(row).map_or(current, |fastest| fastest.min(current))
}

#[cfg(test)]
mod tests;
