//! From deadlines to the time that rows share.

use mosel_sdk::{Micros, Snapshot};

use crate::row::Row;
use crate::tables::Tables;

/// Writes what rows up to each one may take together beyond their fastest strategies, and says how many rows are
/// hopeless: late even if every row up to them is as fast as it may be. Their deadlines are dropped, and no others:
/// with everything at its fastest all other rows are in time, so this makes the fewest jobs late.
pub(crate) fn slack(snapshot: &Snapshot, tables: &Tables, rows: &[Row], slack: &mut Vec<f64>) -> usize {
    slack.clear();
    let (mut fastest, mut slowest) = (0.0, 0.0);
    let mut hopeless = 0;
    for (row, job) in rows.iter().zip(&snapshot.jobs) {
        let table = row.table(tables);
        fastest += table[row.fastest()].latency;
        slowest += table[row.slowest()].latency;
        slack.push(f64::INFINITY);
        if job.late || in_time(snapshot, slowest, job.deadline) {
            continue;
        }
        if !in_time(snapshot, fastest, job.deadline) {
            hopeless += 1;
            continue;
        }
        let most = most_work(snapshot, job.deadline, fastest as Micros, slowest as Micros);
        *slack.last_mut().expect("it was just pushed") = most as f64 - fastest;
    }
    tighten(slack);
    hopeless
}

/// This work is done by the deadline. The server's own rounding is asked only where it can make a difference.
fn in_time(snapshot: &Snapshot, work: f64, deadline: Micros) -> bool {
    let estimate = (snapshot.start as f64 + work * factor(snapshot)).min(u64::MAX as f64);
    let doubt = 2.0 + estimate * 1e-15;
    match estimate - deadline as f64 {
        early if early < -doubt => true,
        late if late > doubt => false,
        _ => snapshot.end_of(work as Micros) <= deadline,
    }
}

/// About as much work as is done by this time; below 0 if that is before the start.
pub(crate) fn work_until(snapshot: &Snapshot, end: f64) -> f64 {
    (end - snapshot.start as f64) / factor(snapshot)
}

/// What times are multiplied by; like the server, a factor that makes no sense is ignored.
fn factor(snapshot: &Snapshot) -> f64 {
    let factor = snapshot.time_factor;
    if factor.is_finite() && factor > 0.0 { factor } else { 1.0 }
}

/// The most work that is done by the deadline. `least` is done in time, `too_much` is not.
fn most_work(snapshot: &Snapshot, deadline: Micros, least: Micros, too_much: Micros) -> Micros {
    let in_time = |work: Micros| snapshot.end_of(work) <= deadline;
    let (mut in_time_at, mut late_at) = (least, too_much);
    // The inverse, but for rounding; then a search that widens from there.
    let mut guess = ((deadline - snapshot.start) as f64 / factor(snapshot)) as Micros;
    let mut stride = 1;
    while late_at - in_time_at > 1 {
        let work = guess.clamp(in_time_at + 1, late_at - 1);
        if in_time(work) {
            in_time_at = work;
            guess = work.saturating_add(stride);
        } else {
            late_at = work;
            guess = work.saturating_sub(stride);
        }
        stride *= 2;
        if stride > 64 {
            guess = in_time_at + (late_at - in_time_at) / 2;
        }
    }
    in_time_at
}

/// A row may not use up what the rows behind it need.
fn tighten(slack: &mut [f64]) {
    let mut least = f64::INFINITY;
    for slack in slack.iter_mut().rev() {
        least = least.min(*slack);
        *slack = least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosel_sdk::test::Queue;

    #[test]
    fn the_most_work_in_time_is_found_whatever_the_factor() {
        for factor in [1e-9, 1e-3, 0.3333, 0.77, 1.0, 1.05, 3.3, 1e3, 1e9, f64::NAN, -1.0, 0.0] {
            for deadline in [1_000, 1_001, 1_500, 54_321, 9_876_543_210] {
                let mut queue = Queue::new();
                (queue.start, queue.time_factor) = (1_000, factor);
                let snapshot = queue.snapshot();
                let too_much = 1 << 53;
                if snapshot.end_of(too_much) <= deadline {
                    continue;
                }
                let most = most_work(&snapshot, deadline, 0, too_much);
                assert!(snapshot.end_of(most) <= deadline, "{factor} {deadline}: {most} is too much");
                assert!(snapshot.end_of(most + 1) > deadline, "{factor} {deadline}: {most} is too little");
            }
        }
    }

    #[test]
    fn slack_never_decreases_from_row_to_row() {
        let mut slack = [7.0, 3.0, 5.0, f64::INFINITY, 4.0, f64::INFINITY];
        tighten(&mut slack);
        assert_eq!(slack, [3.0, 3.0, 4.0, 4.0, 4.0, f64::INFINITY]);
    }
}
