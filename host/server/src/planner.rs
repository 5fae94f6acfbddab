//! The planner: one thread that owns the policy in place and asks it, so that nobody else ever waits for one.
//!
//! Between decisions it puts another policy in place, and when no question waits it tells outcomes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use anyhow::Context;
use mosel_core::{Event, PolicyError, Snapshot};
use mosel_sandbox::{RunningPolicy, SavedState};

use crate::driver::Driver;
use crate::feedback::Feedback;
use crate::jobs::PolicyTag;
use crate::policies::rollback::{Alarms, FailureAlarm};
use crate::policies::shadow::{ShadowSample, ShadowTap};
use crate::shared_catalog::SharedCatalog;
use crate::stats::PolicyStats;

/// Something for the planner.
#[derive(Debug)]
pub enum Order {
    /// Ask the policy; the answer goes to the driver.
    Ask(Snapshot),
    /// From now on, ask another one.
    Install(Box<Install>),
    /// Outcomes wait to be told, or more models are there.
    Outcomes,
}

/// Orders that may wait for the planner: a question a lane, a change of policy, the questions that it makes the lanes
/// ask anew, and a word of outcomes: two, if the planner looks for outcomes just when it is being told; and one of models.
pub fn most_orders(lanes: u32) -> usize {
    2 * lanes as usize + 4
}

/// Another policy to put in place.
#[derive(Debug)]
pub struct Install {
    /// As what.
    pub place: Place,
    /// It.
    pub policy: RunningPolicy,
    /// What it left when it was in place before; used if the one in place leaves nothing.
    pub left: Option<Arc<SavedState>>,
    /// Is sent the one that it replaces once that is so.
    pub done: SyncSender<Installed>,
}

/// What a policy in place is known as, and where it is counted how it does.
#[derive(Clone, Debug)]
pub struct Place {
    /// Which policy, and which installation.
    pub tag: Arc<PolicyTag>,
    /// How it does.
    pub stats: Arc<PolicyStats>,
}

/// Another policy is in place.
#[derive(Debug)]
pub struct Installed {
    /// The one before; whoever waits drops it, not the planner.
    pub replaced: RunningPolicy,
    /// What became of its state.
    pub transfer: StateTransfer,
    /// Its state.
    pub left: Option<SavedState>,
}

/// What became of a policy's state when another one took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateTransfer {
    /// One of the two keeps none.
    None,
    /// The new one has it.
    Over,
    /// The new one has what it had when it was in place before.
    Back,
    /// The new one starts without; why.
    Lost(String),
}

/// What the planner works with.
pub struct PlannerParts {
    /// The policy in place from the start.
    pub policy: RunningPolicy,
    /// As what.
    pub place: Place,
    /// Where answers go.
    pub driver: Arc<Driver>,
    /// Where outcomes come from.
    pub feedback: Arc<Feedback>,
    /// Who is told that the policy fails too often.
    pub alarms: Alarms,
    /// Where another policy may be watching.
    pub tap: Arc<ShadowTap>,
    /// What policies are told of models.
    pub catalog: Arc<SharedCatalog>,
}

/// Starts the planner thread. It ends when nobody can send to it any more.
pub fn start(parts: PlannerParts, orders: Receiver<Order>) -> anyhow::Result<()> {
    std::thread::Builder::new()
        .name("planner".into())
        .spawn(move || Planner { parts, told: 0 }.run(&orders))
        .context("starting the planner")?;
    Ok(())
}

/// Outcomes told at a time: while a policy listens it cannot be asked.
const OUTCOMES_A_CALL: usize = 256;

struct Planner {
    parts: PlannerParts,
    /// The revision of the catalog that the policy was told last, as far as is known.
    told: u64,
}

impl Planner {
    fn run(mut self, orders: &Receiver<Order>) {
        self.want_feedback();
        while let Some(order) = self.next(orders) {
            match order {
                Order::Ask(snapshot) => self.ask(snapshot),
                Order::Install(install) => self.install(*install),
                // they are told when nothing else waits
                Order::Outcomes => {}
            }
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
            self.sync_catalog();
            if !self.tell_outcomes() {
                return orders.recv().ok();
            }
        }
    }

    fn ask(&mut self, snapshot: Snapshot) {
        let driver = &self.parts.driver;
        // given up while it waited, or void since another policy is in place: the next one is worth more
        if !driver.query(|scheduler, _| scheduler.awaits(snapshot.decision)) {
            return;
        }
        if snapshot.catalog_revision > self.told {
            self.sync_catalog();
        }
        let PlannerParts { policy, place, driver, tap, .. } = &mut self.parts;
        let reply = policy.decide(&snapshot);
        for line in &reply.log {
            tracing::debug!(plan = snapshot.decision.0, %line, "the policy says");
        }
        place.stats.asked(&reply);
        let failed = reply.answer.as_ref().is_err_and(|error| !matches!(error, PolicyError::Declined(_)));
        let (plan, wall) = (snapshot.decision, reply.wall);
        let sample = tap.is_set().then(|| {
            let against = place.tag.generation;
            ShadowSample { against, snapshot, answer: reply.answer.clone(), wall }
        });
        drop(driver.handle(Event::Decided(plan, reply.answer)));
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
            self.parts.place.stats.did_not_listen(&error);
            self.revive();
            self.raise_alarm();
        }
    }

    fn revive(&mut self) {
        let PlannerParts { policy, place, .. } = &mut self.parts;
        if let Err(error) = policy.revive() {
            tracing::warn!(policy = place.tag.name, %error, "the policy failed, and did not start again");
            place.stats.did_not_start(&error);
        }
    }

    fn raise_alarm(&mut self) {
        let PlannerParts { place, alarms, .. } = &self.parts;
        if let Some(words) = place.stats.alarm() {
            let _ = alarms.try_send(FailureAlarm { generation: place.tag.generation, words });
        }
    }

    fn install(&mut self, install: Install) {
        let Install { place, mut policy, left, done } = install;
        let (transfer, saved) = carry_over(&mut self.parts.policy, &mut policy, left.as_deref());
        let eager = policy.loaded().description().eager;
        let replaced = std::mem::replace(&mut self.parts.policy, policy);
        self.parts.place = place.clone();
        // it was configured some time ago
        self.told = 0;
        self.want_feedback();
        drop(self.parts.driver.change_policy(place, eager));
        // whoever asked for it may have gone away
        let _ = done.send(Installed { replaced, transfer, left: saved });
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
            self.parts.place.stats.did_not_listen(&error);
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
