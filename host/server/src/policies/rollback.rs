//! Answers alarms: a policy that fails too often is taken out of place, and the one before comes back.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;

use super::control::Policies;
use super::error::SwapError;
use super::failures::FailureAlarm;
use crate::pulse::Silence;
use crate::supervisor::Supervisor;

/// How long one alarm may take: a policy may have to be compiled.
const LONGEST: Duration = Duration::from_secs(60);

/// Starts the thread that answers alarms. It ends when nobody can send to it any more.
pub(crate) fn start(
    alarms: Receiver<FailureAlarm>,
    policies: &Arc<Policies>,
    supervisor: &Arc<Supervisor>,
) -> anyhow::Result<()> {
    let policies: Weak<Policies> = Arc::downgrade(policies);
    let pulse = supervisor.pulse("rollback", Silence::Said);
    let answer_alarms = move || {
        while let (Ok(alarm), Some(policies)) = (alarms.recv(), policies.upgrade()) {
            pulse.within(LONGEST, "goes back to the policy before");
            answer(&policies, &alarm);
            pulse.idle();
        }
    };
    supervisor.spawn("rollback", answer_alarms).context("starting the thread for rollbacks")
}

fn answer(policies: &Policies, alarm: &FailureAlarm) {
    let name = policies.active().tag.name.clone();
    let words = &alarm.words;
    match policies.roll_back_from(alarm) {
        Ok(changed) => {
            let to = &changed.active.tag;
            tracing::warn!(
                from = name,
                to = to.name,
                generation = to.generation,
                "the policy {name} {words}; rolled back to {} as it was before",
                to.name
            );
        }
        // somebody put another one in place meanwhile
        Err(SwapError::Overtaken) => {}
        Err(error) => tracing::warn!(
            policy = name,
            "the policy {name} {words}; it stays, and the built-in fallback serves where it fails: {error}"
        ),
    }
}
