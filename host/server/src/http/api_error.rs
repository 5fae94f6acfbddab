//! What a client is told when its request fails: a stable code with its status, what was expected and what it got.

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
    pub(crate) retry_after_s: Option<u64>,
}

impl ApiError {
    /// To be tried again after a second, if the code is one of those that go away.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> ApiError {
        let passes = matches!(code.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        ApiError { code, message: message.into(), details: Value::Null, retry_after_s: passes.then_some(1) }
    }

    /// With these details.
    pub(crate) fn with(mut self, details: Value) -> ApiError {
        self.details = details;
        self
    }

    /// To be tried again after so many seconds, one at least.
    pub(crate) fn retry_after(mut self, seconds: u64) -> ApiError {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// What its body says.
    pub(super) fn json(&self) -> Value {
        let mut error = json!({ "code": self.code.word(), "message": self.message });
        if !self.details.is_null() {
            error["details"] = self.details.clone();
        }
        json!({ "error": error })
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

impl From<WorkError> for ApiError {
    fn from(error: WorkError) -> ApiError {
        let message = error.to_string();
        match error {
            WorkError::Full { retry_after } => {
                ApiError::new(ErrorCode::WorkFull, message).retry_after(retry_after.as_secs())
            }
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
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
