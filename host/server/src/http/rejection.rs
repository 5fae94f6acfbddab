//! The scheduler's refusals, as a client sees them.

use std::time::Duration;

use mosel_core::{OverShare, Refusal, Time};
use serde_json::json;

use super::api_error::ApiError;
use crate::error_code::ErrorCode;
use crate::jobs::Rejection;

impl ApiError {
    /// Why a job that arrived at `arrival` was turned away.
    pub(crate) fn rejected(why: &Rejection, arrival: Time) -> ApiError {
        match why {
            Rejection::Core(refusal, now) => refused(refusal, arrival, *now),
            Rejection::Draining => ApiError::draining(),
        }
    }
}

fn refused(refusal: &Refusal, arrival: Time, now: Time) -> ApiError {
    let message = refusal.to_string();
    match *refusal {
        Refusal::UnknownModel(_) => ApiError::new(ErrorCode::UnknownModel, message),
        Refusal::ModelLost(_) => ApiError::new(ErrorCode::ModelLost, message),
        Refusal::DeviceSuspect(_) => {
            ApiError::new(ErrorCode::DeviceSuspect, message).retry_after(Duration::from_secs(1))
        }
        Refusal::TooManyRequests { most, .. } => {
            ApiError::new(ErrorCode::JobTooLarge, message).with(json!({ "max_requests": most }))
        }
        Refusal::InvalidJob(_) => ApiError::new(ErrorCode::OutOfRange, message),
        Refusal::Duplicate(_) => ApiError::new(ErrorCode::DuplicateJob, message),
        Refusal::FloorUnreachable { min_accuracy, best } => ApiError::new(ErrorCode::FloorUnreachable, message)
            .with(json!({ "min_accuracy": min_accuracy, "best_accuracy": best })),
        Refusal::DeadlineUnreachable { deadline, earliest, best_accuracy, never } => {
            let offer = json!({
                "earliest_deadline_ms": millis_ceil(earliest.since(arrival)),
                "best_accuracy": best_accuracy,
            });
            let details = json!({ "deadline_ms": millis_ceil(deadline.since(arrival)), "counter_offer": offer });
            // where the deadline was long enough when the job arrived, it is the server that took too long since
            let possible = never && earliest.since(now) <= deadline.since(arrival);
            if never && !possible {
                ApiError::new(ErrorCode::DeadlineImpossible, message).with(details)
            } else {
                let wait = earliest.since(deadline);
                ApiError::new(ErrorCode::Overloaded, message).with(details).retry_after(wait)
            }
        }
        Refusal::OverShare { of, retry_at } => {
            let wait = retry_at.since(now);
            let details = share_details(of, wait);
            ApiError::new(ErrorCode::OverShare, message).with(details).retry_after(wait)
        }
        Refusal::QueueFull { most, retry_at } => {
            let wait = retry_at.since(now);
            ApiError::new(ErrorCode::QueueFull, message).with(json!({ "max_jobs": most })).retry_after(wait)
        }
    }
}

/// What the tenant has enough of, and when there is room again.
fn share_details(of: OverShare, wait: Duration) -> serde_json::Value {
    match of {
        OverShare::Places { held, most } => json!({
            "of": "places", "held": held, "most": most, "retry_after_ms": millis_ceil(wait),
        }),
        OverShare::DeviceTime { promised, most, share } => json!({
            "of": "device_time", "promised_ms": millis_ceil(promised), "most_ms": millis_ceil(most), "share": share,
            "retry_after_ms": millis_ceil(wait),
        }),
    }
}

fn millis_ceil(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    fn unreachable_deadline(never: bool) -> ApiError {
        let [deadline, earliest] = [1100, 3200].map(Time::from_millis);
        let refusal = Refusal::DeadlineUnreachable { deadline, earliest, best_accuracy: Some(0.8), never };
        ApiError::rejected(&Rejection::Core(refusal, Time::from_millis(1000)), Time::from_millis(1000))
    }

    #[test]
    fn an_overload_carries_an_offer_relative_to_the_arrival() {
        let error = unreachable_deadline(false);
        assert_eq!((error.code.status(), error.code), (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded));
        let offer = json!({ "earliest_deadline_ms": 2200, "best_accuracy": 0.8 });
        assert_eq!(error.details, json!({ "deadline_ms": 100, "counter_offer": offer }));
        assert_eq!(error.retry_after, Some(Duration::from_millis(2100)));
    }

    #[test]
    fn a_tenant_over_its_share_is_told_of_what_and_when_to_come_back() {
        let refused = |of| {
            let refusal = Refusal::OverShare { of, retry_at: Time::from_millis(1250) };
            ApiError::rejected(&Rejection::Core(refusal, Time::from_millis(1000)), Time::from_millis(990))
        };
        let places = refused(OverShare::Places { held: 922, most: 918 });
        assert_eq!((places.code.status(), places.code), (StatusCode::TOO_MANY_REQUESTS, ErrorCode::OverShare));
        assert_eq!(places.details, json!({ "of": "places", "held": 922, "most": 918, "retry_after_ms": 250 }));
        assert_eq!(places.retry_after, Some(Duration::from_millis(250)));
        let [promised, most] = [120, 100].map(Duration::from_millis);
        let time = refused(OverShare::DeviceTime { promised, most, share: 0.5 });
        let details = json!({
            "of": "device_time", "promised_ms": 120, "most_ms": 100, "share": 0.5, "retry_after_ms": 250,
        });
        assert_eq!(time.details, details);
    }

    #[test]
    fn a_deadline_no_idle_server_meets_is_the_clients_mistake() {
        let error = unreachable_deadline(true);
        let expected = (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::DeadlineImpossible);
        assert_eq!((error.code.status(), error.code), expected);
        assert_eq!(error.retry_after, None);
    }
}
