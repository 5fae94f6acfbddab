//! Reading a request's body: bounded in size, in time, and in what all bodies together may hold.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::fault::Fault;
use crate::config::Http;
use crate::jobs::HeldBytes;

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
    pub(crate) full: (&'static str, &'static str),
}

impl Bounds {
    /// Of jobs, and of whatever is small.
    pub(crate) fn of_jobs(http: &Http) -> Bounds {
        let full = ("inputs_full", "the inputs of all jobs fill the memory set aside for them");
        Bounds { most_bytes: http.max_body_bytes, timeout: http.body_timeout(), full }
    }
}

/// Receives the body, or says which bound it broke.
pub(crate) async fn receive(request: Request<Body>, bounds: Bounds, held: HeldBytes) -> Result<Received, Fault> {
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

async fn collect(mut body: Body, bounds: Bounds, mut held: HeldBytes) -> Result<Received, Fault> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if held.bytes() + data.len() as u64 > bounds.most_bytes {
            return Err(too_large(bounds, None));
        }
        if !held.take(data.len() as u64) {
            let (code, words) = bounds.full;
            return Err(Fault::unavailable(code, words));
        }
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

fn too_large(bounds: Bounds, came: Option<u64>) -> Fault {
    let came = came.map_or("more".into(), |came| format!("{came} bytes"));
    Fault::too_large("body_too_large", format!("expected a body of at most {} bytes, {came} came", bounds.most_bytes))
}

fn slow(bounds: Bounds) -> Fault {
    let message = format!("expected the whole body within {} ms", bounds.timeout.as_millis());
    Fault::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
}

fn broken(error: &axum::Error) -> Fault {
    Fault::bad_request("broken_body", format!("expected a whole body, the connection gave: {error}"))
}
