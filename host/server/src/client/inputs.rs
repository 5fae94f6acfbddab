//! Inputs that clients submit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mosel_core::Profile;
use mosel_models::{Example, Input};
use serde_json::{Value, json};

/// The beginning of a PNG file of 8x8 pixels; a timed model reads no further.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x06\0\0\0";

/// A request as JSON writes it.
pub(crate) fn encode(example: &Example, profile: &Profile) -> Value {
    let input = |input: &Input| match input {
        Input::Png(file) => json!({ "base64": STANDARD.encode(file) }),
        Input::Text(text) => String::from_utf8_lossy(text).into(),
        Input::Samples(samples) => json!(samples.as_ref()),
    };
    profile
        .modalities
        .iter()
        .cloned()
        .zip(example.request.inputs().iter().map(input))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
