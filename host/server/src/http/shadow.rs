//! `/v1/policy/shadow`: a policy that is asked what the one in place is asked, and is never obeyed.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde_json::{Value, json};

use super::policy::{blocking, parsed, wanted};
use super::view::millis;
use super::{ApiError, App, policies};
use crate::error_code::ErrorCode;
use crate::policies::shadow::{Shadow, Side, Tally};
use crate::service::Service;

/// `GET /v1/policy/shadow`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let shadow = service.policies.shadow().ok_or_else(none)?;
    Ok(Json(describe(service, &shadow)))
}

/// `PUT /v1/policy/shadow`
pub(super) async fn set(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Json<Value>, ApiError> {
    let wanted = wanted(&app, request).await?;
    blocking(app, move |service| {
        let shadow = service.policies.set_shadow(&wanted.name, &wanted.settings()).map_err(policies::fault)?;
        tracing::info!(policy = shadow.name, hash = shadow.loaded.hash(), "a policy watches from the shadow");
        Ok(Json(describe(service, &shadow)))
    })
    .await
}

/// `DELETE /v1/policy/shadow`
pub(super) async fn clear(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    blocking(app, |service| {
        let shadow = service.policies.clear_shadow().ok_or_else(none)?;
        Ok(Json(describe(service, &shadow)))
    })
    .await
}

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

fn none() -> ApiError {
    ApiError::new(ErrorCode::NoShadow, "expected a policy in the shadow, there is none; PUT /v1/policy/shadow")
}
