//! All lines of a journal but the first.

use mosel_core::{Action, Event, JobId, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::header::PolicyRecord;
use crate::wire::{ActionLine, EventLine};

/// A line that was read.
#[derive(Debug)]
pub enum Line {
    /// An event was taken in.
    Step {
        /// When it happened.
        at: Time,
        /// What happened.
        event: Event,
        /// What was done about it, as it is written.
        actions: Box<RawValue>,
    },
    /// A job that is about to come has this name for its client.
    Named {
        /// When it came.
        at: Time,
        /// Its number, by which all else calls it.
        job: JobId,
        /// Its name.
        id: String,
    },
    /// From here on another policy is in place; the event that says so to the scheduler follows.
    Policy {
        /// When it was put in place.
        at: Time,
        /// Which it is.
        policy: PolicyRecord,
    },
}

#[derive(Serialize)]
struct StepLine<'a> {
    t: u64,
    event: EventLine,
    actions: &'a [ActionLine],
}

#[derive(Serialize)]
struct PolicyLine<'a> {
    t: u64,
    policy: &'a PolicyRecord,
}

#[derive(Serialize)]
struct NameLine<'a> {
    t: u64,
    job: u64,
    id: &'a str,
}

#[derive(Deserialize)]
struct AnyLine {
    t: u64,
    event: Option<EventLine>,
    actions: Option<Box<RawValue>>,
    policy: Option<PolicyRecord>,
    job: Option<u64>,
    id: Option<String>,
}

/// A step as a line, with its end.
pub fn step_line(at: Time, event: &Event, actions: &[Action]) -> String {
    let actions: Vec<ActionLine> = actions.iter().map(ActionLine::from).collect();
    with_end(serde_json::to_string(&StepLine { t: at.micros(), event: event.into(), actions: &actions }))
}

/// A word about the policy as a line, with its end.
pub fn policy_line(at: Time, policy: &PolicyRecord) -> String {
    with_end(serde_json::to_string(&PolicyLine { t: at.micros(), policy }))
}

/// The name of a job that is about to come, with its end.
pub fn name_line(at: Time, job: JobId, id: &str) -> String {
    with_end(serde_json::to_string(&NameLine { t: at.micros(), job: job.0, id }))
}

/// Actions as a step's line has them.
pub(crate) fn actions_text(actions: &[Action]) -> String {
    let actions: Vec<ActionLine> = actions.iter().map(ActionLine::from).collect();
    serde_json::to_string(&actions).expect("every field has a JSON form")
}

fn with_end(text: serde_json::Result<String>) -> String {
    let mut text = text.expect("every field has a JSON form");
    text.push('\n');
    text
}

impl Line {
    /// Reads a line; the error says what was expected.
    pub fn parse(text: &str) -> Result<Line, String> {
        let line: AnyLine = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let at = Time::from_micros(line.t);
        if let (Some(job), Some(id), None) = (line.job, line.id, &line.event) {
            return Ok(Line::Named { at, job: JobId(job), id });
        }
        match (line.event, line.actions, line.policy) {
            (Some(event), Some(actions), None) => Ok(Line::Step { at, event: event.read()?, actions }),
            (None, None, Some(policy)) => Ok(Line::Policy { at, policy }),
            _ => Err("expected an event with its actions, a policy, or the name of a job".into()),
        }
    }

    /// When it happened.
    pub fn at(&self) -> Time {
        match self {
            Line::Step { at, .. } | Line::Policy { at, .. } | Line::Named { at, .. } => *at,
        }
    }
}
