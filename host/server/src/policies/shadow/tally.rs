//! The comparison of a shadow with the policy in place.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mosel_core::{Catalog, DecisionError, Forecast};

use crate::stats::{keep, percentile};

/// What was seen of both since one of them came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// The generation in place.
    pub(crate) against: u64,
    /// Snapshots that both gave a legal answer to.
    pub(crate) compared: u64,
    /// Of these, answers that would leave some job on another strategy, or in another order.
    pub(crate) differed: u64,
    /// Snapshots that the shadow was not asked about, since it had too many to think about.
    pub(crate) dropped: u64,
    /// The policy in place, over the compared snapshots.
    pub(crate) active: Side,
    /// The shadow, over the compared snapshots.
    pub(crate) shadow: Side,
}

/// One of the two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// Jobs that would have missed their deadlines, every snapshot counted by itself.
    pub(crate) violations: u64,
    /// Snapshots that it gave no legal answer to, by reason.
    pub(crate) failures: BTreeMap<&'static str, u64>,
    /// The last of these, in words.
    pub(crate) last_failure: Option<String>,
    requests: u64,
    right: f64,
    times: VecDeque<Duration>,
}

/// Decisions that percentiles are taken over.
const DECISIONS_KEPT: usize = 1024;

impl Tally {
    pub(super) fn new(against: u64) -> Tally {
        Tally { against, ..Tally::default() }
    }

    pub(super) fn times(&mut self, active: Duration, shadow: Duration) {
        keep(&mut self.active.times, active, DECISIONS_KEPT);
        keep(&mut self.shadow.times, shadow, DECISIONS_KEPT);
    }

    /// Both answered; says whether they differ.
    pub(super) fn compare(&mut self, catalog: &Catalog, active: &Forecast, shadow: &Forecast) -> bool {
        let differed = active.jobs != shadow.jobs;
        self.compared += 1;
        self.differed += u64::from(differed);
        self.active.add(catalog, active);
        self.shadow.add(catalog, shadow);
        differed
    }

    /// At least one of the two gave no legal answer.
    pub(super) fn failed(&mut self, active: Option<&DecisionError>, shadow: Option<&DecisionError>) {
        active.into_iter().for_each(|error| self.active.fail(error));
        shadow.into_iter().for_each(|error| self.shadow.fail(error));
    }

    /// What an operator should make of it, in a sentence. Of the policies of these names.
    pub(crate) fn verdict(&self, active: &str, shadow: &str) -> String {
        let failed = match self.shadow.failed() {
            0 => String::new(),
            1 => format!("; {shadow} failed once"),
            times => format!("; {shadow} failed {times} times"),
        };
        if self.compared == 0 {
            return format!("nothing to compare yet: no snapshot was answered by both{failed}");
        }
        let snapshots = if self.compared == 1 { "1 snapshot" } else { &format!("{} snapshots", self.compared) };
        if self.differed == 0 {
            return format!("on {snapshots} {shadow} answered just as {active} did{failed}");
        }
        let lateness = lateness(self.active.violations, self.shadow.violations);
        let accuracy = match (self.active.accuracy(), self.shadow.accuracy()) {
            (Some(active), Some(shadow)) => points(100.0 * (shadow - active)),
            _ => "without a job on time to tell accuracies by".into(),
        };
        format!("on {snapshots} {shadow} would have left {lateness} than {active}, {accuracy}{failed}")
    }
}

impl Side {
    /// Request-weighted mean accuracy of the jobs that would have been on time; `None` without any.
    pub(crate) fn accuracy(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.right / self.requests as f64)
    }

    /// The decision time that this share of the last decisions did not exceed.
    pub(crate) fn time(&self, share: f64) -> Option<Duration> {
        percentile(self.times.iter().copied().collect(), share)
    }

    /// Snapshots that it gave no legal answer to.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn add(&mut self, catalog: &Catalog, forecast: &Forecast) {
        self.violations += forecast.violators().count() as u64;
        let jobs = forecast.jobs.iter().zip(&forecast.finishes);
        for (job, _) in jobs.filter(|(job, finish)| **finish <= job.deadline) {
            let table = catalog.table(job.table).expect("a forecast's jobs name tables of the catalog");
            self.requests += u64::from(job.requests);
            self.right += f64::from(job.requests) * table.strategy(job.current).accuracy;
        }
    }

    fn fail(&mut self, error: &DecisionError) {
        *self.failures.entry(error.kind()).or_default() += 1;
        self.last_failure = Some(error.to_string());
    }
}

