//! Which policy a client asks for, and with which settings.

use axum::body::Body;
use axum::http::Request;
use serde::Deserialize;
use serde_json::Value;

use super::api_error::ApiError;
use super::app::App;
use super::body::{self, Bounds, Received};
use super::caller::Caller;
use super::compression::{self, Coding};
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
/// What is read of a longer one, to say that it is.
const MOST_BODY_BYTES: u64 = 1 << 20;

/// Reads which policy is wanted, while the server takes something new.
pub(super) async fn wanted(app: &App, request: Request<Body>) -> Result<Wanted, ApiError> {
    let service = app.open()?;
    if parsed_job::form(request.headers())? != parsed_job::Form::Json {
        return Err(parsed_job::unsupported("application/json", "multipart/form-data"));
    }
    let coding = compression::coding(request.headers())?;
    let bounds = Bounds { most_bytes: MOST_BODY_BYTES, ..Bounds::of_jobs(&app.config.http) };
    let share_key = Caller::share_key_of(&request);
    let received = body::receive(request, bounds, service.jobs.input_bytes()).await?;
    let bytes = received.bytes.len();
    app.work.run(share_key, bytes, move || parse(coding, received)).await
}

fn parse(coding: Coding, received: Received) -> Result<Wanted, ApiError> {
    let Received { bytes, mut memory } = received;
    let bytes = compression::unpacked(coding, bytes, &mut memory)?;
    if bytes.len() > MOST_SETTINGS_BYTES {
        let message = format!("expected at most {MOST_SETTINGS_BYTES} bytes, got {}", bytes.len());
        return Err(ApiError::new(ErrorCode::SettingsTooLarge, message));
    }
    let text = submission::utf8(&bytes)?;
    serde_json::from_str(text).map_err(|error| fault(text, &error))
}

/// What is wrong with this text, which is no wish for a policy.
fn fault(text: &str, error: &serde_json::Error) -> ApiError {
    let code = match serde_json::from_str::<Value>(text) {
        Err(_) => ErrorCode::MalformedJson,
        Ok(Value::Object(fields)) => {
            let (name, settings) = (fields.get("name"), fields.get("settings"));
            if fields.keys().any(|field| field != "name" && field != "settings") {
                ErrorCode::UnknownField
            } else if name.is_none() {
                ErrorCode::MissingField
            } else if name.is_some_and(Value::is_string) && settings.is_none_or(Value::is_object) {
                ErrorCode::DuplicateField
            } else {
                ErrorCode::WrongType
            }
        }
        Ok(_) => ErrorCode::WrongType,
    };
    ApiError::new(code, format!("expected a JSON object as documented: {error}"))
}
