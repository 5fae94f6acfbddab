//! Try a policy natively: a queue in a few lines, the policy's answer, the queue after it.
//!
//! Times are plain numbers, microseconds to the server; a test may take them for whatever unit it likes.

pub mod host;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bindings::mosel::policy::types as wire;
use crate::running::Running;
use crate::{
    Assignment, Catalog, Decision, Job, Micros, Policy, PolicyError, Snapshot, Step, Strategy, StrategyTable, Trigger,
};

/// A queue under construction. Its public fields are for what the methods do not cover.
#[derive(Clone, Debug)]
pub struct Queue {
    /// [`Snapshot::sequence`]
    pub sequence: u64,
    /// [`Snapshot::start`]; it is `now` as well.
    pub start: Micros,
    /// [`Snapshot::time_factor`]
    pub time_factor: f64,
    /// In execution order, ids from 1.
    pub jobs: Vec<Job>,
    /// The menus so far.
    pub tables: Vec<StrategyTable>,
}

/// A menu of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Menu(u32);

impl Default for Queue {
    fn default() -> Queue {
        Queue { sequence: 1, start: 0, time_factor: 1.0, jobs: Vec::new(), tables: Vec::new() }
    }
}

impl Queue {
    /// An empty queue on a lane that is free at time 0.
    pub fn new() -> Queue {
        Queue::default()
    }

    /// A menu of (latency, accuracy), both strictly increasing.
    pub fn menu(&mut self, strategies: &[(Micros, f64)]) -> Menu {
        let rising = strategies.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        assert!(rising && !strategies.is_empty(), "a menu is not empty, and latency and accuracy both increase");
        let id = self.tables.len() as u32;
        let strategies = strategies.iter().map(|&(latency, accuracy)| strategy(latency, accuracy)).collect();
        self.tables.push(StrategyTable { id, model: 0, requests: 1, strategies });
        Menu(id)
    }

    /// A job at the end of the queue, on the most accurate strategy of its menu. Gives its id.
    pub fn job(&mut self, menu: Menu, deadline: Micros, min_accuracy: f64) -> u64 {
        let id = self.jobs.len() as u64 + 1;
        let current = self.tables[menu.0 as usize].strategies.len() as u32 - 1;
        self.jobs.push(Job {
            id,
            table: menu.0,
            requests: 1,
            arrival: 0,
            deadline,
            min_accuracy,
            weight: 1.0,
            tenant: 0,
            current,
            late: false,
        });
        id
    }

    /// The queue as a policy sees it.
    ///
    /// # Panics
    /// If a job's fields were set to a table or a strategy that is not there.
    pub fn snapshot(&self) -> Snapshot {
        self.try_snapshot().expect("every job has a menu and a place on it")
    }

    pub(crate) fn try_snapshot(&self) -> Result<Snapshot, PolicyError> {
        let mut catalog = Catalog::default();
        catalog.merge(wire::Catalog { revision: 1, models: Vec::new(), tables: self.tables.clone() });
        let queue = wire::Snapshot {
            sequence: self.sequence,
            lane: 0,
            trigger: Trigger::Violation,
            now: self.start,
            start: self.start,
            budget: 10_000,
            time_factor: self.time_factor,
            catalog_revision: 1,
            jobs: self.jobs.clone(),
        };
        Snapshot::new(queue, Arc::new(catalog))
    }
}

fn strategy(latency: Micros, accuracy: f64) -> Strategy {
    let step = Step { modalities: 1, batch_size: 1, batches: 1, requests: 1, batch_latency: latency };
    Strategy { latency, accuracy, memory_bytes: 0, steps: vec![step] }
}

/// What the policy, freshly configured with these settings (JSON), answers. The server's seed is 0.
pub fn decide<P: Policy>(settings: &str, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
    decide_seeded::<P>(settings, snapshot, 0)
}

/// [`decide`] on a server of another seed.
pub fn decide_seeded<P: Policy>(settings: &str, snapshot: &Snapshot, seed: u64) -> Result<Decision, PolicyError> {
    host::begin(0, 0, 0, snapshot.budget);
    let mut running = Running::<P>::configure(settings, sent_catalog(&snapshot.catalog))?;
    host::begin(seed, snapshot.sequence, snapshot.now, snapshot.budget);
    running.decide(sent_snapshot(snapshot))
}

