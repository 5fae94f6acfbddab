//! `/v1/policy`: what decides now, how well, and how to change it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{self, Bounds};
use super::view::millis;
use super::{ApiError, App, parsed_job, policies, shadow, submission};
use crate::error_code::ErrorCode;
use crate::planner::StateTransfer;
use crate::policies::swap::{Active, PolicyChange, PolicyHistory, PreviousPolicy, Rollback};
use crate::service::Service;
use crate::stats::Counts;

/// What a policy is asked for by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) name: String,
    #[serde(default)]
    settings: serde_json::Map<String, Value>,
}

/// `GET /v1/policy`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    Ok(Json(describe(app.service()?)))
}

/// `PUT /v1/policy`
pub(super) async fn change(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Json<Value>, ApiError> {
    let wanted = wanted(&app, request).await?;
    blocking(app, move |service| {
        let changed = service.policies.swap(&wanted.name, &wanted.settings()).map_err(policies::fault)?;
        Ok(Json(answer(service, &changed, "changed the policy")))
    })
    .await
}

/// `POST /v1/policy/rollback`
pub(super) async fn roll_back(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.open()?;
    blocking(app, |service| {
        let changed = service.policies.roll_back().map_err(policies::fault)?;
        Ok(Json(answer(service, &changed, "rolled the policy back")))
    })
    .await
}

/// A name and its settings, which are kept and shown.
const MOST_SETTINGS_BYTES: usize = 256 << 10;

/// Reads which policy is wanted, while the server takes something new.
pub(super) async fn wanted(app: &App, request: Request<Body>) -> Result<Wanted, ApiError> {
    let service = app.open()?;
    if parsed_job::form(request.headers())? != parsed_job::Form::Json {
        return Err(parsed_job::unsupported("application/json", "multipart/form-data"));
    }
    let bounds = Bounds::of_jobs(&app.config.http);
    let received = body::receive(request, bounds, service.jobs.input_bytes().hold()).await?;
    if received.bytes.len() > MOST_SETTINGS_BYTES {
        let message = format!("expected at most {MOST_SETTINGS_BYTES} bytes, got {}", received.bytes.len());
        return Err(ApiError::new(ErrorCode::SettingsTooLarge, message));
    }
    let text = submission::utf8(&received.bytes)?;
    serde_json::from_str(text).map_err(|error| submission::json_fault(text, &error))
}

/// Does on a thread of its own what would keep other requests waiting.
pub(super) async fn blocking<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&Service) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || work(app.service()?));
    done.await.unwrap_or_else(|error| Err(ApiError::new(ErrorCode::Internal, error.to_string())))
}

impl Wanted {
    /// As JSON text.
    pub(super) fn settings(&self) -> String {
        serde_json::to_string(&self.settings).expect("a map with text keys has a JSON form")
    }
}

fn answer(service: &Service, changed: &PolicyChange, done: &str) -> Value {
    let tag = &changed.active.tag;
    let state = state(&changed.transfer);
    tracing::info!(policy = tag.name, hash = tag.hash, generation = tag.generation, state, "{done}");
    let mut answer = describe(service);
    answer["state"] = json!(state);
    answer
}

fn state(transfer: &StateTransfer) -> String {
    match transfer {
        StateTransfer::None => "none".into(),
        StateTransfer::Over => "carried over".into(),
        StateTransfer::Back => "carried over from when this policy was in place before".into(),
        StateTransfer::Lost(why) => format!("not carried over: {why}"),
    }
}

fn describe(service: &Service) -> Value {
    let PolicyHistory { active, previous, last_rollback } = service.policies.history();
    let description = active.loaded.description();
    let shadow = service.policies.shadow().map(|shadow| shadow::describe(service, &shadow));
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

/// Settings as JSON; they are kept as text.
pub(super) fn parsed(settings: &str) -> Value {
    serde_json::from_str(settings).unwrap_or_default()
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

fn stats(active: &Active) -> Value {
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
