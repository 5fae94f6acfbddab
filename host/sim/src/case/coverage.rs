//! What a case had of every fault, counted from its data, so that nobody has to believe its drawing.

use std::collections::BTreeMap;

use mosel_core::Time;

use super::{FaultMode, Log, SimCase};
use crate::ExternalEvent;

/// So many of a kind at one time are a burst, or a storm.
const MANY: usize = 4;

impl SimCase {
    /// Counts what the case had of every fault, and the modes of its policy.
    pub(super) fn count(&self, modes: &BTreeMap<FaultMode, u64>, log: &mut Log) {
        for (&mode, &times) in modes {
            log.count("mode", mode_name(mode), times);
        }
        for (_, external) in &self.events {
            log.count("fault", external_name(external), 1);
        }
        let many = |of: fn(&ExternalEvent) -> bool| {
            self.at_once(of).into_values().filter(|&times| times >= MANY).count() as u64
        };
        log.count("fault", "burst", many(|external| matches!(external, ExternalEvent::Submit(_))));
        log.count("fault", "cancel storm", many(|external| matches!(external, ExternalEvent::Cancel(_))));
        let settings = [
            ("wrong profile", self.factor != 1.0),
            ("times that vary", self.spread > 0.0),
            ("failing device", self.failures > 0.0),
            ("requests without an answer", self.unanswered > 0.0),
            ("eager policy", self.eager),
            ("no time for policies", self.config.policy_budget.is_zero()),
            ("nobody may be late", self.nobody_may_be_late()),
            ("many lanes", self.config.lanes > 1),
            ("late jobs' share", self.config.fairness.late_share > 0.0),
            ("tenants' shares", self.config.fairness.tenant_shares),
        ];
        log.count("case", "ran", 1);
        for (name, is_so) in settings {
            log.count("fault", name, is_so.into());
        }
    }

    fn at_once(&self, of: fn(&ExternalEvent) -> bool) -> BTreeMap<Time, usize> {
        let mut counts = BTreeMap::new();
        for (at, external) in &self.events {
            *counts.entry(*at).or_insert(0) += usize::from(of(external));
        }
        counts
    }
}

fn external_name(external: &ExternalEvent) -> &'static str {
    match external {
        ExternalEvent::Submit(_) => "job",
        ExternalEvent::Cancel(_) => "cancel",
        ExternalEvent::Fail(_) => "failed batch",
        ExternalEvent::Slowdown(_, slowdown) if slowdown.factor.is_infinite() => "lost device",
        ExternalEvent::Slowdown(..) => "slower device",
        ExternalEvent::Lose(_) => "lost model",
        ExternalEvent::Restore(_) => "restored model",
        ExternalEvent::Jump(_) => "clock jump",
        ExternalEvent::Hang(_) => "hung batch",
        ExternalEvent::Install => "policy change",
    }
}

fn mode_name(mode: FaultMode) -> &'static str {
    match mode {
        FaultMode::Sensible => "sensible",
        FaultMode::Unmoved => "unmoved",
        FaultMode::Silent => "silent",
        FaultMode::Slow => "slow",
        FaultMode::Traps => "traps",
        FaultMode::Lies => "lies",
        FaultMode::Garbage => "garbage",
    }
}
