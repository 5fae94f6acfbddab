//! Arrivals: how many jobs come, and how they are spread over time.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::WorkloadError;
use super::error::{demand, within};
use super::trace::TraceFile;

/// How many jobs come, and in which way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub struct Arrivals {
    /// How many, on average over the duration.
    pub rate: Rate,
    /// In which way.
    pub kind: Kind,
}

/// How many jobs come, on average over the duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// As a multiple of what the lanes can serve when every job runs on its most accurate strategy: `load`, 0.001 to
    /// 1000.
    Load(f64),
    /// Jobs a second: `jobs_per_s`, 1e-6 to 1e6.
    JobsPerS(f64),
}

/// In which way jobs come. In the file: the key `kind`, and the fields beside it.
///
/// Whatever the kind, the mean over the duration is the asked rate. For all kinds but `gamma` and the `azure` form of
/// traces, arrivals are a Poisson process whose rate changes over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// The same rate all the time.
    Poisson {},
    /// Independent gaps with a gamma distribution: evener than Poisson below a `cv` of 1, burstier above.
    Gamma {
        /// Deviation of the gaps over their mean, 0.01 to 100.
        cv: f64,
    },
    /// A quiet rate and that of bursts in turn, for exponential times each. What was drawn is scaled: the mean is the
    /// asked one whichever part of the duration is burst.
    Bursts {
        /// The rate in bursts over the quiet one, 1 to 10000.
        ratio: f64,
        /// Mean length of a quiet time, in seconds: from a 100000th of the duration to a year.
        quiet_s: f64,
        /// Mean length of a burst, in seconds: from a 100000th of the duration to a year.
        burst_s: f64,
    },
    /// A rate that goes up and down as a sine does, up first.
    Wave {
        /// From peak to peak, in seconds: from a 10000th of the duration to a year.
        period_s: f64,
        /// How far it goes up and down from its mean: from 0, which is steady, to 1, which goes down to nothing.
        depth: f64,
    },
    /// Another rate for a while.
    Step {
        /// When it begins, in seconds from the start.
        from_s: f64,
        /// When it ends, in seconds from the start: later than it begins, and within the duration.
        until_s: f64,
        /// The rate meanwhile over the rate otherwise, 0 to 10000.
        factor: f64,
    },
    /// As recorded somewhere.
    Trace(TraceFile),
}

/// The most periods a wave may have over the duration.
const MOST_PERIODS: f64 = 10_000.0;
/// The most bursts, and the most quiet times, to be expected over the duration.
const MOST_BURSTS: f64 = 100_000.0;
/// The longest period, burst or quiet time, in seconds.
const LONGEST_S: f64 = 31_536_000.0;

impl Arrivals {
    /// Every number is in its range.
    pub(super) fn check(&self, duration_s: f64) -> Result<(), WorkloadError> {
        match self.rate {
            Rate::Load(load) => within("arrivals.load", load, 0.001..=1000.0)?,
            Rate::JobsPerS(jobs) => within("arrivals.jobs_per_s", jobs, 1e-6..=1e6)?,
        }
        self.kind.check(duration_s)
    }

    /// For people, as in "120 s of": `Poisson arrivals at 1 times the capacity on the most accurate strategies`.
    pub(super) fn describe(&self) -> String {
        let rate = match self.rate {
            Rate::Load(load) => format!("{load} times the capacity on the most accurate strategies"),
            Rate::JobsPerS(jobs) => format!("{jobs} jobs/s"),
        };
        format!("{} at {rate}", self.kind.describe())
    }
}

