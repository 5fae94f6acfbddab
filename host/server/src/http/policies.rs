//! `/v1/policies` and `/v1/policy`: what may decide, what decides now, how well, and how to change it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::millis;
use super::{App, Fault, body, submission};
use crate::policies::{Active, SwapError};
use crate::service::Service;

/// `GET /v1/policies`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let policies = &app.service()?.policies;
    let active = policies.active().tag;
    let listed = policies.list().into_iter().map(|listed| {
        let source = if listed.shipped { "shipped" } else { "file" };
        json!({ "active": listed.name == active.name, "name": listed.name, "source": source })
    });
    Ok(Json(json!({ "policies": listed.collect::<Vec<Value>>() })))
}

/// `GET /v1/policy`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let service = app.service()?;
    Ok(Json(describe(service, &service.policies.active())))
}

/// What `PUT /v1/policy` is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: String,
    #[serde(default)]
    settings: serde_json::Map<String, Value>,
}

/// `PUT /v1/policy`
pub(super) async fn change(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Json<Value>, Fault> {
    let service = app.open()?;
    let form = super::intake::form(request.headers())?;
    if form != super::intake::Form::Json {
        return Err(super::intake::unsupported("application/json", "multipart/form-data"));
    }
    let received = body::receive(request, &app.config.http, service.jobs.input_bytes().hold()).await?;
    let text = submission::utf8(&received.bytes)?;
    let Change { name, settings } = serde_json::from_str(text).map_err(|error| submission::json_fault(text, &error))?;
    let app = app.clone();
    let swapped = tokio::task::spawn_blocking(move || {
        let service = app.service()?;
        let settings = Value::Object(settings).to_string();
        let active = service.policies.swap(&name, &settings).map_err(refused)?;
        tracing::info!(policy = active.tag.name, hash = active.tag.hash, "changed the policy");
        Ok(Json(describe(service, &active)))
    });
    swapped.await.unwrap_or_else(|error| Err(Fault::internal(error.to_string())))
}

fn describe(service: &Service, active: &Active) -> Value {
    let counts = service.stats.counts();
    let time = |share| counts.percentile(share).map(millis);
    let settings: Value = serde_json::from_str(&active.settings).unwrap_or_default();
    json!({
        "name": active.tag.name,
        "hash": active.tag.hash,
        "version": active.version,
        "summary": active.summary,
        "settings": settings,
        "stats": {
            "calls": counts.calls,
            "adopted": counts.adopted,
            "jobs_moved": counts.moved,
            "refused": counts.refused,
            "squeezes": counts.squeezes,
            "last_error": counts.last_error,
            "decision_ms": { "p50": time(0.5), "p99": time(0.99) },
        },
    })
}

fn refused(error: SwapError) -> Fault {
    let message = error.to_string();
    match error {
        SwapError::BadName(_) => Fault::bad_request("bad_policy_name", message),
        SwapError::Unknown { .. } => Fault::not_found("unknown_policy", message),
        SwapError::Unreadable(..) => Fault::unprocessable("policy_unreadable", message),
        SwapError::Load(..) => Fault::unprocessable("policy_refused", message),
        SwapError::Configure(..) => Fault::unprocessable("policy_settings_refused", message),
        SwapError::Rehearsal(..) => Fault::unprocessable("policy_rehearsal_failed", message),
        SwapError::Stopping => Fault::draining(),
    }
}
