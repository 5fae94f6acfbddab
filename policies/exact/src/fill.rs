//! Uses up time that a choice leaves: single rows move up, the greatest gain first.

use crate::queue::Queue;
use crate::tables::Tables;

/// So many times the best move of all rows is looked for; what fits after that is taken from the front.
const BEST_MOVES: usize = 16;

/// What rows from each one on may take in addition. Empty between decisions; its memory is kept.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    room: Vec<f64>,
}

impl Fill {
    /// Moves rows of a choice that fits up as far as time allows.
    pub(crate) fn fill(&mut self, queue: &Queue, tables: &Tables, chosen: &mut [u32]) {
        for _ in 0..BEST_MOVES {
            self.measure(queue, tables, chosen);
            let Some((row, strategy)) = self.best_move(queue, tables, chosen) else { return };
            chosen[row] = strategy;
        }
        self.measure(queue, tables, chosen);
        self.sweep(queue, tables, chosen);
    }

    fn measure(&mut self, queue: &Queue, tables: &Tables, chosen: &[u32]) {
        self.room.clear();
        let mut time = 0.0;
        for ((row, &strategy), &slack) in queue.rows.iter().zip(chosen).zip(&queue.slack) {
            time += row.time(row.table(tables), strategy as usize);
            self.room.push(slack - time);
        }
        let mut least = f64::INFINITY;
        for room in self.room.iter_mut().rev() {
            least = least.min(*room);
            *room = least;
        }
    }

    fn best_move(&self, queue: &Queue, tables: &Tables, chosen: &[u32]) -> Option<(usize, u32)> {
        let (mut best, mut best_gain) = (None, 0.0);
        for (at, row) in queue.rows.iter().enumerate() {
            let table = row.table(tables);
            let now = chosen[at] as usize;
            let to = row.highest(table, now, self.room[at]);
            let gain = row.worth * (table[to].accuracy - table[now].accuracy);
            if gain > best_gain {
                (best, best_gain) = (Some((at, to as u32)), gain);
            }
        }
        best
    }

    fn sweep(&mut self, queue: &Queue, tables: &Tables, chosen: &mut [u32]) {
        let mut taken = 0.0;
        for (at, row) in queue.rows.iter().enumerate() {
            let table = row.table(tables);
            let now = chosen[at] as usize;
            let to = row.highest(table, now, self.room[at] - taken);
            taken += table[to].latency - table[now].latency;
            chosen[at] = to as u32;
        }
    }
}