impl Kind {
    fn check(&self, duration_s: f64) -> Result<(), WorkloadError> {
        match *self {
            Kind::Poisson {} => Ok(()),
            Kind::Gamma { cv } => within("arrivals.cv", cv, 0.01..=100.0),
            Kind::Bursts { ratio, quiet_s, burst_s } => {
                within("arrivals.ratio", ratio, 1.0..=10_000.0)?;
                within("arrivals.quiet_s", quiet_s, duration_s / MOST_BURSTS..=LONGEST_S)?;
                within("arrivals.burst_s", burst_s, duration_s / MOST_BURSTS..=LONGEST_S)
            }
            Kind::Wave { period_s, depth } => {
                within("arrivals.period_s", period_s, duration_s / MOST_PERIODS..=LONGEST_S)?;
                within("arrivals.depth", depth, 0.0..=1.0)
            }
            Kind::Step { from_s, until_s, factor } => check_step(duration_s, from_s, until_s, factor),
            Kind::Trace(ref trace) => trace.check(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Kind::Poisson {} => "Poisson arrivals".into(),
            Kind::Gamma { cv } => format!("arrivals with gamma gaps (cv {cv})"),
            Kind::Bursts { ratio, quiet_s, burst_s } => {
                format!("arrivals in bursts ({ratio} times the rate for {burst_s} s after {quiet_s} s, on average)")
            }
            Kind::Wave { period_s, depth } => format!("arrivals in waves ({period_s} s, depth {depth})"),
            Kind::Step { from_s, until_s, factor } => {
                format!("Poisson arrivals with a step ({factor} times the rate from {from_s} s to {until_s} s)")
            }
            Kind::Trace(trace) => format!("arrivals of the trace {}", trace.name()),
        }
    }
}

fn check_step(duration_s: f64, from_s: f64, until_s: f64, factor: f64) -> Result<(), WorkloadError> {
    within("arrivals.from_s", from_s, 0.0..=duration_s)?;
    within("arrivals.until_s", until_s, from_s..=duration_s)?;
    within("arrivals.factor", factor, 0.0..=10_000.0)?;
    demand(from_s < until_s, "arrivals.until_s", || (until_s.to_string(), format!("more than from_s, {from_s}")))?;
    let somewhere = factor > 0.0 || from_s > 0.0 || until_s < duration_s;
    demand(somewhere, "arrivals.factor", || ("0 for the whole duration".into(), "some time with arrivals".into()))
}

/// `rate` and `kind` share one table. serde's own means for this, flatten and tags, would accept unknown keys in it and
/// no longer know which key an error is about.
impl TryFrom<Table> for Arrivals {
    type Error = String;

    fn try_from(mut table: Table) -> Result<Arrivals, String> {
        let mut take = |name| table.remove(name).map(|value| number(name, &value)).transpose();
        let rate = match (take("load")?, take("jobs_per_s")?) {
            (Some(load), None) => Rate::Load(load),
            (None, Some(jobs)) => Rate::JobsPerS(jobs),
            (load, _) => return Err(one_of("load", "jobs_per_s", load.is_some())),
        };
        let kind = match table.remove("kind") {
            Some(Value::String(kind)) => Table::from_iter([(kind, Value::Table(table))]),
            Some(other) => return Err(format!("expected kind to be a word such as \"poisson\", found {other}")),
            None => return Err("missing field `kind`".into()),
        };
        let kind = Kind::deserialize(Value::Table(kind)).map_err(|error| in_one_line(&error))?;
        Ok(Arrivals { rate, kind })
    }
}

impl From<Arrivals> for Table {
    fn from(arrivals: Arrivals) -> Table {
        let (kind, mut table) = named(&arrivals.kind).expect("a kind is a name and a table of numbers and strings");
        table.insert("kind".into(), kind.into());
        let (name, value) = match arrivals.rate {
            Rate::Load(load) => ("load", load),
            Rate::JobsPerS(jobs) => ("jobs_per_s", jobs),
        };
        table.insert(name.into(), value.into());
        table
    }
}

/// The name of a kind, and its fields.
fn named(kind: &Kind) -> Option<(String, Table)> {
    let Value::Table(named) = Value::try_from(kind).ok()? else { return None };
    let (name, Value::Table(fields)) = named.into_iter().next()? else { return None };
    Some((name, fields))
}

fn number(name: &str, value: &Value) -> Result<f64, String> {
    f64::deserialize(value.clone()).map_err(|_| format!("expected {name} to be a number, found {value}"))
}

/// toml puts the key it is about into a line of its own.
fn in_one_line(error: &toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// What is said when two fields exclude each other, and both or none were there.
pub(super) fn one_of(first: &str, second: &str, both: bool) -> String {
    format!("expected exactly one of {first} and {second}, found {}", if both { "both" } else { "neither" })
}
