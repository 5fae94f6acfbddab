//! Jobs: how large they are and what is asked for them.

use mosel_core::OnLate;
use serde::{Deserialize, Serialize};

use super::WorkloadError;
use super::arrivals::one_of;
use super::distribution::Distribution;
use super::error::demand;
use super::pairs;
use super::shares;

/// What jobs are like. Every number is drawn for itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub struct Jobs {
    /// Requests a job, 1 to [`MAX_REQUESTS`](mosel_core::MAX_REQUESTS) and no more than the matrix reaches to.
    pub requests: Distribution<u32>,
    /// When they have to be finished.
    pub deadline: Deadline,
    /// How accurate they have to be.
    pub floor: Floor,
    /// How much they count, 0.001 to 1000; 1 unless the file says otherwise.
    pub weight: Distribution<f64>,
    /// Who they are for, each with a share of the jobs; nobody if there are none. Names are of 1 to 64 bytes of visible
    /// characters, as servers take them.
    pub tenants: Vec<(String, f64)>,
    /// What becomes of them once their deadline cannot be met; they are run unless the file says otherwise.
    pub on_late: OnLate,
}

/// When jobs have to be finished, counted from their arrival.
#[derive(Clone, Debug, PartialEq)]
pub enum Deadline {
    /// As a multiple of the job's own time, alone on a lane on its most accurate strategy: `slack`, 0.001 to 1e6.
    Slack(Distribution<f64>),
    /// In milliseconds: `deadline_ms`, 0.001 to a day.
    Millis(Distribution<f64>),
}

/// How accurate jobs have to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Floor {
    /// As a share of the way from the accuracy of the job's fastest strategy, 0, to that of its best, 1: `floor`.
    Share(Distribution<f64>),
    /// As a mean accuracy, 0 to 1: `min_accuracy`. Above the best of a job no server accepts it.
    Accuracy(Distribution<f64>),
}

/// The longest name of a tenant, in bytes: what servers take.
const MOST_NAME_BYTES: usize = 64;

impl Jobs {
    /// Every number is in its range.
    pub(super) fn check(&self) -> Result<(), WorkloadError> {
        self.requests.check("jobs.requests", 1.0..=f64::from(mosel_core::MAX_REQUESTS))?;
        match &self.deadline {
            Deadline::Slack(slack) => slack.check("jobs.slack", 0.001..=1e6)?,
            Deadline::Millis(millis) => millis.check("jobs.deadline_ms", 0.001..=86_400_000.0)?,
        }
        match &self.floor {
            Floor::Share(share) => share.check("jobs.floor", 0.0..=1.0)?,
            Floor::Accuracy(accuracy) => accuracy.check("jobs.min_accuracy", 0.0..=1.0)?,
        }
        self.weight.check("jobs.weight", 0.001..=1000.0)?;
        self.check_tenants()
    }

    fn check_tenants(&self) -> Result<(), WorkloadError> {
        if self.tenants.is_empty() {
            return Ok(());
        }
        shares::check("jobs.tenants", &self.tenants)?;
        for (index, (name, _)) in self.tenants.iter().enumerate() {
            let visible = |char: char| char.is_alphanumeric() || char.is_ascii_graphic();
            let named = (1..=MOST_NAME_BYTES).contains(&name.len()) && name.chars().all(visible);
            let expected = || format!("1 to {MOST_NAME_BYTES} bytes of visible characters");
            demand(named, "a name in jobs.tenants", || (format!("{name:?}"), expected()))?;
            let first = self.tenants[..index].iter().all(|(other, _)| other != name);
            demand(first, "a name in jobs.tenants", || (format!("{name:?} again"), "every name once".into()))?;
        }
        Ok(())
    }

    /// One sentence for figures and reports: sizes, deadlines, floors, and what is not as usual.
    pub fn describe(&self) -> String {
        let deadline = match &self.deadline {
            Deadline::Slack(slack) => format!("{slack} times its own time"),
            Deadline::Millis(millis) => format!("{millis} ms"),
        };
        let floor = match &self.floor {
            Floor::Share(share) => format!("{share} of the way from its fastest strategy's accuracy to its best"),
            Floor::Accuracy(accuracy) => format!("at an accuracy of {accuracy}"),
        };
        let mut words =
            format!("A job has {} requests, a deadline after {deadline} and a floor {floor}", self.requests);
        if self.weight != one() {
            words += &format!("; weights are {}", self.weight);
        }
        if !self.tenants.is_empty() {
            words += &format!("; tenants: {}", self.tenants.len());
        }
        words += if self.on_late == OnLate::Drop { "; late jobs are dropped." } else { "." };
        words
    }
}

/// As they stand in the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    requests: Distribution<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<Distribution<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_ms: Option<Distribution<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<Distribution<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_accuracy: Option<Distribution<f64>>,
    #[serde(default = "one")]
    weight: Distribution<f64>,
    #[serde(default, deserialize_with = "pairs::many", skip_serializing_if = "Vec::is_empty")]
    tenants: Vec<(String, f64)>,
    #[serde(default, with = "Late")]
    on_late: OnLate,
}

/// [`OnLate`] as a word.
#[derive(Serialize, Deserialize)]
#[serde(remote = "OnLate", rename_all = "snake_case")]
enum Late {
    Run,
    Drop,
}

fn one() -> Distribution<f64> {
    Distribution::Fixed(1.0)
}

impl TryFrom<Form> for Jobs {
    type Error = String;

    fn try_from(form: Form) -> Result<Jobs, String> {
        let deadline = match (form.slack, form.deadline_ms) {
            (Some(slack), None) => Deadline::Slack(slack),
            (None, Some(millis)) => Deadline::Millis(millis),
            (slack, _) => return Err(one_of("slack", "deadline_ms", slack.is_some())),
        };
        let floor = match (form.floor, form.min_accuracy) {
            (Some(share), None) => Floor::Share(share),
            (None, Some(accuracy)) => Floor::Accuracy(accuracy),
            (share, _) => return Err(one_of("floor", "min_accuracy", share.is_some())),
        };
        let Form { requests, weight, tenants, on_late, .. } = form;
        Ok(Jobs { requests, deadline, floor, weight, tenants, on_late })
    }
}

impl From<Jobs> for Form {
    fn from(jobs: Jobs) -> Form {
        let Jobs { requests, deadline, floor, weight, tenants, on_late } = jobs;
        let (slack, deadline_ms) = match deadline {
            Deadline::Slack(slack) => (Some(slack), None),
            Deadline::Millis(millis) => (None, Some(millis)),
        };
        let (floor, min_accuracy) = match floor {
            Floor::Share(share) => (Some(share), None),
            Floor::Accuracy(accuracy) => (None, Some(accuracy)),
        };
        Form { requests, slack, deadline_ms, floor, min_accuracy, weight, tenants, on_late }
    }
}
