//! `/v1/models`: what is served, what was measured about it, the menus of a job size.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use mosel_models::InputKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::view::{StepView, millis};
use super::{App, Fault};
use crate::served::Served;

/// `GET /v1/models`
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Value>, Fault> {
    let models: Vec<Value> = app.service()?.models.iter().map(describe).collect();
    Ok(Json(json!({ "models": models })))
}

/// `GET /v1/models/{name}`
pub(super) async fn show(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, Fault> {
    Ok(Json(describe(find(&app, &name)?)))
}

/// `GET /v1/models/{name}/profile`
pub(super) async fn profile(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, Fault> {
    let model = find(&app, &name)?;
    let profile = model.matrix.profile();
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
        "modalities": profile.modalities,
        "measurements": measurements,
    })))
}

/// What `strategies` has to be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Size {
    requests: u32,
}

/// `GET /v1/models/{name}/strategies?requests=N`
pub(super) async fn strategies(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    size: Result<Query<Size>, QueryRejection>,
) -> Result<Json<Value>, Fault> {
    let model = find(&app, &name)?;
    let Query(Size { requests }) = size.map_err(|error| Fault::bad_request("bad_query", error.body_text()))?;
    let most = model.matrix.max_requests();
    let table = model.matrix.table(requests).ok_or_else(|| {
        Fault::bad_request("bad_query", format!("expected requests from 1 to {most}, {requests} came"))
    })?;
    let strategies = table.strategies.iter().map(|strategy| {
        let steps: Vec<StepView> = strategy.steps.iter().map(|step| StepView::new(step, model)).collect();
        json!({
            "latency_ms": millis(strategy.latency),
            "accuracy": strategy.accuracy,
            "memory_bytes": strategy.memory_bytes,
            "steps": steps,
        })
    });
    let strategies: Vec<Value> = strategies.collect();
    Ok(Json(json!({ "model": name, "requests": requests, "strategies": strategies })))
}

/// No model of this name.
pub(super) fn unknown(models: &[Served], name: &str) -> Fault {
    let known: Vec<&str> = models.iter().map(|model| model.spec.name.as_str()).collect();
    Fault::not_found("unknown_model", format!("expected one of the models {}, {name:?} came", known.join(", ")))
}

fn find<'a>(app: &'a App, name: &str) -> Result<&'a Served, Fault> {
    let models = &app.service()?.models;
    models.iter().find(|model| model.spec.name == name).ok_or_else(|| unknown(models, name))
}

fn describe(model: &Served) -> Value {
    let modalities = model.spec.modalities.iter().map(|modality| {
        let (kind, limits) = match &modality.kind {
            InputKind::Picture { max_side, raw } => ("picture", json!({ "max_side": max_side, "raw": raw })),
            InputKind::Video { frames, max_side, raw } => {
                ("video", json!({ "frames": frames, "max_side": max_side, "raw": raw }))
            }
            InputKind::Sound { hertz, samples } => ("sound", json!({ "hertz": hertz, "samples": samples })),
            InputKind::Text { max_bytes } => ("text", json!({ "max_bytes": max_bytes })),
            InputKind::Samples { shape } => ("samples", json!({ "shape": shape })),
        };
        json!({ "name": modality.name, "kind": kind, "limits": limits })
    });
    json!({
        "name": model.spec.name,
        "modalities": modalities.collect::<Vec<Value>>(),
        "labels": *model.spec.labels,
        "weights_sha256": model.spec.weights_sha256,
        "profile": model.matrix.profile().id,
        "max_requests": model.matrix.max_requests(),
    })
}
