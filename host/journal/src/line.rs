//! All lines of a journal but the first.

use mosel_core::{Action, Event, Time};
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

#[derive(Deserialize)]
struct AnyLine {
    t: u64,
    event: Option<EventLine>,
    actions: Option<Box<RawValue>>,
    policy: Option<PolicyRecord>,
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
        match (line.event, line.actions, line.policy) {
            (Some(event), Some(actions), None) => Ok(Line::Step { at, event: event.read()?, actions }),
            (None, None, Some(policy)) => Ok(Line::Policy { at, policy }),
            _ => Err("expected an event with its actions, or a policy".into()),
        }
    }

    /// When it happened.
    pub fn at(&self) -> Time {
        match self {
            Line::Step { at, .. } | Line::Policy { at, .. } => *at,
        }
    }
}
