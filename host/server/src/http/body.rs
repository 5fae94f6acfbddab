//! Reading a request's body: bounded in size, in time, and in what all bodies together may hold.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
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

/// Receives the body, or says which bound it broke.
pub(crate) async fn receive(request: Request<Body>, limits: &Http, held: HeldBytes) -> Result<Received, Fault> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limits.max_body_bytes) {
        return Err(too_large(limits, announced));
    }
    let collected = tokio::time::timeout(limits.body_timeout(), collect(request.into_body(), limits, held));
    collected.await.unwrap_or_else(|_| Err(slow(limits)))
}

async fn collect(mut body: Body, limits: &Http, mut held: HeldBytes) -> Result<Received, Fault> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if held.bytes() + data.len() as u64 > limits.max_body_bytes {
            return Err(too_large(limits, None));
        }
        if !held.take(data.len() as u64) {
            return Err(Fault::unavailable("inputs_full", "the inputs of all jobs fill the memory set aside for them"));
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

fn too_large(limits: &Http, came: Option<u64>) -> Fault {
    let came = came.map_or("more".into(), |came| format!("{came} bytes"));
    Fault::too_large(
        "body_too_large",
        format!("expected a body of at most {} bytes, {came} came", limits.max_body_bytes),
    )
}

fn slow(limits: &Http) -> Fault {
    let message = format!("expected the whole body within {} ms", limits.body_timeout_ms);
    Fault::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message)
}

fn broken(error: &axum::Error) -> Fault {
    Fault::bad_request("broken_body", format!("expected a whole body, the connection gave: {error}"))
}
