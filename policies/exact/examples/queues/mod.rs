//! Made-up queues for measuring and for checking against other solvers.

use mosel_sdk::random_below;
use mosel_sdk::test::{Queue, host};

/// Tables that the jobs of a queue share.
const TABLES: usize = 24;

/// How accuracy grows along a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By steps that have nothing to do with the time they take; a third of the strategies or so is on the hull.
    Uneven,
    /// In proportion to time but for a little noise: all steps are worth about the same, which is hard to prove.
    Proportional,
}

/// A queue about twice as long as its deadlines allow on the most accurate strategies. The seed says it all.
pub(crate) fn random(kind: Kind, seed: u64, jobs: usize, strategies: usize) -> Queue {
    host::begin(seed, 0, 0, 0);
    let mut queue = Queue::new();
    (queue.sequence, queue.start) = (seed, between(0, 50_000));
    queue.time_factor = between(90, 130) as f64 / 100.0;
    let tables: Vec<_> = (0..TABLES).map(|_| random_table(kind, strategies)).collect();
    let names: Vec<_> = tables.iter().map(|table| queue.table(table)).collect();
    let mut work = 0;
    for _ in 0..jobs {
        let which = random_below(TABLES);
        let slowest = tables[which].last().map_or(0, |strategy| strategy.0);
        work += between(slowest / 4, 3 * slowest / 4);
        let due = queue.start + (work as f64 * queue.time_factor) as u64 + between(0, 40_000);
        queue.job(names[which], due, between(300, 600) as f64 / 1000.0);
    }
    for job in &mut queue.jobs {
        job.requests = between(1, 64) as u32;
        job.weight = [1.0, 1.0, 1.0, 0.5, 2.0][random_below(5)];
    }
    queue
}

fn random_table(kind: Kind, strategies: usize) -> Vec<(u64, f64)> {
    let (mut latency, mut accuracy) = (between(1_000, 5_000), between(400, 600) as f64 / 1000.0);
    let mut table = Vec::new();
    for _ in 0..strategies {
        table.push((latency, accuracy));
        let longer = between(200, 6_000);
        let share = match kind {
            Kind::Uneven => between(1, 1000),
            Kind::Proportional => longer / 6 + between(1, 20),
        };
        latency += longer;
        accuracy += share as f64 / (2_600 * strategies) as f64;
    }
    table
}

fn between(least: u64, most: u64) -> u64 {
    least + random_below((most - least + 1) as usize) as u64
}
