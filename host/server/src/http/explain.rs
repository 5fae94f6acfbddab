//! `/v1/jobs/{id}/explain`: a job's choices over time, who changed them, why, and what it would have cost otherwise.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use mosel_core::JobId;
use mosel_journal::Naming;
use serde_json::Value;

use super::api_error::ApiError;
use super::app::App;
use super::caller::Caller;
use super::jobs;
use crate::error_code::ErrorCode;
use crate::explained::job_explanation;

/// `GET /v1/jobs/{id}/explain`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let service = app.service()?;
    let record = jobs::find(service, &caller, &id)?;
    let job = record.id;
    let recorder = service.recorder.clone();
    // it may have to write to a disk first
    let history = tokio::task::spawn_blocking(move || recorder.history(job)).await;
    let history = history.map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    let unknown =
        || ApiError::new(ErrorCode::UnknownJob, format!("there is no history of a job {id}, or it ended long ago"));
    let models = service.driver.query(|scheduler, _| scheduler.models().to_vec());
    let named = service.jobs.clone();
    let name = move |other: JobId| {
        if other == job {
            return record.wire_id.to_string();
        }
        // the name of another's job would let the caller see it, and cancel it
        let seen = named.numbered(other).filter(|other| caller.is_told(other.request.tenant.as_deref()));
        seen.map_or_else(|| "another job".into(), |other| other.wire_id.to_string())
    };
    let naming = Naming::new("j-", &models).with_names(name);
    history.map(|history| Json(job_explanation(&history, &naming))).ok_or_else(unknown)
}
