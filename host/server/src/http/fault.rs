//! What a client is told when its request fails: a status, a stable code, what was expected and what came.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that failed, as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// For programs; never changes its meaning.
    pub(crate) code: &'static str,
    /// For people: what was expected, what came.
    pub(crate) message: String,
    /// Numbers a program may want, or null.
    pub(crate) details: Value,
    /// When to try again, if that helps.
    pub(crate) retry_after_s: Option<u64>,
}

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Fault {
        Fault { status, code, message: message.into(), details: Value::Null, retry_after_s: None }
    }

    pub(crate) fn with(mut self, details: Value) -> Fault {
        self.details = details;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Fault {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::CONFLICT, code, message)
    }

    pub(crate) fn too_large(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, code, message)
    }

    pub(crate) fn unprocessable(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(crate) fn too_many(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_after(1)
    }

    pub(crate) fn unavailable(code: &'static str, message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, code, message).retry_after(1)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Fault {
        Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The server is being stopped.
    pub(crate) fn draining() -> Fault {
        Fault::unavailable("draining", "the server is stopping; it finishes what it has accepted and takes nothing new")
    }

    /// The models are still being loaded.
    pub(crate) fn starting() -> Fault {
        Fault::unavailable("starting", "the server is starting; its models are being loaded")
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if !self.details.is_null() {
            error["details"] = self.details;
        }
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"mosel\""));
        }
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
