//! A job's name on the wire.

use mosel_core::JobId;

use super::api_error::ApiError;
use crate::error_code::ErrorCode;

/// A job's name on the wire.
pub(crate) fn wire_id(job: JobId) -> String {
    format!("j-{}", job.0)
}

/// The job that a client calls so.
pub(super) fn parse_id(id: &str) -> Result<JobId, ApiError> {
    let number = id.strip_prefix("j-").and_then(|number| number.parse().ok());
    number
        .map(JobId)
        .ok_or_else(|| ApiError::new(ErrorCode::UnknownJob, format!("expected a job such as j-17, got {id:?}")))
}
