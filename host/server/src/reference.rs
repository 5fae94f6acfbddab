//! What the pages of reference are made from: configuration keys, error codes and metrics, as the code itself has them.

pub use crate::config::Key;
pub use crate::error_code::ErrorCode;
pub use crate::metrics::MetricFamily;

use crate::config::Config;
use crate::metrics::Metrics;

/// Every error code of the HTTP interface, grouped by what it is about.
pub fn error_codes() -> &'static [ErrorCode] {
    ErrorCode::ALL
}

/// Every family of numbers of `GET /metrics`.
pub fn metrics() -> Vec<MetricFamily> {
    Metrics::families()
}

/// Every key of the configuration, with its range, its default and what it means.
pub fn config_keys() -> Vec<Key> {
    Config::keys()
}

/// The JSON schema of the configuration, for editors. Its defaults are this machine's.
pub fn config_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
