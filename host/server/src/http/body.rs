//! Reading a request's body: bounded in size, in time, and in what all bodies together may hold.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;

use super::api_error::ApiError;
use super::caller::Caller;
use crate::byte_budget::{ByteBudget, HeldBytes};
use crate::config::Http;
use crate::error_code::ErrorCode;
use crate::shares::Full;

/// A whole body, and the memory held for it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) memory: Memory,
}

/// Memory taken for a body and for what is made of it, within a body's bounds; given back on drop.
#[derive(Debug)]
pub(crate) struct Memory {
    held: HeldBytes,
    bounds: Bounds,
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

impl Memory {
    /// With what is held already.
    pub(crate) fn new(held: HeldBytes, bounds: Bounds) -> Memory {
        Memory { held, bounds }
    }

    /// Takes so many bytes more, or says why not.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.held.take(bytes as u64).map_err(|full| self.bounds.full(full))
    }

    /// Makes room for so many bytes in this buffer, which has twice as many then, but not more than `most` needlessly.
    pub(crate) fn grow(&mut self, buffer: &mut Vec<u8>, length: usize, most: usize) -> Result<(), ApiError> {
        if length > buffer.capacity() {
            let capacity = (2 * length).min(most).max(length);
            self.take(capacity - buffer.capacity())?;
            buffer.reserve_exact(capacity - buffer.len());
        }
        Ok(())
    }

    /// So many bytes are not in memory any more.
    pub(crate) fn give(&mut self, bytes: usize) {
        self.held.give(bytes as u64);
    }

    /// How many are taken.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.held.bytes()
    }

    /// The most bytes of a body, unpacked.
    pub(crate) fn most_bytes(&self) -> usize {
        usize::try_from(self.bounds.most_bytes).unwrap_or(usize::MAX)
    }

    /// The body is larger than that.
    pub(crate) fn too_large(&self) -> ApiError {
        too_large(self.bounds, None)
    }

    /// To be kept as long as what it is held for.
    pub(crate) fn into_held(self) -> HeldBytes {
        self.held
    }
}

/// Receives the body, or says which bound it broke.
pub(crate) async fn receive(request: Request<Body>, bounds: Bounds, budget: &ByteBudget) -> Result<Received, ApiError> {
    let held = budget.hold(Caller::share_key_of(&request), 1.0);
    let announced = announced(request.headers());
    if announced.is_some_and(|length| length > bounds.most_bytes) {
        return Err(too_large(bounds, announced));
    }
    let collected = collect(request.into_body(), announced, bounds, Memory::new(held, bounds));
    let collected = tokio::time::timeout(bounds.timeout, collected);
    collected.await.unwrap_or_else(|_| Err(slow(bounds)))
}

/// The length that the head announces.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body in one piece stays where it is; several are put together in memory that grows with them.
async fn collect(mut body: Body, announced: Option<u64>, bounds: Bounds, memory: Memory) -> Result<Received, ApiError> {
    let most = announced.unwrap_or(bounds.most_bytes).min(bounds.most_bytes) as usize;
    let (mut first, mut rest, mut memory) = (Bytes::new(), Vec::new(), memory);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        let length = first.len() + rest.len() + data.len();
        if length as u64 > bounds.most_bytes {
            return Err(too_large(bounds, None));
        }
        if first.is_empty() && rest.is_empty() {
            memory.take(data.len())?;
            first = data;
            continue;
        }
        memory.grow(&mut rest, length, most)?;
        if !first.is_empty() {
            rest.extend_from_slice(&first);
            memory.give(first.len());
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    memory.give(rest.capacity() - rest.len());
    Ok(Received { bytes: if rest.is_empty() { first } else { rest.into() }, memory })
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
