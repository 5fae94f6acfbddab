//! `GET /metrics`: numbers for a monitoring system.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mosel_core::LaneId;

use super::app::App;
use crate::service::Service;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show(State(app): State<Arc<App>>) -> Response {
    if let Some(service) = app.service.get() {
        look_at_lanes(service).await;
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics.text()).into_response()
}

/// Asks the scheduler how its lanes are; where it is busy the numbers stay what they were, since whoever asks is not to
/// wait for it.
async fn look_at_lanes(service: &Service) {
    for _ in 0..PATIENCE_MS {
        let lanes = service.driver.try_query(|scheduler, now| {
            let look = |lane| (lane, scheduler.waiting(lane), scheduler.correction_at(lane, now).unwrap_or(1.0));
            (0..scheduler.config().lanes).map(LaneId).map(look).collect::<Vec<_>>()
        });
        if let Some(lanes) = lanes {
            for (lane, waiting, correction) in lanes {
                service.metrics.waiting(lane, waiting);
                service.metrics.correction(lane, correction);
            }
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

const PATIENCE_MS: u32 = 20;
