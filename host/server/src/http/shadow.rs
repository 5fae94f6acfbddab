//! `/v1/policy/shadow`: a policy that is asked what the one in place is asked, and is never obeyed.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde_json::Value;

use super::api_error::ApiError;
use super::app::{App, blocking};
use super::shadow_view::describe;
use super::wanted_policy::wanted;
use crate::error_code::ErrorCode;

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
        let shadow = service.policies.set_shadow(&wanted.name, &wanted.settings())?;
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

fn none() -> ApiError {
    ApiError::new(ErrorCode::NoShadow, "expected a policy in the shadow, there is none; PUT /v1/policy/shadow")
}
