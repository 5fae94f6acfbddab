//! The menu of faults: what a day had of it, counted from its data, so that nobody has to believe its drawing.

use std::collections::BTreeMap;

use mosel_core::Time;

use super::{Day, Log, Mood};
use crate::Outside;

/// So many of a kind at one time are a burst, or a storm.
const MANY: usize = 4;

impl Day {
    /// Counts what the day had of the menu, and the moods of its policy.
    pub(super) fn count(&self, moods: &BTreeMap<Mood, u64>, log: &mut Log) {
        for (&mood, &times) in moods {
            log.count("mood", mood_name(mood), times);
        }
        for (_, outside) in &self.events {
            log.count("fault", outside_name(outside), 1);
        }
        let many =
            |of: fn(&Outside) -> bool| self.at_once(of).into_values().filter(|&times| times >= MANY).count() as u64;
        log.count("fault", "burst", many(|outside| matches!(outside, Outside::Submit(_))));
        log.count("fault", "cancel storm", many(|outside| matches!(outside, Outside::Cancel(_))));
        let calm = [
            ("wrong profile", self.factor != 1.0),
            ("times that vary", self.spread > 0.0),
            ("failing device", self.failures > 0.0),
            ("eager policy", self.eager),
            ("no time for policies", self.config.policy_budget.is_zero()),
            ("nobody may be late", self.nobody_may_be_late()),
            ("many lanes", self.config.lanes > 1),
        ];
        log.count("day", "lived", 1);
        for (name, is_so) in calm {
            log.count("fault", name, is_so.into());
        }
    }

    fn at_once(&self, of: fn(&Outside) -> bool) -> BTreeMap<Time, usize> {
        let mut counts = BTreeMap::new();
        for (at, outside) in &self.events {
            *counts.entry(*at).or_insert(0) += usize::from(of(outside));
        }
        counts
    }
}

fn outside_name(outside: &Outside) -> &'static str {
    match outside {
        Outside::Submit(_) => "job",
        Outside::Cancel(_) => "cancel",
        Outside::Fail(_) => "failed batch",
        Outside::Pace(_, pace) if pace.factor.is_infinite() => "lost device",
        Outside::Pace(..) => "slower device",
        Outside::Lose(_) => "lost model",
        Outside::Restore(_) => "restored model",
        Outside::Jump(_) => "clock jump",
        Outside::Install => "policy change",
    }
}

fn mood_name(mood: Mood) -> &'static str {
    match mood {
        Mood::Sensible => "sensible",
        Mood::Unmoved => "unmoved",
        Mood::Silent => "silent",
        Mood::Slow => "slow",
        Mood::Traps => "traps",
        Mood::Lies => "lies",
        Mood::Garbage => "garbage",
    }
}
