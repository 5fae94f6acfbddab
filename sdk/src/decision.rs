//! Ways to make a [`Decision`].

use crate::{Assignment, Decision, Quality, Snapshot};

impl Decision {
    /// Every job keeps its strategy.
    pub fn keep() -> Decision {
        Decision {
            assignments: Vec::new(),
            order: Vec::new(),
            quality: Quality::Heuristic,
            objective: None,
            bound: None,
        }
    }

    /// Row `k` of the snapshot gets strategy `chosen[k]`; rows whose strategy stays are not named. The order stays.
    ///
    /// With an objective and what it cannot exceed:
    ///
    /// ```
    /// # use mosel_sdk::{Decision, Quality, test::Queue};
    /// # let mut queue = Queue::new();
    /// # let table = queue.table(&[(40, 0.5), (90, 0.75)]);
    /// # queue.job(table, 60, 0.0);
    /// # let snapshot = queue.snapshot();
    /// let best = snapshot.value(&snapshot.chosen());
    /// let chosen: Vec<u32> = (0..snapshot.jobs.len()).map(|row| snapshot.fastest(row)).collect();
    /// let decision = Decision {
    ///     objective: Some(snapshot.value(&chosen)),
    ///     bound: Some(best),
    ///     ..Decision::choosing(&snapshot, &chosen, Quality::Bounded)
    /// };
    /// # assert_eq!((decision.objective, decision.bound), (Some(0.5), Some(0.75)));
    /// ```
    pub fn choosing(snapshot: &Snapshot, chosen: &[u32], quality: Quality) -> Decision {
        let rows = snapshot.jobs.iter().zip(chosen);
        let changed = rows.filter(|(job, strategy)| job.current != **strategy);
        let assignments = changed.map(|(job, &strategy)| Assignment { job: job.id, strategy }).collect();
        Decision { assignments, quality, ..Decision::keep() }
    }
}
