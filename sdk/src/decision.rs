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

    /// Row `k` of the snapshot gets strategy `chosen[k]`; rows whose strategy stays are not named.
    pub fn choosing(snapshot: &Snapshot, chosen: &[u32], quality: Quality) -> Decision {
        let rows = snapshot.jobs.iter().zip(chosen);
        let changed = rows.filter(|(job, strategy)| job.current != **strategy);
        let assignments = changed.map(|(job, &strategy)| Assignment { job: job.id, strategy }).collect();
        Decision { assignments, quality, ..Decision::keep() }
    }
}
