//! `/v1/jobs/{id}/explain`: a job's choices over time, who changed them, why, and what it would have cost otherwise.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use mosel_journal::Naming;
use serde_json::Value;

use super::api_error::ApiError;
use super::app::App;
use super::job_id::parse_id;
use crate::error_code::ErrorCode;
use crate::explained::job_explanation;

/// `GET /v1/jobs/{id}/explain`
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let job = parse_id(&id)?;
    let recorder = service.recorder.clone();
    // it may have to write to a disk first
    let history = tokio::task::spawn_blocking(move || recorder.history(job)).await;
    let history = history.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    let unknown =
        || ApiError::new(ErrorCode::UnknownJob, format!("there is no history of a job {id}, or it ended long ago"));
    let models = service.driver.query(|scheduler, _| scheduler.models().to_vec());
    history.map(|history| Json(job_explanation(&history, &Naming::new("j-", &models)))).ok_or_else(unknown)
}