/// The queue after the decision, or why the server would refuse it: whole, or not at all.
pub fn adopt(snapshot: &Snapshot, decision: &Decision) -> Result<Snapshot, String> {
    let mut queue = sent_snapshot(snapshot);
    let mut named = BTreeSet::new();
    for assignment in &decision.assignments {
        if !named.insert(assignment.job) {
            return Err(format!("job {} is assigned twice", assignment.job));
        }
        let row = checked_row(snapshot, assignment)?;
        queue.jobs[row].current = assignment.strategy;
    }
    if [decision.objective, decision.bound].into_iter().flatten().any(|number| !number.is_finite()) {
        return Err("objective and bound must be finite".into());
    }
    if !decision.order.is_empty() {
        queue.jobs = reordered(&queue.jobs, &decision.order)?;
    }
    Snapshot::new(queue, Arc::clone(&snapshot.catalog)).map_err(|error| format!("{error:?}"))
}

fn checked_row(snapshot: &Snapshot, assignment: &Assignment) -> Result<usize, String> {
    let Assignment { job, strategy } = *assignment;
    let row = snapshot.jobs.iter().position(|row| row.id == job);
    let row = row.ok_or_else(|| format!("job {job} is not in the queue"))?;
    let count = snapshot.strategies(row).len();
    if strategy as usize >= count {
        return Err(format!("job {job} has {count} strategies, the policy chose {strategy}"));
    }
    // To keep what it has is always legal.
    if strategy != snapshot.jobs[row].current && !snapshot.legal(row, strategy) {
        let (floor, accuracy) = (snapshot.jobs[row].min_accuracy, snapshot.strategies(row)[strategy as usize].accuracy);
        return Err(format!("job {job} has a floor of {floor}, the policy chose {accuracy}"));
    }
    Ok(row)
}

fn reordered(jobs: &[Job], order: &[u64]) -> Result<Vec<Job>, String> {
    let named: BTreeSet<u64> = order.iter().copied().collect();
    if order.len() != jobs.len() || named.len() != jobs.len() {
        return Err(format!("the queue has {} jobs, the order names {} of {}", jobs.len(), named.len(), order.len()));
    }
    let find = |id: &u64| jobs.iter().find(|job| job.id == *id).copied();
    order.iter().map(|id| find(id).ok_or_else(|| format!("job {id} is not in the queue"))).collect()
}

fn sent_catalog(catalog: &Catalog) -> wire::Catalog {
    let (models, tables) = (catalog.models().to_vec(), catalog.tables().to_vec());
    wire::Catalog { revision: catalog.revision(), models, tables }
}

fn sent_snapshot(snapshot: &Snapshot) -> wire::Snapshot {
    let Snapshot { sequence, lane, trigger, now, start, budget, time_factor, ref jobs, ref catalog, .. } = *snapshot;
    let catalog_revision = catalog.revision();
    wire::Snapshot { sequence, lane, trigger, now, start, budget, time_factor, catalog_revision, jobs: jobs.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_jobs() -> Snapshot {
        let mut queue = Queue::new();
        let menu = queue.menu(&[(10, 0.6), (20, 0.8)]);
        queue.job(menu, 30, 0.5);
        queue.job(menu, 30, 0.7);
        queue.snapshot()
    }

    fn refusal(change: impl FnOnce(&mut Decision)) -> String {
        let mut decision = Decision::keep();
        change(&mut decision);
        adopt(&two_jobs(), &decision).unwrap_err()
    }

    fn assign(job: u64, strategy: u32) -> Assignment {
        Assignment { job, strategy }
    }

    #[test]
    fn a_sound_decision_changes_strategies_and_order() {
        let decision = Decision { assignments: vec![assign(1, 0)], order: vec![2, 1], ..Decision::keep() };
        let after = adopt(&two_jobs(), &decision).unwrap();
        assert_eq!(after.finishes(), [20, 30]);
        assert!(after.violators().is_empty());
    }

    #[test]
    fn every_broken_rule_is_named() {
        assert_eq!(refusal(|d| d.assignments = vec![assign(3, 0)]), "job 3 is not in the queue");
        assert_eq!(refusal(|d| d.assignments = vec![assign(1, 2)]), "job 1 has 2 strategies, the policy chose 2");
        assert_eq!(refusal(|d| d.assignments = vec![assign(2, 0)]), "job 2 has a floor of 0.7, the policy chose 0.6");
        assert_eq!(refusal(|d| d.assignments = vec![assign(1, 0); 2]), "job 1 is assigned twice");
        assert_eq!(refusal(|d| d.bound = Some(f64::NAN)), "objective and bound must be finite");
        assert_eq!(refusal(|d| d.order = vec![1]), "the queue has 2 jobs, the order names 1 of 1");
        assert_eq!(refusal(|d| d.order = vec![1, 1]), "the queue has 2 jobs, the order names 1 of 2");
        assert_eq!(refusal(|d| d.order = vec![1, 3]), "job 3 is not in the queue");
    }
}
