//! The planner: one thread that owns the policy in place and asks it, so that nobody else ever waits for one.
//!
//! Between decisions it puts another policy in place, and when no question waits it tells outcomes. If it panics it goes
//! on with a fresh instance of the policy; a question that it had in hand is answered by the fallback when time is up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anyhow::Context;
use mosel_core::{Event, PolicyError, Snapshot};
use mosel_sandbox::{RunningPolicy, SavedState};

use crate::event_sink::EventSink;
use crate::feedback::Feedback;
use crate::planner_handle::{Install, Installation, Order, StateTransfer};
use crate::policies::failures::{Alarms, FailureAlarm};
use crate::policies::installed::InstalledPolicy;
use crate::policies::shadow::{ShadowSample, ShadowTap};
use crate::pulse::{Pulse, Silence};
use crate::shared_catalog::SharedCatalog;
use crate::supervisor::Supervisor;

/// What the planner works with.
pub(crate) struct PlannerParts {
    /// The policy in place from the start.
    pub(crate) policy: RunningPolicy,
    /// Which that is.
    pub(crate) installed: InstalledPolicy,
    /// Where answers go.
    pub(crate) sink: Arc<dyn EventSink>,
    /// Where outcomes come from.
    pub(crate) feedback: Arc<Feedback>,
    /// Who is told that the policy fails too often.
    pub(crate) alarms: Alarms,
    /// Where another policy may be watching.
    pub(crate) tap: Arc<ShadowTap>,
    /// What policies are told of models.
    pub(crate) catalog: Arc<SharedCatalog>,
    /// Who starts it again.
    pub(crate) supervisor: Arc<Supervisor>,
}

/// Starts the planner thread. It ends when nobody can send to it any more.
pub(crate) fn start(parts: PlannerParts, orders: Receiver<Order>) -> anyhow::Result<()> {
    let supervisor = parts.supervisor.clone();
    let pulse = supervisor.pulse("planner", Silence::NotReady);
    let mut planner = Planner { parts, told: 0, busy: false, pulse };
    supervisor.spawn("planner", move || planner.run(&orders)).context("starting the planner")
}

/// Outcomes told at a time: while a policy listens it cannot be asked.
const OUTCOMES_A_CALL: usize = 256;

struct Planner {
    parts: PlannerParts,
    /// The revision of the catalog that the policy was told last, as far as is known.
    told: u64,
    /// It is doing something that may panic: if that is so at its start, it did.
    busy: bool,
    pulse: Arc<Pulse>,
}

/// What a policy is asked or told is bounded by its budgets; a change of policy waits for its state to be saved and taken.
const LONGEST_ORDER: Duration = Duration::from_secs(5);

impl Planner {
    fn run(&mut self, orders: &Receiver<Order>) {
        if std::mem::take(&mut self.busy) {
            // nobody knows what it was doing; if the policy cannot even be started again, the next one still can
            let error = PolicyError::Trapped("the planner panicked over it".into());
            self.parts.installed.stats.did_not_listen(&error);
            self.revive();
            self.raise_alarm();
        }
        self.want_feedback();
        while let Some(order) = self.next(orders) {
            self.busy = true;
            self.pulse.within(LONGEST_ORDER, order.name());
            self.parts.supervisor.checkpoint("planner");
            match order {
                Order::Ask(snapshot) => self.ask(snapshot),
                Order::Install(install) => self.install(*install),
                // they are told when nothing else waits
                Order::Outcomes => {}
            }
            self.busy = false;
        }
    }

