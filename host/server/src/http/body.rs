//! Reading a request's body: bounded in size, in time, and in what all bodies together may hold.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::json;

use super::api_error::ApiError;
use super::caller::Caller;
use crate::byte_budget::{ByteBudget, HeldBytes};
use crate::config::Http;
use crate::error_code::ErrorCode;
use crate::shares::Full;

/// A whole body, and the bytes held for it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) held: HeldBytes,
}

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) most_bytes: u64,
    pub(crate) timeout: Duration,
    /// Code and words for when all bodies together take too much.
    pub(crate) full: (ErrorCode, &'static str),
}

impl Bounds {
    /// Of jobs, and of whatever is small.
    pub(crate) fn of_jobs(http: &Http) -> Bounds {
        let full = (ErrorCode::InputsFull, "the inputs of all jobs fill the memory set aside for them");
        Bounds { most_bytes: http.max_body_bytes, timeout: http.body_timeout(), full }
    }

    /// What is said when all bodies together take too much, or those of this client.
    pub(crate) fn full(self, full: Full) -> ApiError {
        let (code, words) = self.full;
        match full {
            Full::Pool => ApiError::new(code, words).with(json!({ "share": "all" })),
            Full::Holder => {
                let message = format!("{words}, as far as one client may have it");
                ApiError::new(code, message).with(json!({ "share": "own" }))
            }
        }
    }
}

/// Receives the body, or says which bound it broke.
pub(crate) async fn receive(request: Request<Body>, bounds: Bounds, budget: &ByteBudget) -> Result<Received, ApiError> {
    let held = budget.hold(Caller::share_key_of(&request), 1.0);
    let announced = announced(request.headers());
    if announced.is_some_and(|length| length > bounds.most_bytes) {
        return Err(too_large(bounds, announced));
    }
    let collected = tokio::time::timeout(bounds.timeout, collect(request.into_body(), bounds, held));
    collected.await.unwrap_or_else(|_| Err(slow(bounds)))
}

/// The length that the head announces.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, bounds: Bounds, mut held: HeldBytes) -> Result<Received, ApiError> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if held.bytes() + data.len() as u64 > bounds.most_bytes {
            return Err(too_large(bounds, None));
        }
        held.take(data.len() as u64).map_err(|full| bounds.full(full))?;
        if first.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(Received { bytes: if rest.is_empty() { first } else { rest.freeze() }, held })
}

fn too_large(bounds: Bounds, came: Option<u64>) -> ApiError {
    let came = came.map_or("more".into(), |came| format!("{came} bytes"));
    ApiError::new(
        ErrorCode::BodyTooLarge,
        format!("expected a body of at most {} bytes, got {came}", bounds.most_bytes),
    )
}

fn slow(bounds: Bounds) -> ApiError {
    let message = format!("expected the whole body within {} ms", bounds.timeout.as_millis());
    ApiError::new(ErrorCode::SlowBody, message)
}

/// A body came slower than it has to.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("expected a body that comes with {bytes_per_s} bytes a second on average")]
pub(super) struct SlowBodyError {
    /// `http.min_body_bytes_per_s`.
    pub(super) bytes_per_s: u64,
}

fn broken(error: &axum::Error) -> ApiError {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(slow) = error.downcast_ref::<SlowBodyError>() {
            return ApiError::new(ErrorCode::SlowBody, slow.to_string());
        }
        cause = error.source();
    }
    ApiError::new(ErrorCode::BrokenBody, format!("expected a whole body, the connection gave: {error}"))
}
