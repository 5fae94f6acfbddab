//! What a client is told when its request fails: a stable code with its status, what was expected and what it got.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error_code::ErrorCode;
use crate::work_pool::WorkError;

/// A request that failed, as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    /// For programs.
    pub(crate) code: ErrorCode,
    /// For people: what was expected and what the server got.
    pub(crate) message: String,
    /// Numbers a program may want, or null.
    pub(crate) details: Value,
    /// When to try again, if that helps.
    pub(crate) retry_after: Option<Duration>,
}

impl ApiError {
    /// To be tried again after a second, if the code is one of those that go away.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        let passes = matches!(code.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        ApiError { code, message: bounded(message.into()), details: Value::Null, retry_after: passes.then_some(SOON) }
    }

    /// With these details.
    pub(crate) fn with(mut self, details: Value) -> ApiError {
        self.details = details;
        self
    }

    /// To be tried again after so long.
    pub(crate) fn retry_after(mut self, wait: Duration) -> ApiError {
        self.retry_after = Some(wait);
        self
    }

    /// What its body says.
    pub(super) fn json(&self) -> Value {
        let mut error = json!({ "code": self.code.word(), "message": self.message });
        let mut details = self.details.clone();
        if let Some(wait) = self.retry_after {
            // Retry-After is in whole seconds, and most waits are shorter
            details["retry_after_ms"] = json!(wait.as_micros().div_ceil(1000) as u64);
        }
        if !details.is_null() {
            error["details"] = details;
        }
        json!({ "error": error })
    }

    /// The value of `Retry-After`: whole seconds, as RFC 9110 wants them, one at least.
    pub(super) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_millis().div_ceil(1000).max(1) as u64)
    }

    /// The server is being stopped.
    pub(crate) fn draining() -> ApiError {
        let message = "the server is stopping; it finishes what it has accepted and takes nothing new";
        ApiError::new(ErrorCode::Draining, message)
    }

    /// The models are still being loaded.
    pub(crate) fn starting() -> ApiError {
        ApiError::new(ErrorCode::Starting, "the server is starting; its models are being loaded")
    }
}

/// What a body may be packed in.
pub(crate) const CODINGS: &str = "gzip, deflate, zstd, identity";

/// How soon whatever goes away by itself is worth another try.
const SOON: Duration = Duration::from_secs(1);

/// Bytes of a message; longer ones repeat what the client sent.
const MAX_MESSAGE_BYTES: usize = 2048;

fn bounded(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push_str("...");
    }
    message
}

impl From<WorkError> for ApiError {
    fn from(error: WorkError) -> ApiError {
        let message = error.to_string();
        match error {
            WorkError::Full { retry_after } => ApiError::new(ErrorCode::WorkFull, message).retry_after(retry_after),
            WorkError::Panicked(_) => {
                tracing::error!("{message}");
                ApiError::new(ErrorCode::Internal, message)
            }
            WorkError::Closed => ApiError::draining(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.code.status();
        let mut response = (status, Json(self.json())).into_response();
        // for whoever counts
        response.extensions_mut().insert(self.code);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mosel\""));
        }
        if self.code == ErrorCode::UnsupportedEncoding {
            let taken = HeaderValue::from_static(CODINGS);
            response.headers_mut().insert(header::ACCEPT_ENCODING, taken);
        }
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
