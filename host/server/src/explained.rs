//! The changes of a job's strategy as JSON, for programs; people read the sentences.

use std::sync::Arc;
use std::time::Duration;

use mosel_core::DecisionError;
use mosel_journal::{Change, Choice, Counterfactual, DecidedBy, HistoryEvent, JobHistory, Naming, explain};
use serde_json::{Value, json};

/// A job's story as JSON: sentences for people, changes for programs.
pub fn job_explanation(history: &JobHistory, naming: &Naming) -> Value {
    json!({
        "id": naming.job(history.job.id), "lane": lane(history), "ended": history.has_ended(), "sentences": explain(history, naming),
        "changes": changes(history, naming), "left_out": history.left_out,
    })
}

/// The lane that the job waits on, or waited on; `None` for one that was refused.
fn lane(history: &JobHistory) -> Option<u32> {
    history.events.iter().rev().find_map(|event| match event {
        HistoryEvent::Accepted { lane, .. } | HistoryEvent::Resumed { lane, .. } | HistoryEvent::Moved { lane, .. } => {
            Some(lane.0)
        }
        _ => None,
    })
}

/// Every change in a job's history, oldest first; times are milliseconds after its arrival.
fn changes(history: &JobHistory, naming: &Naming) -> Vec<Value> {
    let change = |event: &HistoryEvent| match event {
        HistoryEvent::Changed(change) => Some(view(history, change, naming)),
        _ => None,
    };
    history.events.iter().filter_map(change).collect()
}

fn view(history: &JobHistory, change: &Change, naming: &Naming) -> Value {
    let choice = |choice: &Choice| {
        let share = |&(mode, requests)| (naming.selection(history.job.model, mode), json!(requests));
        let mix: serde_json::Map<String, Value> = choice.mix.iter().map(share).collect();
        json!({ "requests": choice.requests, "accuracy": choice.accuracy, "device_ms": millis(choice.latency), "mix": mix })
    };
    let decision = &change.decision;
    let (policy, plan, fallback) = match &decision.by {
        DecidedBy::Policy { name, decision } => (name, Some(decision.0), None),
        DecidedBy::Fallback { policy, why } => {
            let words = |why: &DecisionError| why.to_string();
            (policy, None, Some(why.as_ref().map_or_else(|| "a device waits for one answer only".into(), words)))
        }
        DecidedBy::Floor => (&Arc::default(), None, Some("requests before these have no answer".into())),
    };
    let otherwise = match &change.counterfactual {
        Counterfactual::Unknown => Value::Null,
        Counterfactual::Nobody => json!({ "late": false }),
        Counterfactual::Late { job, by, .. } => json!({ "late": true, "job": naming.job(*job), "by_ms": millis(*by) }),
    };
    let asked = decision.cause.as_ref();
    json!({
        "at_ms": millis(decision.at.since(history.arrival)), "policy": policy.as_ref() as &str, "plan": plan, "fallback_because": fallback,
        "late_before": asked.map(|asked| asked.late_before), "late_after": asked.map(|asked| asked.late_after),
        "from": choice(&change.from), "to": choice(&change.to), "if_it_had_stayed": otherwise,
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
