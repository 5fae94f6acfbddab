//! Which policy a client asks for, and with which settings.

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::Value;

use super::api_error::ApiError;
use super::app::App;
use super::body::{self, Bounds};
use super::{parsed_job, submission};
use crate::error_code::ErrorCode;

/// What a policy is asked for by.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) name: String,
    #[serde(default)]
    settings: serde_json::Map<String, Value>,
}

impl Wanted {
    /// As JSON text.
    pub(super) fn settings(&self) -> String {
        serde_json::to_string(&self.settings).expect("a map with text keys has a JSON form")
    }
}

/// A name and its settings, which are kept and shown.
const MOST_SETTINGS_BYTES: usize = 256 << 10;

/// Reads which policy is wanted, while the server takes something new.
pub(super) async fn wanted(app: &App, request: Request<Body>) -> Result<Wanted, ApiError> {
    let service = app.open()?;
    if parsed_job::form(request.headers())? != parsed_job::Form::Json {
        return Err(parsed_job::unsupported("application/json", "multipart/form-data"));
    }
    let bounds = Bounds::of_jobs(&app.config.http);
    let received = body::receive(request, bounds, service.jobs.input_bytes()).await?;
    if received.bytes.len() > MOST_SETTINGS_BYTES {
        let message = format!("expected at most {MOST_SETTINGS_BYTES} bytes, got {}", received.bytes.len());
        return Err(ApiError::new(ErrorCode::SettingsTooLarge, message));
    }
    let text = submission::utf8(&received.bytes)?;
    serde_json::from_str(text).map_err(|error| submission::json_fault(text, &error))
}
