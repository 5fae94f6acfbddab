//! The log of a case: every event and every action as a line of text, and how many there were of each kind.

use std::collections::BTreeMap;

use mosel_core::{Action, End, Event, OverShare, Refusal, Scheduler, Time, Trigger};

use super::lines::{write_action, write_event};
use crate::Observer;

/// What happened in a case. Equal for equal cases, to the byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// A line an event, and below it a line an action.
    pub text: String,
    /// How often what happened, by kind and name.
    pub counts: BTreeMap<(&'static str, &'static str), u64>,
}

impl Log {
    /// Adds another case's counts to these.
    pub fn add_counts(&mut self, other: &Log) {
        for (&(kind, name), &times) in &other.counts {
            self.count(kind, name, times);
        }
    }

    pub(super) fn count(&mut self, kind: &'static str, name: &'static str, times: u64) {
        *self.counts.entry((kind, name)).or_insert(0) += times;
    }
}

impl Observer for Log {
    fn after(&mut self, _: &Scheduler, now: Time, event: &Event, actions: &[Action]) -> Result<(), String> {
        self.count("event", event_name(event), 1);
        write_event(&mut self.text, now, event).expect("writing to a string");
        for action in actions {
            self.count("action", action_name(action), 1);
            if let Some((kind, name)) = detail(action) {
                self.count(kind, name, 1);
            }
            write_action(&mut self.text, action).expect("writing to a string");
        }
        Ok(())
    }
}

fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Submit(_) => "submit",
        Event::Cancel(_) => "cancel",
        Event::Decided(..) => "planned",
        Event::BatchDone(..) => "batch done",
        Event::BatchFailed(_) => "batch failed",
        Event::PolicyChanged { .. } => "policy changed",
        Event::ModelsLoaded(_) => "models loaded",
        Event::ModelRetired(_) => "model retired",
        Event::ModelLost(..) => "model lost",
        Event::ModelRestored(..) => "model restored",
        Event::Paused(_) => "pause",
        Event::LaneRestored(_) => "lane restored",
        Event::SharesChanged(_) => "shares changed",
        Event::WakeUp => "wake up",
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Accept(_) => "accept",
        Action::Refuse(..) => "refuse",
        Action::Run(_) => "run",
        Action::Decide(_) => "plan",
        Action::Adopt(..) => "adopt",
        Action::RefuseDecision(..) => "refuse plan",
        Action::Fallback(..) => "fallback",
        Action::GiveUp(_) => "give up",
        Action::KeepFloor(..) => "keep floor",
        Action::Suspect(..) => "suspect",
        Action::Trust(_) => "trust",
        Action::LoseLane(_) => "lose lane",
        Action::Move(..) => "move",
        Action::Finish(_) => "finish",
        Action::WakeAt(_) => "wake at",
    }
}

/// What kind of refusal, end, question or adoption it is.
fn detail(action: &Action) -> Option<(&'static str, &'static str)> {
    Some(match action {
        Action::Refuse(_, refusal) => ("refusal", refusal_name(refusal)),
        Action::RefuseDecision(_, error) => ("plan refused", error.kind()),
        Action::Adopt(_, jobs) if !jobs.is_empty() => ("adoption", "of new strategies"),
        Action::Finish(outcome) => match outcome.end {
            End::Served if outcome.finish > outcome.deadline => ("end", "served late"),
            End::Served => ("end", "served"),
            End::Partial => ("end", "partial"),
            End::Dropped => ("end", "dropped"),
            End::Cancelled => ("end", "cancelled"),
            End::Failed => ("end", "failed"),
        },
        Action::Decide(snapshot) => match snapshot.trigger {
            Trigger::Violation => ("question", "violation"),
            Trigger::Arrival => ("question", "arrival"),
            Trigger::Completion => ("question", "completion"),
            Trigger::Rehearsal => ("question", "rehearsal"),
        },
        _ => return None,
    })
}

fn refusal_name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownModel(_) => "unknown model",
        Refusal::ModelLost(_) => "model lost",
        Refusal::DeviceSuspect(_) => "device suspect",
        Refusal::TooManyRequests { .. } => "too many requests",
        Refusal::InvalidJob(_) => "invalid",
        Refusal::Duplicate(_) => "duplicate",
        Refusal::FloorUnreachable { .. } => "floor",
        Refusal::DeadlineUnreachable { never: true, .. } => "deadline, ever",
        Refusal::DeadlineUnreachable { .. } => "deadline",
        Refusal::OverShare { of: OverShare::Places { .. }, .. } => "over share of places",
        Refusal::OverShare { of: OverShare::DeviceTime { .. }, .. } => "over share of device time",
        Refusal::QueueFull { .. } => "queue full",
    }
}
