//! Replays: the same events through a scheduler, and where it does not do what is written.

use std::io::BufRead;

use mosel_core::{Action, Checkpoint, Event, JobId, Scheduler, Time};
use serde_json::Value;

use crate::line::actions_text;
use crate::wire::WrittenAction;
use crate::{Header, JournalError, Line, PolicyRecord, Reader};

/// What a replay found.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayResult {
    /// Steps that were taken.
    pub steps: usize,
    /// When the first and the last were.
    pub span: Option<(Time, Time)>,
    /// The journal ended within a line.
    pub torn: bool,
    /// The steps were taken again and compared. Not so where older rules decided: then what is written is believed.
    pub compared: bool,
    /// The first step that came out otherwise; the replay ends there.
    pub difference: Option<Difference>,
    /// The scheduler's state at the end; of nothing where steps were not compared.
    pub end: Checkpoint,
}

/// A step that did not do what is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The line of the journal, from 1.
    pub line: usize,
    /// When it was taken.
    pub at: Time,
    /// The event that it handled.
    pub event: Event,
    /// The place in the list of actions, from 1.
    pub action: usize,
    /// The action as it is written, as JSON; `None` if none is.
    pub written: Option<String>,
    /// The action that was taken, as JSON; `None` if none was.
    pub got: Option<String>,
}

/// What a replay shows to whoever watches it.
#[derive(Clone, Copy, Debug)]
pub enum ReplayEvent<'a> {
    /// A step that came out as it is written, or was decided by older rules.
    Step {
        /// The scheduler after it; by older rules it has the models only.
        scheduler: &'a Scheduler,
        /// When it was taken.
        at: Time,
        /// What happened.
        event: &'a Event,
        /// What was done about it.
        actions: &'a [Action],
    },
    /// From here on this policy is in place.
    Policy(&'a PolicyRecord),
    /// The job of this number, which comes next, is called so by its client.
    Named(JobId, &'a str),
}

/// Takes every event of the journal in, and shows each step to `see` until one differs from what is written.
pub fn replay<R: BufRead>(
    header: &Header,
    reader: &mut Reader<R>,
    mut see: impl FnMut(ReplayEvent<'_>),
) -> Result<ReplayResult, JournalError> {
    let wrong = |expected| JournalError::Line { line: 1, expected };
    let mut scheduler = header.scheduler().map_err(wrong)?;
    let end = scheduler.checkpoint();
    let compared = header.has_todays_rules();
    let mut replayed = ReplayResult { steps: 0, span: None, torn: false, compared, difference: None, end };
    while let Some(line) = reader.next() {
        let (at, event, actions) = match line? {
            Line::Step { at, event, actions } => (at, event, actions),
            Line::Policy { policy, .. } => {
                see(ReplayEvent::Policy(&policy));
                continue;
            }
            Line::Named { job, id, .. } => {
                see(ReplayEvent::Named(job, &id));
                continue;
            }
        };
        check_models(&scheduler, &event).map_err(|expected| JournalError::Line { line: reader.number(), expected })?;
        let got = match compared {
            true => scheduler.step(at, event.clone()),
            false => believe(&mut scheduler, at, &event, actions.get())
                .map_err(|expected| JournalError::Line { line: reader.number(), expected })?,
        };
        replayed.steps += 1;
        replayed.span = Some((replayed.span.map_or(at, |(first, _)| first), at));
        if compared && let Some(place) = first_difference(actions.get(), &got) {
            replayed.difference = Some(Difference { line: reader.number(), at, event, ..place });
            break;
        }
        see(ReplayEvent::Step { scheduler: &scheduler, at, event: &event, actions: &got });
    }
    replayed.torn = reader.torn();
    replayed.end = scheduler.checkpoint();
    Ok(replayed)
}

/// A step that older rules decided: the scheduler learns of the models, and what was done is what is written.
fn believe(scheduler: &mut Scheduler, at: Time, event: &Event, actions: &str) -> Result<Vec<Action>, String> {
    if matches!(event, Event::ModelsLoaded(_)) {
        scheduler.step(at, event.clone());
    }
    let written: Vec<WrittenAction> = serde_json::from_str(actions).map_err(|error| error.to_string())?;
    let budget = scheduler.config().policy_budget;
    let read = written.into_iter().map(|action| action.read(at, budget)).filter_map(Result::transpose);
    read.collect()
}

/// Models that are loaded follow those that are there, and ids have room for them.
fn check_models(scheduler: &Scheduler, event: &Event) -> Result<(), String> {
    let Event::ModelsLoaded(models) = event else { return Ok(()) };
    let next = scheduler.models().len();
    let follow = models.iter().zip(next..).all(|(matrix, at)| matrix.variant().0 as usize == at);
    match follow && next + models.len() <= MOST_MODELS {
        true => Ok(()),
        false => Err(format!("expected models from number {next} on, {MOST_MODELS} in all at most")),
    }
}

/// What the ids of tables have room for.
const MOST_MODELS: usize = 1 << 16;

/// The text is the same where the same program wrote it; else the values are compared.
fn first_difference(written: &str, got: &[Action]) -> Option<Difference> {
    let got = actions_text(got);
    if written == got {
        return None;
    }
    let list = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Array(actions)) => actions,
        _ => vec![Value::String(text.into())],
    };
    let (written, got) = (list(written), list(&got));
    let longer = written.len().max(got.len());
    let place = (0..longer).find(|&place| written.get(place) != got.get(place))?;
    let text = |list: &[Value]| list.get(place).map(ToString::to_string);
    Some(Difference {
        line: 0,
        at: Time::START,
        event: Event::WakeUp,
        action: place + 1,
        written: text(&written),
        got: text(&got),
    })
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_nothing = |action: &Option<String>| action.clone().unwrap_or_else(|| "nothing".into());
        writeln!(f, "line {}, at {}: action {} after {:?}", self.line, self.at, self.action, self.event)?;
        writeln!(f, "  written: {}", or_nothing(&self.written))?;
        write!(f, "  got:     {}", or_nothing(&self.got))
    }
}
