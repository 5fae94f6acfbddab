//! The queue of a question, walked from its start: who is late as it was, as it was decided, and as it would be had one
//! of the jobs that were moved stayed as it was.
//!
//! The last is told for all of them in one walk. A job that keeps its former strategy moves the finish of itself and of
//! all behind it by the same time, so the latest of these is the one with the least slack; and what is before it stays.

use std::collections::BTreeMap;
use std::time::Duration;

use mosel_core::{Catalog, JobId, JobRow, Snapshot, Time};

use super::Counterfactual;

/// Jobs that run one after another.
#[derive(Debug)]
pub(super) struct Queue<'a> {
    start: Time,
    /// Time over profiled time.
    factor: f64,
    places: Vec<Place<'a>>,
}

/// A job in its place.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    row: &'a JobRow,
    /// Its profiled time, and the one it had when the question was asked.
    latency: Duration,
    was: Duration,
    /// The profiled time of it and all before it.
    work: Duration,
    /// How late it would have been had nothing been changed.
    was_late: Duration,
}

/// What a decision did to a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// Requests that it had left.
    pub(super) left: u32,
    /// Profiled time of these as they were.
    pub(super) from: Duration,
    /// And as they were to be.
    pub(super) to: Duration,
}

impl<'a> Queue<'a> {
    /// The queue of the question; `None` if a row is off its table.
    pub(super) fn as_it_was(snapshot: &'a Snapshot, catalog: &Catalog) -> Option<Queue<'a>> {
        let latency = |row: &JobRow| Some(catalog.table(row.table)?.strategies.get(row.current as usize)?.latency);
        let place = |row: &'a JobRow| {
            let latency = latency(row)?;
            Some(Place { row, latency, was: latency, work: Duration::ZERO, was_late: Duration::ZERO })
        };
        let places = snapshot.jobs.iter().map(place).collect::<Option<_>>()?;
        let mut queue = Queue { start: snapshot.start, factor: snapshot.time_factor, places };
        queue.add_up();
        for at in 0..queue.places.len() {
            queue.places[at].was_late = queue.late_by(&queue.places[at]);
        }
        Some(queue)
    }

    /// The same jobs under a decision; an empty order keeps theirs. Jobs that were given up stay behind all others.
    pub(super) fn decided(&self, order: &BTreeMap<JobId, usize>, moves: &BTreeMap<JobId, Move>) -> Queue<'a> {
        let mut places = self.places.clone();
        places.sort_by_cached_key(|place| (place.row.given_up, order.get(&place.row.id).copied().unwrap_or(0)));
        for place in &mut places {
            place.latency = moves.get(&place.row.id).map_or(place.was, |step| step.latency(place));
        }
        let mut queue = Queue { places, ..*self };
        queue.add_up();
        queue
    }

    /// The jobs that are late though not given up, and how late, in their order.
    pub(super) fn late(&self) -> impl Iterator<Item = (JobId, Duration)> {
        let late = self.places.iter().map(|place| (place.row.id, self.late_by(place)));
        late.filter(|(_, by)| !by.is_zero())
    }

    /// For every job that was moved: what would be had it alone stayed as it was.
    pub(super) fn counterfactuals(&self, moves: &BTreeMap<JobId, Move>) -> BTreeMap<JobId, Counterfactual> {
        let tightest = self.tightest();
        let mut ahead: Option<&Place<'_>> = None;
        let mut counterfactuals = BTreeMap::new();
        for (place, tightest) in self.places.iter().zip(tightest) {
            if moves.contains_key(&place.row.id) {
                counterfactuals.insert(place.row.id, self.had_it_stayed(place, ahead, tightest));
            }
            ahead = ahead.filter(|ahead| self.late_by(ahead) >= self.late_by(place)).or(Some(place));
        }
        counterfactuals
    }

    /// The latest job had this one kept its former strategy: one of those before it, or of it and those behind it.
    fn had_it_stayed(
        &self,
        stays: &Place<'_>,
        ahead: Option<&Place<'_>>,
        behind: Option<&Place<'_>>,
    ) -> Counterfactual {
        let ahead = ahead.map(|place| (place, self.late_by(place)));
        let behind = behind.map(|place| {
            let work = place.work.saturating_sub(stays.latency).saturating_add(stays.was);
            (place, self.late_after(place, work))
        });
        let later = |a: &(&Place<'_>, Duration), b: &(&Place<'_>, Duration)| a.1.cmp(&b.1);
        // of two that are as late as one another the last one is taken: the first in the queue comes last
        match behind.into_iter().chain(ahead).max_by(later) {
            Some((place, by)) if !by.is_zero() => {
                Counterfactual::Late { job: place.row.id, by, before: place.was_late, after: self.late_by(place) }
            }
            _ => Counterfactual::Nobody,
        }
    }

    /// For every place: whichever of it and those behind it has the least slack, those given up left out.
    fn tightest(&self) -> Vec<Option<&Place<'a>>> {
        let mut least: Option<(&Place<'a>, f64)> = None;
        let mut tightest = Vec::with_capacity(self.places.len());
        for place in self.places.iter().rev().filter(|place| !place.row.given_up) {
            let slack = self.slack(place);
            least = least.filter(|least| least.1 < slack).or(Some((place, slack)));
            tightest.push(least.map(|least| least.0));
        }
        tightest.reverse();
        tightest.resize(self.places.len(), None);
        tightest
    }

    /// Microseconds between finish and deadline, without rounding.
    fn slack(&self, place: &Place<'_>) -> f64 {
        let until = i128::from(place.row.deadline.micros()) - i128::from(self.start.micros());
        until as f64 - place.work.as_secs_f64() * 1e6 * self.factor
    }

    fn late_by(&self, place: &Place<'_>) -> Duration {
        self.late_after(place, place.work)
    }

    /// How late it is once so much work is done; nothing is too late for a job that was given up.
    fn late_after(&self, place: &Place<'_>, work: Duration) -> Duration {
        if place.row.given_up {
            return Duration::ZERO;
        }
        self.start.after(work, self.factor).since(place.row.deadline)
    }

    fn add_up(&mut self) {
        let mut work = Duration::ZERO;
        for place in &mut self.places {
            work = work.saturating_add(place.latency);
            place.work = work;
        }
    }
}

impl Move {
    /// The profiled time of the job of this place once it is moved. A batch that was started since the question belongs
    /// to the job that was asked about, moved or not.
    fn latency(&self, place: &Place<'_>) -> Duration {
        if place.row.requests == self.left {
            return self.to;
        }
        place.was.saturating_add(self.to).saturating_sub(self.from)
    }
}
