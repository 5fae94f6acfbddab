//! What a client is told when a policy cannot be stored, or put in place.

use serde_json::json;

use super::api_error::ApiError;
use crate::error_code::ErrorCode;
use crate::policies::error::SwapError;
use crate::policies::store::StoreError;

/// Why a policy is not put where it was asked to be.
impl From<SwapError> for ApiError {
    fn from(error: SwapError) -> ApiError {
        let message = error.to_string();
        match error {
            SwapError::Store(error) => error.into(),
            SwapError::Load(..) => ApiError::new(ErrorCode::PolicyRefused, message),
            SwapError::Configure(..) => ApiError::new(ErrorCode::PolicySettingsRefused, message),
            SwapError::Rehearsal { kind, .. } => {
                ApiError::new(ErrorCode::PolicyRehearsalFailed, message).with(json!({ "reason": kind }))
            }
            SwapError::NothingToRollBackTo(_) => ApiError::new(ErrorCode::NothingToRollBackTo, message),
            SwapError::Overtaken => ApiError::new(ErrorCode::PolicyChangedMeanwhile, message),
            SwapError::NoThread(_) | SwapError::Interrupted => ApiError::new(ErrorCode::Internal, message),
            SwapError::Stopping => ApiError::draining(),
        }
    }
}

/// Why a component is not in the store, or not taken out of it.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        let message = error.to_string();
        match error {
            StoreError::BadName(_) => ApiError::new(ErrorCode::BadPolicyName, message),
            StoreError::Unknown { .. } => ApiError::new(ErrorCode::UnknownPolicy, message),
            StoreError::Unreadable(..) => ApiError::new(ErrorCode::PolicyUnreadable, message),
            StoreError::Shipped(_) => ApiError::new(ErrorCode::PolicyIsShipped, message),
            StoreError::InUse(..) => ApiError::new(ErrorCode::PolicyInUse, message),
            StoreError::Full { .. } => ApiError::new(ErrorCode::StoreFull, message),
            StoreError::Unwritable(..) => ApiError::new(ErrorCode::PolicyUnwritable, message),
        }
    }
}
