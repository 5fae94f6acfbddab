//! `GET /metrics`: numbers for a monitoring system.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mosel_core::{LaneId, Trigger};

use super::api_error::ApiError;
use super::app::App;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let service = app.service()?;
    let waiting: Vec<usize> = service.driver.query(|scheduler, now| {
        let waiting = |lane| scheduler.snapshot(lane, Trigger::Rehearsal, now).jobs.len();
        (0..scheduler.config().lanes).map(LaneId).map(waiting).collect()
    });
    for (lane, jobs) in (0..).map(LaneId).zip(waiting) {
        service.metrics.waiting(lane, jobs);
    }
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], service.metrics.text()).into_response())
}
