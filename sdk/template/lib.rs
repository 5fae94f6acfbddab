//! {{name}}: moves the jobs that lose the least to faster strategies until every deadline holds.

use std::collections::BinaryHeap;

use mosel_sdk::{
    Catalog, Decision, Description, NoSettings, Policy, PolicyError, Quality, Snapshot,
};

/// The policy.
pub struct {{type}};

impl Policy for {{type}} {
    type Settings = NoSettings;

    fn describe() -> Description {
        let summary = "Moves the jobs that lose the least until every deadline holds";
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), summary)
    }

    fn configure(_: NoSettings, _: &Catalog) -> Result<Self, PolicyError> {
        Ok(Self)
    }

    fn decide(&mut self, snapshot: &Snapshot) -> Result<Decision, PolicyError> {
        let hopeless = snapshot.hopeless();
        let mut chosen = snapshot.chosen();
        let mut work = 0;
        // The step that loses the least accuracy a second is on top.
        let mut steps = BinaryHeap::new();
        for (row, job) in snapshot.jobs.iter().enumerate() {
            work += snapshot.latency(row, chosen[row]);
            steps.extend(snapshot.step_down(row, chosen[row]));
            if job.late || hopeless.contains(&row) {
                continue; // nothing saves it, so nobody is slowed down for it
            }
            while snapshot.end_of(work) > job.deadline
                && let Some(step) = steps.pop()
            {
                chosen[step.row] = step.strategy;
                work -= step.gained;
                steps.extend(snapshot.step_down(step.row, step.strategy));
            }
        }
        let quality = if hopeless.is_empty() { Quality::Heuristic } else { Quality::BestEffort };
        Ok(Decision::choosing(snapshot, &chosen, quality))
    }
}

mosel_sdk::export_policy!({{type}});

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_sdk::test;

    /// One request takes 4 ms on audio alone, 10 ms on both, and is right more often then.
    const DAY: &str = "
        modalities video audio
        measure audio 1 4ms 137/200
        measure video+audio 1 10ms 157/200
        at 0ms submit 1 requests 4 deadline 200ms priority 3
        at 0ms submit 2 requests 4 deadline 200ms
        at 0ms submit 3 requests 4 deadline 110ms min_accuracy 0.785
    ";

    #[test]
    fn the_job_that_matters_least_gives_way() {
        let question = test::scenario(DAY);
        assert_eq!(question.violators(), [2]);

        let answer = test::ask::<{{type}}>("{}", &question);
        assert!(answer.violators().is_empty());
        let moved: Vec<u64> = answer.moved().iter().map(|(job, ..)| *job).collect();
        assert_eq!(moved, [2]);
    }

    #[test]
    fn a_whole_day_passes_without_a_job_being_late() {
        let log = test::run::<{{type}}>("{}", DAY);
        assert_eq!(log.matches("Served").count(), 3, "{log}");
        assert!(!log.contains("late"), "{log}");
        assert!(log.contains("Served 1: 4 video+audio"), "{log}");
    }
}
