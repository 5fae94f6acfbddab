//! The policy in place as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::job_view::millis;
use super::shadow_view::{self, parsed};
use crate::planner_handle::StateTransfer;
use crate::policies::history::{PolicyHistory, PreviousPolicy, Rollback};
use crate::policies::installed::InstalledPolicy;
use crate::service::Service;
use crate::stats::Counts;

/// What became of the state of the policy before, in words.
pub(super) fn state(transfer: &StateTransfer) -> String {
    match transfer {
        StateTransfer::None => "none".into(),
        StateTransfer::Over => "carried over".into(),
        StateTransfer::Back => "carried over from when this policy was in place before".into(),
        StateTransfer::Lost(why) => format!("not carried over: {why}"),
    }
}

/// The policy in place, how it does, and those around it.
pub(super) fn describe(service: &Service) -> Value {
    let PolicyHistory { active, previous, last_rollback } = service.policies.history();
    let description = active.loaded.description();
    let shadow = service.policies.shadow().map(|shadow| shadow_view::describe(service, &shadow));
    json!({
        "name": active.tag.name,
        "hash": active.tag.hash,
        "version": description.version,
        "summary": description.summary,
        "source": active.source.word(),
        "generation": active.tag.generation,
        "settings": parsed(&active.settings),
        "previous": previous.as_ref().map(before),
        "last_rollback": last_rollback.as_ref().map(rolled_back),
        "stats": stats(&active),
        "shadow": shadow,
    })
}

fn before(PreviousPolicy { active, failed, .. }: &PreviousPolicy) -> Value {
    let tag = &active.tag;
    json!({
        "name": tag.name,
        "hash": tag.hash,
        "generation": tag.generation,
        "settings": parsed(&active.settings),
        "failed": failed,
    })
}

fn rolled_back(Rollback { from, to, reason, automatic }: &Rollback) -> Value {
    json!({
        "from": from.name,
        "from_generation": from.generation,
        "to": to.name,
        "to_generation": to.generation,
        "reason": reason,
        "automatic": automatic,
    })
}

fn stats(active: &InstalledPolicy) -> Value {
    let counts = active.stats.counts();
    let time = |share| counts.time(share).map(millis);
    let Counts { calls, adopted, moved, traps, fallbacks, refused, qualities, last_error, .. } = &counts;
    json!({
        "calls": calls,
        "adopted": adopted,
        "jobs_moved": moved,
        "traps": traps,
        "timeouts": counts.timeouts(),
        "fallbacks": fallbacks,
        "refused": refused,
        "last_error": last_error,
        "decision_ms": { "p50": time(0.5), "p99": time(0.99) },
        "fuel": { "p50": counts.fuel(0.5), "p99": counts.fuel(0.99) },
        "mean_gap": counts.mean_gap(),
        "qualities": every_quality(qualities),
        "log_suppressed": counts.log_suppressed,
        "log": counts.log.iter().map(ToString::to_string).collect::<Vec<String>>(),
    })
}

fn every_quality(counted: &BTreeMap<&'static str, u64>) -> Value {
    let count = |quality| counted.get(quality).copied().unwrap_or(0);
    let [optimal, bounded, heuristic, best_effort] = ["optimal", "bounded", "heuristic", "best_effort"].map(count);
    json!({ "optimal": optimal, "bounded": bounded, "heuristic": heuristic, "best_effort": best_effort })
}
