//! `GET /metrics`: numbers for a monitoring system.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mosel_core::{LaneId, Trigger};

use super::app::App;
use crate::service::Service;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    if let Some(service) = app.service.get() {
        count_waiting(service).await;
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics.text()).into_response()
}

/// Asks the scheduler how many jobs wait; where it is busy the numbers stay what they were, since whoever asks is not to
/// wait for it.
async fn count_waiting(service: &Service) {
    for _ in 0..PATIENCE_MS {
        let waiting = service.driver.try_query(|scheduler, now| {
            let waiting = |lane| scheduler.snapshot(lane, Trigger::Rehearsal, now).jobs.len();
            (0..scheduler.config().lanes).map(LaneId).map(waiting).collect::<Vec<usize>>()
        });
        if let Some(waiting) = waiting {
            (0..).map(LaneId).zip(waiting).for_each(|(lane, jobs)| service.metrics.waiting(lane, jobs));
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const PATIENCE_MS: u32 = 20;
