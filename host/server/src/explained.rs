//! The changes of a job's strategy as JSON, for programs; people read the sentences.

use std::time::Duration;

use mosel_core::PlanError;
use mosel_journal::{By, Change, Chapter, Choice, Naming, Otherwise, Story, tell};
use serde_json::{Value, json};

/// A job's story as JSON: sentences for people, changes for programs.
pub fn story(story: &Story, naming: &Naming) -> Value {
    json!({
        "id": naming.job(story.job.id), "lane": lane(story), "ended": story.has_ended(), "sentences": tell(story, naming),
        "changes": changes(story, naming), "left_out": story.left_out,
    })
}

/// The lane that the job waits on, or waited on; `None` for one that was refused.
fn lane(story: &Story) -> Option<u32> {
    story.chapters.iter().find_map(|chapter| match chapter {
        Chapter::Accepted { lane, .. } | Chapter::TakenUp { lane, .. } => Some(*lane),
        _ => None,
    })
}

/// Every change in a job's story, oldest first; times are milliseconds after its arrival.
fn changes(story: &Story, naming: &Naming) -> Vec<Value> {
    let change = |chapter: &Chapter| match chapter {
        Chapter::Changed(change) => Some(view(story, change, naming)),
        _ => None,
    };
    story.chapters.iter().filter_map(change).collect()
}

fn view(story: &Story, change: &Change, naming: &Naming) -> Value {
    let choice = |choice: &Choice| {
        let share = |&(mode, requests)| (naming.selection(story.job.model, mode), json!(requests));
        let mix: serde_json::Map<String, Value> = choice.mix.iter().map(share).collect();
        json!({ "requests": choice.requests, "accuracy": choice.accuracy, "device_ms": millis(choice.latency), "mix": mix })
    };
    let decision = &change.decision;
    let (policy, plan, squeezed) = match &decision.by {
        By::Policy { name, plan } => (name, Some(plan.0), None),
        By::Squeeze { policy, why } => {
            let words = |why: &PlanError| why.to_string();
            (policy, None, Some(why.as_ref().map_or_else(|| "a device waits for one answer only".into(), words)))
        }
    };
    let otherwise = match &change.otherwise {
        Otherwise::Unknown => Value::Null,
        Otherwise::Nobody => json!({ "late": false }),
        Otherwise::Late { job, by, .. } => json!({ "late": true, "job": naming.job(*job), "by_ms": millis(*by) }),
    };
    let asked = decision.asked.as_ref();
    json!({
        "at_ms": millis(decision.at.since(story.arrival)), "policy": policy.as_ref() as &str, "plan": plan, "squeezed_because": squeezed,
        "late_before": asked.map(|asked| asked.late_before), "late_after": asked.map(|asked| asked.late_after),
        "from": choice(&change.from), "to": choice(&change.to), "if_it_had_stayed": otherwise,
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
