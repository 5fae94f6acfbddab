//! What a policy answers, and what the server makes of it.

use std::fmt;
use std::sync::Arc;

use mosel_core as core;

use super::{convert, host};
use crate::running::Running;
use crate::{Decision, Job, Micros, Policy, PolicyError, Snapshot};

/// What a policy answered, and the queue before and after.
///
/// As text it is one line for each job of the queue after it, fit to be compared whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The queue that the policy was shown.
    pub before: Snapshot,
    /// What it said.
    pub decision: Decision,
    /// The queue once the decision was adopted.
    pub after: Snapshot,
}

/// What the policy, freshly configured with these settings (JSON), makes of the queue. The server's seed is 0.
///
/// # Panics
/// If the policy refuses its settings or gives no answer, or if a server would refuse the answer; with the reason.
#[track_caller]
pub fn ask<P: Policy>(settings: &str, snapshot: &Snapshot) -> Answer {
    let decision = match decide::<P>(settings, snapshot) {
        Ok(decision) => decision,
        Err(error) => panic!("the policy gave no answer: {error:?}"),
    };
    match adopt(snapshot, &decision) {
        Ok(after) => Answer { before: snapshot.clone(), decision, after },
        Err(reason) => panic!("a server would refuse the answer: {reason}"),
    }
}

/// What the policy, freshly configured with these settings (JSON), answers. The server's seed is 0.
pub fn decide<P: Policy>(settings: &str, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
    decide_seeded::<P>(settings, snapshot, 0)
}

/// [`decide`] on a server of another seed.
pub fn decide_seeded<P: Policy>(settings: &str, snapshot: &Snapshot, seed: u64) -> Result<Decision, PolicyError> {
    host::begin(0, 0, 0, snapshot.budget);
    let mut running = Running::<P>::configure(settings, convert::resent_catalog(&snapshot.catalog))?;
    host::begin(seed, snapshot.sequence, snapshot.now, snapshot.budget);
    running.decide(convert::resent(snapshot))
}

/// The queue after the decision, or why the server would refuse it: whole, or not at all. The check is the server's
/// own.
pub fn adopt(snapshot: &Snapshot, decision: &Decision) -> Result<Snapshot, String> {
    let (queue, catalog) = convert::checkable(snapshot);
    let plan = core::Plan::check(&queue, &catalog, &convert::core_decision(decision));
    let plan = plan.map_err(|error| error.to_string())?;
    let forecast = core::Forecast::under(&queue, &catalog, &plan).map_err(|error| error.to_string())?;
    let mut after = convert::resent(snapshot);
    after.jobs = forecast.jobs.iter().map(|row| Job { current: row.current, ..*snapshot.job(row.id.0) }).collect();
    if plan.order.is_empty() {
        // A made-up queue may have jobs marked late among the others; they keep their places.
        after.jobs.sort_by_cached_key(|job| snapshot.row_of(job.id));
    }
    Snapshot::new(after, Arc::clone(&snapshot.catalog)).map_err(|error| format!("{error:?}"))
}

impl Answer {
    /// The jobs that would still miss their deadline, in queue order; those marked late are not counted.
    pub fn violators(&self) -> Vec<u64> {
        self.after.violators().into_iter().map(|row| self.after.jobs[row].id).collect()
    }

    /// The jobs that got another strategy, in queue order: (job, strategy before, strategy now).
    pub fn moved(&self) -> Vec<(u64, u32, u32)> {
        let rows = self.after.jobs.iter().map(|job| (job.id, self.before.job(job.id).current, job.current));
        rows.filter(|(_, from, to)| from != to).collect()
    }

    /// What the queue brings now: [`Snapshot::value`] of the strategies chosen.
    pub fn value(&self) -> f64 {
        self.after.value(&self.after.chosen())
    }

    /// How much of that the decision cost; below 0 if it gained some.
    pub fn lost(&self) -> f64 {
        self.before.value(&self.before.chosen()) - self.value()
    }
}

