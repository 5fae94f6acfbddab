//! What goes wrong between decisions.

use mosel_sdk::{Level, Outcome, PolicyError, log};

use crate::settings::{Behaviour, Settings, spin};

pub(crate) fn observe(settings: Settings, outcomes: &[Outcome]) {
    match settings.behaviour {
        Behaviour::LoopInObserve => spin(),
        Behaviour::PanicInObserve => panic!("I will not look"),
        Behaviour::TellOutcomes => tell(outcomes, settings.amount),
        _ => {}
    }
}

fn tell(outcomes: &[Outcome], amount: u64) {
    log(Level::Info, &format!("{} outcomes", outcomes.len()));
    outcomes.iter().take(amount as usize).for_each(|outcome| log(Level::Info, &format!("{outcome:?}")));
}

/// The number of decisions so far, as text.
pub(crate) fn save(settings: Settings, calls: u64) -> Vec<u8> {
    match settings.behaviour {
        Behaviour::LoopInSave => spin(),
        Behaviour::PanicInSave => panic!("I keep it to myself"),
        Behaviour::SaveMuch => vec![0; settings.amount as usize],
        _ => calls.to_string().into(),
    }
}

pub(crate) fn restore(settings: Settings, from: &str, state: &[u8]) -> Result<u64, PolicyError> {
    match settings.behaviour {
        Behaviour::LoopInRestore => spin(),
        Behaviour::PanicInRestore => panic!("I want none of this"),
        Behaviour::RefuseToRestore => return Err(PolicyError::Unsupported(format!("nothing of {from} is of use"))),
        _ => {}
    }
    let text = str::from_utf8(state).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| PolicyError::Unsupported("expected a number of calls".into()))
}