    /// The next order; while none waits, outcomes are told.
    fn next(&mut self, orders: &Receiver<Order>) -> Option<Order> {
        loop {
            match orders.try_recv() {
                Ok(order) => return Some(order),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            self.busy = true;
            self.pulse.within(LONGEST_ORDER, "tells the policy what became of jobs");
            self.sync_catalog();
            let told = self.tell_outcomes();
            self.busy = false;
            if !told {
                self.pulse.idle();
                return orders.recv().ok();
            }
        }
    }

    fn ask(&mut self, snapshot: Snapshot) {
        // given up while it waited, or void since another policy is in place: the next one is worth more
        if !self.parts.sink.awaits(snapshot.decision) {
            return;
        }
        if snapshot.catalog_revision > self.told {
            self.sync_catalog();
        }
        let PlannerParts { policy, installed, sink, tap, .. } = &mut self.parts;
        let reply = policy.decide(&snapshot);
        for line in &reply.log {
            tracing::debug!(plan = snapshot.decision.0, %line, "the policy says");
        }
        installed.stats.asked(&reply);
        let failed = reply.answer.as_ref().is_err_and(|error| !matches!(error, PolicyError::Declined(_)));
        let (plan, wall) = (snapshot.decision, reply.wall);
        let sample = tap.is_set().then(|| {
            let against = installed.tag.generation;
            ShadowSample { against, snapshot, answer: reply.answer.clone(), wall }
        });
        drop(sink.handle(Event::Decided(plan, reply.answer)));
        // the answer is passed on: from here on nobody waits
        if let Some(sample) = sample {
            tap.show(sample);
        }
        if failed {
            self.revive();
        }
        self.raise_alarm();
    }

    /// Tells the policy what models came since. One that fails at it is configured anew, with all of them.
    fn sync_catalog(&mut self) {
        let catalog = self.parts.catalog.now();
        if catalog.revision == self.told {
            return;
        }
        self.told = catalog.revision;
        if let Err(error) = self.parts.policy.update_catalog(&catalog) {
            self.parts.installed.stats.did_not_listen(&error);
            self.revive();
            self.raise_alarm();
        }
    }

    fn revive(&mut self) {
        let PlannerParts { policy, installed, .. } = &mut self.parts;
        if let Err(error) = policy.revive() {
            tracing::warn!(policy = installed.tag.name, %error, "the policy failed, and did not start again");
            installed.stats.did_not_start(&error);
        }
    }

    fn raise_alarm(&mut self) {
        let PlannerParts { installed, alarms, .. } = &self.parts;
        if let Some(words) = installed.stats.alarm() {
            let _ = alarms.try_send(FailureAlarm { generation: installed.tag.generation, words });
        }
    }

    fn install(&mut self, install: Install) {
        let Install { installed, mut policy, left, done } = install;
        let (transfer, saved) = carry_over(&mut self.parts.policy, &mut policy, left.as_deref());
        let eager = policy.loaded().description().eager;
        let replaced = std::mem::replace(&mut self.parts.policy, policy);
        self.parts.installed = installed.clone();
        // it was configured some time ago
        self.told = 0;
        self.want_feedback();
        self.parts.sink.policy_installed(installed, eager);
        // whoever asked for it may have gone away
        let _ = done.send(Installation { replaced, transfer, left: saved });
    }

    fn want_feedback(&self) {
        self.parts.feedback.active_wants(self.parts.policy.loaded().description().feedback);
    }

    /// Tells some of what has become of jobs; nothing, if nothing has.
    fn tell_outcomes(&mut self) -> bool {
        let outcomes = self.parts.feedback.take(OUTCOMES_A_CALL);
        if outcomes.is_empty() {
            return false;
        }
        // a policy that does not want to know is not told
        if let Err(error) = self.parts.policy.observe(&outcomes) {
            self.parts.installed.stats.did_not_listen(&error);
            self.revive();
            self.raise_alarm();
        }
        self.parts.tap.tell(outcomes);
        true
    }
}

/// Hands the old policy's state to the new one, or else what the new one left itself; and says what the old one left.
fn carry_over(
    old: &mut RunningPolicy,
    new: &mut RunningPolicy,
    left: Option<&SavedState>,
) -> (StateTransfer, Option<SavedState>) {
    let takes = new.loaded().description().stateful;
    let saved = match old.save() {
        Ok(saved) => saved,
        Err(error) => return (give_back(new, left, &format!("the one before could not save it: {error}")), None),
    };
    let transfer = match &saved {
        Some(state) if takes => match new.restore(state) {
            Ok(()) => StateTransfer::Over,
            Err(error) => give_back(new, left, &format!("the new one did not take it: {error}")),
        },
        _ if takes && left.is_some() => give_back(new, left, "the one before keeps none"),
        _ => StateTransfer::None,
    };
    (transfer, saved)
}

fn give_back(new: &mut RunningPolicy, left: Option<&SavedState>, why: &str) -> StateTransfer {
    if !new.loaded().description().stateful {
        return StateTransfer::None;
    }
    match left.map(|state| new.restore(state)) {
        Some(Ok(())) => StateTransfer::Back,
        _ => StateTransfer::Lost(why.into()),
    }
}
