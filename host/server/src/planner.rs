//! The planner: one thread that owns the policy in place and asks it, so that nobody else ever waits for one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use anyhow::Context;
use mosel_core::{Event, Snapshot};
use mosel_sandbox::Policy;

use crate::driver::Driver;
use crate::jobs::PolicyTag;
use crate::stats::PolicyStats;

/// Something for the planner.
#[derive(Debug)]
pub enum Order {
    /// Ask the policy; the answer goes to the driver.
    Ask(Snapshot),
    /// From now on, ask this one; the sender is dropped once that is so.
    Install(Arc<PolicyTag>, Box<Policy>, SyncSender<()>),
}

/// Starts the planner thread with this policy in place. It ends when nobody can send to it any more.
pub fn start(
    policy: Policy,
    orders: Receiver<Order>,
    driver: Arc<Driver>,
    stats: Arc<PolicyStats>,
) -> anyhow::Result<()> {
    let planner = Planner { policy, driver, stats };
    std::thread::Builder::new()
        .name("planner".into())
        .spawn(move || planner.run(&orders))
        .context("starting the planner")?;
    Ok(())
}

struct Planner {
    policy: Policy,
    driver: Arc<Driver>,
    stats: Arc<PolicyStats>,
}

impl Planner {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            drop(match order {
                Order::Ask(snapshot) => {
                    let answer = self.ask(&snapshot);
                    self.driver.take(answer)
                }
                Order::Install(tag, policy, _until_it_is_in_place) => {
                    self.policy = *policy;
                    self.stats.start_anew();
                    self.driver.change_policy(tag, self.policy.loaded().description().eager)
                }
            });
        }
    }

    fn ask(&mut self, snapshot: &Snapshot) -> Event {
        let decided = self.policy.decide(snapshot);
        for line in &decided.log {
            tracing::debug!(plan = snapshot.plan.0, %line, "the policy says");
        }
        self.stats.asked(decided.wall);
        Event::Planned(snapshot.plan, decided.answer)
    }
}
