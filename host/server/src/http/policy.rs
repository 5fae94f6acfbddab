//! `/v1/policy`: what decides now, how well, and how to change it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use serde_json::{Value, json};

use super::api_error::ApiError;
use super::app::{App, blocking};
use super::policy_view::{describe, state};
use super::wanted_policy::wanted;
use crate::policies::history::PolicyChange;
use crate::service::Service;

/// `GET /v1/policy`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    Ok(Json(describe(app.service()?)))
}

/// `PUT /v1/policy`
pub(super) async fn change(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Json<Value>, ApiError> {
    let wanted = wanted(&app, request).await?;
    blocking(app, move |service| {
        let changed = service.policies.swap(&wanted.name, &wanted.settings())?;
        Ok(Json(answer(service, &changed, "changed the policy")))
    })
    .await
}

/// `POST /v1/policy/rollback`
pub(super) async fn roll_back(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    app.open()?;
    blocking(app, |service| {
        let changed = service.policies.roll_back()?;
        Ok(Json(answer(service, &changed, "rolled the policy back")))
    })
    .await
}

fn answer(service: &Service, changed: &PolicyChange, done: &str) -> Value {
    let tag = &changed.active.tag;
    let state = state(&changed.transfer);
    tracing::info!(policy = tag.name, hash = tag.hash, generation = tag.generation, state, "{done}");
    let mut answer = describe(service);
    answer["state"] = json!(state);
    answer
}
