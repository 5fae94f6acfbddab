//! The policy in the shadow as JSON.

use serde_json::{Value, json};

use super::job_view::millis;
use crate::policies::shadow::{Shadow, Side, Tally};
use crate::service::Service;

/// What was seen of the shadow so far.
pub(super) fn describe(service: &Service, shadow: &Shadow) -> Value {
    let tally = shadow.tally();
    let active = service.policies.active().tag;
    let Tally { against, compared, differed, dropped, .. } = &tally;
    let description = shadow.description();
    json!({
        "name": shadow.name,
        "hash": shadow.loaded.hash(),
        "version": description.version,
        "summary": description.summary,
        "settings": parsed(&shadow.settings),
        "against": { "name": active.name, "hash": active.hash, "generation": against },
        "compared": compared,
        "dropped": dropped,
        "differed": differed,
        "failures": tally.shadow.failures,
        "last_error": tally.shadow.last_failure,
        "active": side(&tally.active),
        "shadow": side(&tally.shadow),
        "verdict": tally.verdict(&active.name, &shadow.name),
    })
}

fn side(side: &Side) -> Value {
    let time = |share| side.time(share).map(millis);
    json!({
        "violations": side.violations,
        "accuracy": side.accuracy(),
        "failed": side.failed(),
        "decision_ms": { "p50": time(0.5), "p99": time(0.99) },
    })
}

/// Settings as JSON; they are kept as text.
pub(super) fn parsed(settings: &str) -> Value {
    serde_json::from_str(settings).unwrap_or_default()
}
