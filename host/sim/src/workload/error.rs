//! Why a workload cannot be used. The texts are for whoever wrote the file.

use std::ops::RangeInclusive;
use std::path::PathBuf;

/// The most jobs that are drawn at once.
pub const MOST_JOBS: usize = 5_000_000;

/// Why a workload cannot be read or drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorkloadError {
    /// Not TOML, or not with the fields of a workload.
    #[error("{}", .0.trim_end())]
    Toml(String),
    /// A field has a value that it must not have.
    #[error("{field} is {found}, expected {expected}")]
    Value {
        /// Where it stands in the file, as `arrivals.load`.
        field: String,
        /// What came.
        found: String,
        /// What may come.
        expected: String,
    },
    /// A file cannot be read, or is too long.
    #[error("reading {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says, or by how much it is too long.
        reason: String,
    },
    /// A trace is not what it is said to be.
    #[error("the trace {file}: {reason}")]
    Trace {
        /// As the workload names it.
        file: String,
        /// What was expected and what came, with the line where it has one.
        reason: String,
    },
    /// Some jobs are larger than what the model has strategies for.
    #[error("jobs.requests reach to {requests}, expected at most {most}: the model has no strategies for larger jobs")]
    JobTooLarge {
        /// The largest job of the workload.
        requests: u32,
        /// The largest job of the matrix.
        most: u32,
    },
    /// Nothing can be offered to no lane.
    #[error("there are 0 lanes, expected at least 1")]
    NoLanes,
    /// More jobs than [`MOST_JOBS`].
    #[error("about {jobs:.0} jobs would arrive, expected at most {most}: try less load or a shorter duration")]
    TooManyJobs {
        /// How many are expected.
        jobs: f64,
        /// The most there may be.
        most: usize,
    },
}

/// `value` lies in `range`; nothing that is not a number does.
pub(super) fn within(field: &str, value: f64, range: RangeInclusive<f64>) -> Result<(), WorkloadError> {
    demand(range.contains(&value), field, || (value.to_string(), format!("{} to {}", range.start(), range.end())))
}

/// `holds`, or an error of what was found in `field` and what was expected there.
pub(super) fn demand(holds: bool, field: &str, words: impl FnOnce() -> (String, String)) -> Result<(), WorkloadError> {
    if holds {
        return Ok(());
    }
    let (found, expected) = words();
    Err(WorkloadError::Value { field: field.into(), found, expected })
}
