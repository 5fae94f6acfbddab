//! Traces: arrivals as they were recorded somewhere, in a file beside the workload's.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::WorkloadError;
use super::rows::Rows;

/// The longest trace file, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// A trace, by the file that it is in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceFile {
    file: String,
    form: Form,
    #[serde(skip)]
    trace: Option<Arc<Trace>>,
}

/// How a trace is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A whole number a line: how many arrivals there were in that second. Within a second they come as a Poisson
    /// process. From the start again when it is used up.
    Counts,
    /// Comma-separated values with a header; the first column is the time of one arrival, as
    /// `2023-11-16 18:17:03.9799600`, not before that of the row above. Other columns are ignored.
    ///
    /// To fit the asked rate, every row is kept or copied at random, with the same expected number of copies each.
    /// The first copy comes when its row does; others come after it, uniformly within the gap to the next row or the
    /// trace's median gap, whichever is shorter. When rows are used up they come again, a mean gap after the last one.
    Azure,
}

/// What a trace says.
#[derive(Debug, PartialEq)]
pub(super) enum Trace {
    /// Arrivals in each second; at least one.
    Counts(Vec<u32>),
    /// Single arrivals.
    Rows(Rows),
}

impl TraceFile {
    /// A trace that is not read yet. A path that is not absolute starts at the workload's own folder.
    pub fn new(file: impl Into<String>, form: Form) -> TraceFile {
        TraceFile { file: file.into(), form, trace: None }
    }

    /// Reads it, from `folder` on.
    pub(super) fn read(&mut self, folder: &Path) -> Result<(), WorkloadError> {
        let text = read_bounded(&folder.join(&self.file), MOST_BYTES)?;
        let trace = match self.form {
            Form::Counts => counts(&text).map(Trace::Counts),
            Form::Azure => rows(&text).map(Trace::Rows),
        };
        self.trace = Some(Arc::new(trace.map_err(|reason| self.error(reason))?));
        Ok(())
    }

    /// What it says, if it was read.
    pub(super) fn trace(&self) -> Result<&Trace, WorkloadError> {
        let unread =
            || self.error("expected to be read before jobs are drawn: with Workload::read or read_trace".into());
        self.trace.as_deref().ok_or_else(unread)
    }

    /// The path could be one.
    pub(super) fn check(&self) -> Result<(), WorkloadError> {
        super::error::demand((1..=4096).contains(&self.file.len()), "arrivals.file", || {
            (format!("{} bytes long", self.file.len()), "the path of a file, of 1 to 4096 bytes".into())
        })
    }

    /// Something about this trace is wrong.
    pub(super) fn error(&self, reason: String) -> WorkloadError {
        WorkloadError::Trace { file: self.file.clone(), reason }
    }

    /// The file's name without its folders, for people.
    pub(super) fn name(&self) -> &str {
        self.file.rsplit(['/', '\\']).next().unwrap_or(&self.file)
    }
}

/// The text of a file of at most `most` bytes.
pub(super) fn read_bounded(path: &Path, most: u64) -> Result<String, WorkloadError> {
    let error = |reason| WorkloadError::Read { path: path.into(), reason };
    let mut text = String::new();
    let file = File::open(path).map_err(|reason| error(reason.to_string()))?;
    let read = file.take(most + 1).read_to_string(&mut text).map_err(|reason| error(reason.to_string()))?;
    if read as u64 > most {
        return Err(error(format!("it is longer than {most} bytes, which is the most that is read")));
    }
    Ok(text)
}

fn counts(text: &str) -> Result<Vec<u32>, String> {
    let count = |(number, line): (usize, &str)| {
        let wrong = || format!("expected a whole number in line {number}, found {:?}", shortened(line));
        line.trim().parse::<u32>().map_err(|_| wrong())
    };
    let counts = (1..).zip(text.trim_end().lines()).map(count).collect::<Result<Vec<u32>, String>>()?;
    if counts.iter().all(|&count| count == 0) {
        return Err(format!("expected at least one arrival, found none in {} lines", counts.len()));
    }
    Ok(counts)
}

fn rows(text: &str) -> Result<Rows, String> {
    let times = (1..).zip(text.trim_end().lines()).skip(1).map(|(number, line)| time(number, line));
    let times = times.collect::<Result<Vec<DateTime>, String>>()?;
    let Some(&first) = times.first() else {
        return Err("expected a header and one row for each arrival, found no row".into());
    };
    Rows::new(times.iter().map(|&at| at.duration_since(first).as_secs_f64()).collect())
}

/// The time in the first column of a line.
fn time(number: usize, line: &str) -> Result<DateTime, String> {
    let cell = line.split(',').next().unwrap_or_default().trim();
    let wrong = |_| {
        format!("expected a time such as 2023-11-16 18:17:03.97996 first in line {number}, found {:?}", shortened(cell))
    };
    cell.parse().map_err(wrong)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_one_number_a_line() {
        assert_eq!(counts("3\n0\n12\n"), Ok(vec![3, 0, 12]));
        assert_eq!(counts("3\r\n 4 \r\n"), Ok(vec![3, 4]));
    }

    #[test]
    fn what_is_no_count_is_named_with_its_line() {
        let refusal = |text| counts(text).unwrap_err();
        assert_eq!(refusal("3\n-1\n"), "expected a whole number in line 2, found \"-1\"");
        assert_eq!(refusal("3\n\n4\n"), "expected a whole number in line 2, found \"\"");
        assert_eq!(refusal("2.5"), "expected a whole number in line 1, found \"2.5\"");
        assert_eq!(refusal(""), "expected at least one arrival, found none in 0 lines");
        assert_eq!(refusal("0\n0\n"), "expected at least one arrival, found none in 2 lines");
    }

    #[test]
    fn rows_are_times_since_the_first() {
        let text = "AT,TOKENS\n2024-02-29 23:59:59.5000000,7\n2024-03-01 00:00:00.7500000,8\n2024-03-01 00:00:01,9\n";
        assert_eq!(rows(text), Rows::new(vec![0.0, 1.25, 1.5]));
    }

    #[test]
    fn what_is_no_row_is_named_with_its_line() {
        let refusal = |text| rows(text).unwrap_err();
        assert!(refusal("AT\n2024-01-01 00:00:00\nsoon,3\n").contains("line 3, found \"soon\""));
        assert!(refusal("AT\n").contains("found no row"));
        assert!(refusal("").contains("found no row"));
    }
}