impl fmt::Display for Answer {
    /// `job 2: 0.785 -> 0.685, ends 38ms of 30ms: late`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, (job, finish)) in self.after.jobs.iter().zip(self.after.finishes()).enumerate() {
            let accuracy = |strategy: u32| self.after.strategies(row)[strategy as usize].accuracy;
            write!(f, "job {}: ", job.id)?;
            let before = self.before.job(job.id).current;
            if before != job.current {
                write!(f, "{:.3} -> ", accuracy(before))?;
            }
            write!(f, "{:.3}, ends {}", accuracy(job.current), core::Time::from_micros(finish))?;
            if job.deadline < Micros::MAX {
                write!(f, " of {}", core::Time::from_micros(job.deadline))?;
            }
            writeln!(f, "{}", if finish > job.deadline { ": late" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::Queue;
    use crate::{Assignment, Catalog, Description, NoSettings};

    fn two_jobs() -> Snapshot {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (20, 0.8)]);
        queue.job(table, 30, 0.5);
        queue.job(table, 30, 0.7);
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
        let decision = Decision { assignments: vec![assign(1, 0)], order: vec![1, 2], ..Decision::keep() };
        let after = adopt(&two_jobs(), &decision).unwrap();
        assert_eq!(after.finishes(), [10, 30]);
        assert!(after.violators().is_empty());
        let decision = Decision { order: vec![2, 1], ..decision };
        assert_eq!(adopt(&two_jobs(), &decision).unwrap().finishes(), [20, 30]);
    }

    #[test]
    fn every_broken_rule_is_named() {
        assert_eq!(refusal(|d| d.assignments = vec![assign(3, 0)]), "job 3 is not in the snapshot");
        assert_eq!(
            refusal(|d| d.assignments = vec![assign(1, 2)]),
            "job 1 has 2 strategies, the policy chose 2 (counting from 0)"
        );
        assert_eq!(
            refusal(|d| d.assignments = vec![assign(2, 0)]),
            "job 2 must keep 0.700000, the policy chose a strategy at 0.600000"
        );
        assert_eq!(refusal(|d| d.assignments = vec![assign(1, 0); 2]), "job 1 is named twice");
        assert_eq!(refusal(|d| d.bound = Some(f64::NAN)), "objective and bound must be finite numbers");
        assert_eq!(refusal(|d| d.order = vec![1]), "an order names all 2 jobs or none, the policy named 1");
        assert_eq!(refusal(|d| d.order = vec![1, 1]), "job 1 is named twice");
        assert_eq!(refusal(|d| d.order = vec![1, 3]), "job 3 is not in the snapshot");
        assert_eq!(refusal(|d| d.order = vec![2, 1]), "job 1 is on time now and would be 10µs late");
    }

    #[test]
    fn jobs_marked_late_stay_last_whatever_the_order_says() {
        let mut before = two_jobs();
        before.jobs[1].late = true;
        let after = adopt(&before, &Decision { order: vec![2, 1], ..Decision::keep() }).unwrap();
        assert_eq!(after.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [1, 2]);
    }

    #[derive(Debug)]
    struct FirstDown;

    impl Policy for FirstDown {
        type Settings = NoSettings;

        fn describe() -> Description {
            Description::new("first-down", "1.0.0", "Moves the first job down")
        }

        fn configure(_: NoSettings, _: &Catalog) -> Result<FirstDown, PolicyError> {
            Ok(FirstDown)
        }

        fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
            let job = snapshot.jobs.first().ok_or_else(|| PolicyError::GaveUp("nobody waits".into()))?;
            Ok(Decision { assignments: vec![assign(job.id, 0)], ..Decision::keep() })
        }
    }

    #[test]
    fn an_answer_says_who_moved_and_what_it_cost() {
        let answer = ask::<FirstDown>("{}", &two_jobs());
        assert_eq!(answer.moved(), [(1, 1, 0)]);
        assert!(answer.violators().is_empty());
        assert!((answer.value() - 1.4).abs() < 1e-12 && (answer.lost() - 0.2).abs() < 1e-12);
        assert_eq!(
            answer.to_string(),
            "job 1: 0.800 -> 0.600, ends 0.01ms of 0.03ms\njob 2: 0.800, ends 0.03ms of 0.03ms\n"
        );
    }

    #[test]
    #[should_panic(expected = "the policy gave no answer: PolicyError::GaveUp")]
    fn a_policy_without_an_answer_fails_the_test() {
        ask::<FirstDown>("{}", &Queue::new().snapshot());
    }

    #[test]
    #[should_panic(expected = "a server would refuse the answer: job 1 must keep 0.700000")]
    fn an_illegal_answer_fails_the_test() {
        let mut queue = Queue::new();
        let table = queue.table(&[(10, 0.6), (20, 0.8)]);
        queue.job(table, 10, 0.7);
        ask::<FirstDown>("{}", &queue.snapshot());
    }
}
