//! `GET /metrics`: numbers for a monitoring system.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mosel_core::Trigger;

use super::{App, Fault};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, Fault> {
    let service = app.service()?;
    let waiting =
        |lane| service.driver.look(|scheduler, now| scheduler.snapshot(lane, Trigger::Rehearsal, now).jobs.len());
    for lane in 0..app.config.queue.lanes {
        service.metrics.waiting(lane, waiting(lane));
    }
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], service.metrics.text()).into_response())
}
