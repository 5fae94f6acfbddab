//! Headers that change how a submission is answered: `Prefer: wait` and `Idempotency-Key`.

use std::time::Duration;

use axum::http::HeaderMap;

use super::api_error::ApiError;
use crate::error_code::ErrorCode;

/// How long the client wants to wait for the end of its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all.
    No,
    /// At most so long.
    For(Duration),
}

/// Reads `Prefer`; what it cannot mean for a job is ignored, as RFC 7240 wants it.
pub(crate) fn wait(headers: &HeaderMap, most: Duration) -> Result<Wait, ApiError> {
    for value in headers.get_all("prefer") {
        let text = value.to_str().map_err(|_| ApiError::new(ErrorCode::BadPrefer, "expected Prefer in ASCII"))?;
        for preference in text.split([',', ';']).map(str::trim) {
            let (name, value) =
                preference.split_once('=').map_or((preference, None), |(n, v)| (n.trim(), Some(v.trim())));
            if name.eq_ignore_ascii_case("wait") {
                return value.map_or(Ok(Wait::For(most)), |value| seconds(value, most).map(Wait::For));
            }
        }
    }
    Ok(Wait::No)
}

/// Reads `Idempotency-Key`.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let sound = |key: &&str| (1..=255).contains(&key.len());
    let key = value.to_str().ok().filter(sound).ok_or_else(|| {
        let came = value.as_bytes().len();
        ApiError::new(ErrorCode::BadIdempotencyKey, format!("expected 1 to 255 ASCII characters, got {came} bytes"))
    })?;
    Ok(Some(key))
}

fn seconds(value: &str, most: Duration) -> Result<Duration, ApiError> {
    let seconds = value.trim_matches('"').parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    match seconds {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds.min(most.as_secs_f64()))),
        None => Err(ApiError::new(ErrorCode::BadPrefer, format!("expected Prefer: wait=SECONDS, got wait={value}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    fn waits(value: &str) -> Result<Wait, &'static str> {
        wait(&headers("prefer", value), Duration::from_secs(60)).map_err(|error| error.code.word())
    }

    #[test]
    fn wait_is_found_among_preferences_and_bounded() {
        let seconds = |seconds| Ok(Wait::For(Duration::from_secs(seconds)));
        assert_eq!(waits("wait"), seconds(60));
        assert_eq!(waits("respond-async, Wait=10"), seconds(10));
        assert_eq!(waits("wait=1e9"), seconds(60));
        assert_eq!(waits("respond-async"), Ok(Wait::No));
        assert_eq!(waits("wait=soon"), Err("bad_prefer"));
        assert_eq!(waits("wait=-1"), Err("bad_prefer"));
    }

    #[test]
    fn keys_have_a_length() {
        let key = |text: &str| idempotency_key(&headers("idempotency-key", text)).map(|key| key.map(str::len));
        assert_eq!(key(&"k".repeat(255)), Ok(Some(255)));
        assert_eq!(key(&"k".repeat(256)).unwrap_err().code.word(), "bad_idempotency_key");
        assert_eq!(key("").unwrap_err().code.word(), "bad_idempotency_key");
    }
}