fn lateness(active: u64, shadow: u64) -> String {
    let jobs = |count: u64| if count == 1 { "1 job".into() } else { format!("{count} jobs") };
    match shadow.cmp(&active) {
        std::cmp::Ordering::Less => format!("{} fewer late", jobs(active - shadow)),
        std::cmp::Ordering::Equal => "no more and no fewer jobs late".into(),
        std::cmp::Ordering::Greater => format!("{} more late", jobs(shadow - active)),
    }
}

fn points(points: f64) -> String {
    if points.abs() < 0.005 {
        return "equally accurate on those in time".into();
    }
    let word = if points > 0.0 { "more" } else { "less" };
    format!("{:.2} points {word} accurate on those in time", points.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_core::{
        DecisionId, JobId, JobRow, ModelId, Plan, PolicyError, Snapshot, Strategy, StrategyTable, TableId, Tenant,
        Time, Trigger,
    };
    use std::sync::Arc;

    /// Two jobs of 10 requests, of 100 ms at 0.9 or 40 ms at 0.7, of which only one fits into 150 ms at 0.9.
    fn queue() -> (Snapshot, Catalog) {
        let strategy = |millis, accuracy| Strategy {
            latency: Duration::from_millis(millis),
            accuracy,
            memory_bytes: 0,
            steps: vec![],
        };
        let strategies = vec![strategy(40, 0.7), strategy(100, 0.9)];
        let table = StrategyTable { id: TableId(1), model: ModelId(0), requests: 10, strategies };
        let row = |id| JobRow {
            id: JobId(id),
            table: TableId(1),
            requests: 10,
            arrival: Time::START,
            deadline: Time::from_millis(150),
            min_accuracy: 0.0,
            weight: 1.0,
            tenant: Tenant::default(),
            current: 1,
            given_up: false,
        };
        let snapshot = Snapshot {
            decision: DecisionId(1),
            lane: mosel_core::LaneId(0),
            trigger: Trigger::Violation,
            now: Time::START,
            start: Time::START,
            budget: Duration::from_millis(5),
            time_factor: 1.0,
            catalog_revision: 1,
            jobs: vec![row(1), row(2)],
        };
        (snapshot, Catalog { revision: 1, models: vec![], tables: vec![Arc::new(table)] })
    }

    fn choosing(job: u64, choice: u32) -> Plan {
        Plan { choices: [(JobId(job), choice)].into(), ..Plan::default() }
    }

    /// Compares what two plans make of the queue.
    fn compare(tally: &mut Tally, active: &Plan, shadow: &Plan) -> bool {
        let (snapshot, catalog) = queue();
        let [active, shadow] =
            [active, shadow].map(|plan| Forecast::under(&snapshot, &catalog, plan).expect("it makes nobody late"));
        tally.compare(&catalog, &active, &shadow)
    }

    #[test]
    fn plans_are_compared_by_what_they_would_make_of_the_queue() {
        let mut tally = Tally::new(1);
        assert!(compare(&mut tally, &Plan::default(), &choosing(2, 0)));
        assert_eq!((tally.active.violations, tally.shadow.violations), (1, 0));
        assert_eq!((tally.active.accuracy(), tally.shadow.accuracy()), (Some(0.9), Some(0.8)));
        let verdict = tally.verdict("a", "b");
        assert_eq!(
            verdict,
            "on 1 snapshot b would have left 1 job fewer late than a, 10.00 points less accurate on those in time"
        );
    }

    #[test]
    fn naming_a_strategy_that_a_job_has_is_no_difference() {
        let mut tally = Tally::new(1);
        assert!(!compare(&mut tally, &Plan::default(), &choosing(1, 1)));
        assert_eq!((tally.compared, tally.differed), (1, 0));
        assert_eq!(tally.verdict("a", "b"), "on 1 snapshot b answered just as a did");
    }

    #[test]
    fn another_order_is_a_difference() {
        let order = [(JobId(1), 1), (JobId(2), 0)].into();
        let reversed = Plan { order, ..choosing(2, 0) };
        assert!(compare(&mut Tally::new(1), &choosing(2, 0), &reversed));
    }

    #[test]
    fn failures_are_told_by_kind_and_in_the_verdict() {
        let mut tally = Tally::new(1);
        let trap = DecisionError::Policy(PolicyError::Trapped("ouch".into()));
        tally.failed(None, Some(&trap));
        tally.failed(Some(&trap), Some(&DecisionError::NotFinite));
        assert_eq!(tally.shadow.failures, BTreeMap::from([("trapped", 1), ("not_finite", 1)]));
        assert_eq!(tally.active.failed(), 1);
        let verdict = tally.verdict("a", "b");
        assert_eq!(verdict, "nothing to compare yet: no snapshot was answered by both; b failed 2 times");
    }
}
