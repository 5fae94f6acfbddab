//! Workloads: what is offered to a server or to the simulator, whatever the model.
//!
//! ```toml
//! duration_s = 120.0            # how long jobs arrive
//!
//! [arrivals]                    # see Kind for gamma, bursts, wave, step and trace
//! kind = "poisson"
//! load = 1.0                    # of what the lanes serve at full accuracy; or jobs_per_s
//!
//! [jobs]                        # every number is a Distribution
//! requests = { uniform = [4, 16] }
//! slack = { uniform = [6.0, 18.0] }        # deadline, in times of the job alone; or deadline_ms
//! floor = { uniform = [0.0, 0.3] }         # from the fastest strategy's accuracy to the best; or min_accuracy
//! weight = { fixed = 1.0 }                 # optional
//! tenants = [["alice", 3.0], ["bob", 1.0]] # optional: names and shares
//! on_late = "run"                          # optional; or "drop"
//! ```
//!
//! [`Workload::read`] reads such a file, [`Workload::draw`] makes jobs of it, for a model and from a seed.

mod arrivals;
mod distribution;
mod draw;
mod error;
mod jobs;
mod pairs;
mod pieces;
mod rows;
mod shares;
mod sizes;
mod stream;
mod times;
mod trace;

use std::path::Path;

use mosel_core::OnLate;
use serde::{Deserialize, Serialize};

pub use arrivals::{Arrivals, Kind, Rate};
pub use distribution::Distribution;
pub use draw::{Arrival, Offered};
pub use error::{MOST_JOBS, WorkloadError};
pub use jobs::{Deadline, Floor, Jobs};
pub use times::poisson;
pub use trace::{Form, TraceFile};

/// What is offered: how long, how many jobs, and what they are like.
///
/// Fields are there to be changed, say along a sweep; everything that uses a workload checks it first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// How long jobs arrive, in seconds: 0.001 to 604800, a week.
    pub duration_s: f64,
    /// How many jobs come, and in which way.
    pub arrivals: Arrivals,
    /// What they are like.
    pub jobs: Jobs,
}

/// The longest file, in bytes.
const MOST_BYTES: u64 = 1 << 20;

impl Default for Workload {
    /// Two minutes of Poisson arrivals at load 1: 4 to 16 requests a job, deadlines after 6 to 18 times the job's own
    /// time, floors at 0 to 0.3 of the way to the best accuracy, weight 1, no tenants, late jobs are run.
    fn default() -> Workload {
        Workload {
            duration_s: 120.0,
            arrivals: Arrivals { rate: Rate::Load(1.0), kind: Kind::Poisson {} },
            jobs: Jobs {
                requests: Distribution::Uniform([4, 16]),
                deadline: Deadline::Slack(Distribution::Uniform([6.0, 18.0])),
                floor: Floor::Share(Distribution::Uniform([0.0, 0.3])),
                weight: Distribution::Fixed(1.0),
                tenants: Vec::new(),
                on_late: OnLate::Run,
            },
        }
    }
}

impl Workload {
    /// The workload that a text describes. A trace it names is not read: see [`Workload::read_trace`].
    pub fn parse(text: &str) -> Result<Workload, WorkloadError> {
        let workload: Workload = toml::from_str(text).map_err(|error| WorkloadError::Toml(error.to_string()))?;
        workload.check()?;
        Ok(workload)
    }

    /// The workload of a file of at most 1 MiB, with the trace it names.
    pub fn read(path: &Path) -> Result<Workload, WorkloadError> {
        let mut workload = Workload::parse(&trace::read_bounded(path, MOST_BYTES)?)?;
        workload.read_trace(path.parent().unwrap_or(Path::new("")))?;
        Ok(workload)
    }

    /// Reads the trace if there is one, of at most 64 MiB; its path starts at `folder` unless it is absolute.
    pub fn read_trace(&mut self, folder: &Path) -> Result<(), WorkloadError> {
        match &mut self.arrivals.kind {
            Kind::Trace(trace) => trace.read(folder),
            _ => Ok(()),
        }
    }

    /// Every number is in its range.
    pub fn check(&self) -> Result<(), WorkloadError> {
        error::within("duration_s", self.duration_s, 0.001..=604_800.0)?;
        self.arrivals.check(self.duration_s)?;
        self.jobs.check()
    }

    /// The workload as a file; reads back equal, except that a trace has to be read again.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field has a TOML form")
    }

    /// Two sentences for figures and reports.
    pub fn describe(&self) -> String {
        format!("{} s of {}. {}", self.duration_s, self.arrivals.describe(), self.jobs.describe())
    }
}

#[cfg(test)]
mod tests;
