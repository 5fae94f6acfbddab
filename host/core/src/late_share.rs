//! Late jobs' share of a lane: a credit in device time, saved while others run and spent on late jobs' batches.
//!
//! Of the time that the device runs other jobs while late ones wait, a share is put aside. Once that covers the next batch of
//! the oldest late job the batch is *due*: it starts before jobs that can be on time as soon as it makes none of them
//! late, and newcomers are promised a time behind it. So the queue drains to where it harms nobody, and the wait is bounded.

use std::time::Duration;

use crate::Time;

/// The credit of a lane's late jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LateCredit {
    /// Saved device time in nanoseconds; below 0 where a batch took longer than was saved for it.
    pub saved_ns: i64,
    /// Since when late jobs have waited.
    pub waiting_since: Option<Time>,
    /// Since when the next batch of the oldest has been due.
    pub due_since: Option<Time>,
}

/// On whose account a batch runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// A job that can be on time.
    #[default]
    OnTime,
    /// A late job, as nobody on time waited: it costs nobody anything.
    Spare,
    /// A late job before others, on the late jobs' share.
    LateShare,
}

impl LateCredit {
    /// Looks at the queue: the next late batch needs that long, if one waits. What was saved is not kept for later ones.
    pub(crate) fn look(&mut self, now: Time, need: Option<Duration>) {
        let Some(need) = need else {
            *self = LateCredit::default();
            return;
        };
        self.waiting_since.get_or_insert(now);
        let due = self.saved_ns >= nanos(need);
        self.due_since = due.then(|| self.due_since.unwrap_or(now));
    }

    /// Puts aside a share of the time from `started` to `now`, as far as late jobs waited, up to `most` in all.
    pub(crate) fn save(&mut self, share: f64, started: Time, now: Time, most: Duration) {
        let Some(since) = self.waiting_since else { return };
        let saved = now.since(started.max(since)).as_secs_f64() * share * 1e9;
        self.saved_ns = self.saved_ns.saturating_add(saved as i64).min(nanos(most).max(self.saved_ns));
    }

    /// A batch starts that is expected to take that long.
    pub(crate) fn spend(&mut self, expected: Duration) {
        self.saved_ns = self.saved_ns.saturating_sub(nanos(expected));
        self.due_since = None;
    }

    /// It took another time; no pause costs late jobs more than the batch itself once more.
    pub(crate) fn settle(&mut self, expected: Duration, took: Duration) {
        let least = self.saved_ns.min(0).saturating_sub(nanos(expected));
        self.saved_ns = self.saved_ns.saturating_add(nanos(expected)).saturating_sub(nanos(took)).max(least);
    }

    /// A late batch is due.
    pub(crate) fn is_due(&self) -> bool {
        self.due_since.is_some()
    }

    /// A late batch has been due for as long as it takes to save for one: nobody goes before it any more.
    pub(crate) fn is_pressing(&self, now: Time, share: f64, need: Duration) -> bool {
        self.due_since.is_some_and(|due| now.since(due).as_secs_f64() * share >= need.as_secs_f64())
    }

    /// What was saved.
    pub(crate) fn saved(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.saved_ns).unwrap_or(0))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Duration = Duration::from_millis(20);
    const MOST: Duration = Duration::from_millis(40);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    /// A late job waits since 0 ms, and others ran until then.
    fn saved_until(millis: u64) -> LateCredit {
        let mut credit = LateCredit::default();
        credit.look(at(0), Some(NEED));
        credit.save(0.05, at(0), at(millis), MOST);
        credit.look(at(millis), Some(NEED));
        credit
    }

    #[test]
    fn a_batch_is_due_once_its_share_was_saved_and_not_before() {
        assert_eq!(saved_until(399).due_since, None);
        assert_eq!(saved_until(400).due_since, Some(at(400)));
    }

    #[test]
    fn no_more_is_saved_than_the_bound() {
        assert_eq!(saved_until(9000).saved(), MOST);
    }

    #[test]
    fn nothing_is_saved_before_somebody_is_late_and_nothing_kept_after_the_last() {
        let mut credit = LateCredit::default();
        credit.save(0.05, at(0), at(1000), MOST);
        assert_eq!(credit.saved_ns, 0);
        credit.look(at(1000), Some(NEED));
        credit.save(0.05, at(900), at(1100), MOST);
        assert_eq!(credit.saved(), Duration::from_millis(5));
        credit.look(at(1100), None);
        assert_eq!(credit, LateCredit::default());
    }

    #[test]
    fn a_batch_that_took_longer_costs_at_most_itself_once_more() {
        let mut credit = saved_until(400);
        credit.spend(NEED);
        credit.settle(NEED, NEED * 100);
        assert_eq!(credit.saved_ns, -nanos(NEED));
        let mut credit = saved_until(400);
        credit.spend(NEED);
        credit.settle(NEED, NEED / 2);
        assert_eq!(credit.saved(), NEED / 2);
    }

    #[test]
    fn a_due_batch_is_pressing_after_as_long_again() {
        let credit = saved_until(400);
        assert!(!credit.is_pressing(at(799), 0.05, NEED) && credit.is_pressing(at(800), 0.05, NEED));
        assert!(!LateCredit::default().is_pressing(at(9999), 0.05, NEED));
    }
}
