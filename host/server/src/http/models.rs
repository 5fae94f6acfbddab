//! `/v1/models`: what is served, what was measured about it, the menus of a job size.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use mosel_core::StrategyMatrix;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api_error::ApiError;
use super::app::{App, blocking};
use super::job_view::{StepView, millis};
use super::model_view::{describe, unknown, variants};
use crate::error_code::ErrorCode;
use crate::model_loader::LoadError;
use crate::served::ServedModel;
use crate::service::Service;

/// `GET /v1/models`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let models: Vec<Value> = service.models.now().served.iter().map(|model| describe(service, model)).collect();
    Ok(Json(json!({ "models": models })))
}

/// `GET /v1/models/{name}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    Ok(Json(describe(service, &*find(service, &name)?)))
}

/// `PUT /v1/models/{name}`: takes a model in that this machine has. Answers when jobs for it are taken.
pub(super) async fn load(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    app.open()?;
    blocking(app, move |service| {
        if let Some(model) = service.models.now().find(&name) {
            return Ok(Json(describe(service, model)));
        }
        let begin = Instant::now();
        let model = match service.loader.load(&name) {
            // somebody else was faster
            Err(LoadError::Served(_)) => find(service, &name)?,
            loaded => loaded.map_err(refused)?,
        };
        tracing::info!(model = name, ms = begin.elapsed().as_millis() as u64, "took the model in");
        Ok(Json(describe(service, &model)))
    })
    .await
}

/// `DELETE /v1/models/{name}`: takes no new jobs for a model; those that are here are served, then it is let go.
pub(super) async fn unload(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    app.open()?;
    blocking(app, move |service| {
        let model = service.loader.retire(&name).map_err(refused)?;
        tracing::info!(model = name, "takes no more jobs for the model");
        Ok(Json(describe(service, &model)))
    })
    .await
}

fn refused(error: LoadError) -> ApiError {
    let message = error.to_string();
    match error {
        LoadError::Served(_) => ApiError::new(ErrorCode::ModelServed, message),
        LoadError::Unknown { .. } => ApiError::new(ErrorCode::UnknownModel, message),
        LoadError::Last(_) => ApiError::new(ErrorCode::LastModel, message),
        LoadError::TooMany(_) => ApiError::new(ErrorCode::TooManyModels, message),
        LoadError::Unfit(_) => ApiError::new(ErrorCode::ModelRefused, message),
    }
}

/// What `profile` may be asked for: a kind of device, the server's first one that has the model if none is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfKind {
    kind: Option<String>,
}

/// `GET /v1/models/{name}/profile?kind=cuda`
pub(super) async fn profile(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    of: Result<Query<OfKind>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let model = find(service, &name)?;
    let Query(OfKind { kind }) = of.map_err(|error| ApiError::new(ErrorCode::BadQuery, error.body_text()))?;
    let (kind, variant) = variant(service, &model, kind.as_deref())?;
    let profile = variant.profile();
    let measurements = profile.measurements.iter().map(|measurement| {
        let (low, high) = measurement.accuracy.interval();
        json!({
            "modalities": model.label(measurement.mode.modalities),
            "precision": measurement.mode.precision.name(),
            "batch_size": measurement.batch_size,
            "latency_ms": {
                "mean": millis(measurement.latency.mean),
                "median": millis(measurement.latency.median),
                "p95": millis(measurement.latency.p95),
                "p99": millis(measurement.latency.p99),
            },
            "accuracy": {
                "mean": measurement.accuracy.mean(),
                "low": low,
                "high": high,
                "correct": measurement.accuracy.correct,
                "samples": measurement.accuracy.samples,
            },
            "memory_bytes": measurement.memory_bytes,
        })
    });
    let measurements: Vec<Value> = measurements.collect();
    Ok(Json(json!({
        "id": profile.id,
        "model": profile.model,
        "kind": kind,
        "modalities": profile.modalities,
        "measurements": measurements,
    })))
}

/// What `strategies` has to be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Size {
    requests: u32,
    kind: Option<String>,
}

/// `GET /v1/models/{name}/strategies?requests=N&kind=cuda`
pub(super) async fn strategies(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    size: Result<Query<Size>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let model = find(service, &name)?;
    let Query(Size { requests, kind }) = size.map_err(|error| ApiError::new(ErrorCode::BadQuery, error.body_text()))?;
    let (kind, variant) = variant(service, &model, kind.as_deref())?;
    let most = variant.max_requests();
    let table = variant.table(requests).ok_or_else(|| {
        ApiError::new(ErrorCode::BadQuery, format!("expected requests from 1 to {most}, got {requests}"))
    })?;
    let strategies = table.strategies.iter().map(|strategy| {
        let steps: Vec<StepView> = strategy.steps.iter().map(|step| StepView::new(step, &model)).collect();
        json!({
            "latency_ms": millis(strategy.latency),
            "accuracy": strategy.accuracy,
            "memory_bytes": strategy.memory_bytes,
            "steps": steps,
        })
    });
    let strategies: Vec<Value> = strategies.collect();
    Ok(Json(json!({ "model": name, "kind": kind, "requests": requests, "strategies": strategies })))
}

/// The model as this kind of device has it, or the first kind if none is named; with the kind's name.
fn variant<'a>(
    service: &'a Service,
    model: &'a ServedModel,
    kind: Option<&str>,
) -> Result<(&'a str, &'a StrategyMatrix), ApiError> {
    let mut all = variants(service, model);
    let found = all.find(|(name, _)| kind.is_none_or(|kind| kind == *name));
    found.ok_or_else(|| {
        let kinds: Vec<&str> = variants(service, model).map(|(name, _)| name).collect();
        let message =
            format!("expected one of the kinds of device {}, got {:?}", kinds.join(", "), kind.unwrap_or_default());
        ApiError::new(ErrorCode::BadQuery, message)
    })
}

fn find(service: &Service, name: &str) -> Result<Arc<ServedModel>, ApiError> {
    let models = service.models.now();
    models.find(name).cloned().ok_or_else(|| unknown(&models, name))
}
