//! Which ended jobs are kept: all of them for a while, as long as there is room; then whoever has the most gives way.
//!
//! Room is counted in bytes. Taking the oldest of whoever holds the most shares it fairly among all who want some, and
//! lets one have all that the others do not want: a flood of one tenant's jobs pushes out that tenant's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mosel_core::{JobId, Time};

use crate::shares::ShareKey;

/// The ended jobs that are kept.
#[derive(Debug, Default)]
pub(crate) struct KeptJobs {
    by_time: BTreeMap<(Time, JobId), (ShareKey, u64)>,
    by_holder: HashMap<ShareKey, Share>,
    /// Whoever holds the most is last.
    by_bytes: BTreeSet<(u64, ShareKey)>,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    jobs: BTreeSet<(Time, JobId)>,
}

impl KeptJobs {
    /// This job has ended, and takes so many bytes of its holder's room.
    pub(crate) fn add(&mut self, holder: ShareKey, ended: Time, job: JobId, bytes: u64) {
        let share = self.by_holder.entry(holder.clone()).or_default();
        self.by_bytes.remove(&(share.bytes, holder.clone()));
        share.bytes += bytes;
        share.jobs.insert((ended, job));
        self.by_bytes.insert((share.bytes, holder.clone()));
        self.by_time.insert((ended, job), (holder, bytes));
        self.bytes += bytes;
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the first of them ended.
    pub(crate) fn oldest(&self) -> Option<Time> {
        self.by_time.keys().next().map(|(ended, _)| *ended)
    }

    /// Takes out the one that ended first.
    pub(crate) fn take_oldest(&mut self) -> Option<(Time, JobId)> {
        let first = *self.by_time.keys().next()?;
        self.take(first);
        Some(first)
    }

    /// Takes out the first that ended of whoever holds the most.
    pub(crate) fn take_of_the_largest(&mut self) -> Option<(Time, JobId)> {
        let (_, holder) = self.by_bytes.last()?;
        let first = *self.by_holder.get(holder)?.jobs.first()?;
        self.take(first);
        Some(first)
    }

    fn take(&mut self, job: (Time, JobId)) {
        let Some((holder, bytes)) = self.by_time.remove(&job) else { return };
        self.bytes -= bytes;
        let Some(share) = self.by_holder.get_mut(&holder) else { return };
        self.by_bytes.remove(&(share.bytes, holder.clone()));
        share.bytes -= bytes;
        share.jobs.remove(&job);
        if share.jobs.is_empty() {
            self.by_holder.remove(&holder);
        } else {
            self.by_bytes.insert((share.bytes, holder));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> ShareKey {
        ShareKey::Tenant(name.into())
    }

    fn time(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn a_flood_pushes_out_its_own() {
        let mut kept = KeptJobs::default();
        kept.add(tenant("small"), time(0), JobId(0), 10);
        for job in 1..=1000 {
            kept.add(tenant("flood"), time(job), JobId(job), 10);
            while kept.bytes() > 200 {
                assert_ne!(kept.take_of_the_largest(), Some((time(0), JobId(0))));
            }
        }
        assert_eq!((kept.len(), kept.bytes(), kept.oldest()), (20, 200, Some(time(0))));
    }

    #[test]
    fn one_may_have_all_that_nobody_else_wants_and_gives_it_back() {
        let mut kept = KeptJobs::default();
        (0..10).for_each(|job| kept.add(tenant("first"), time(job), JobId(job), 10));
        for job in 10..30 {
            kept.add(tenant("second"), time(job), JobId(job), 10);
            while kept.bytes() > 100 {
                kept.take_of_the_largest();
            }
        }
        let of = |holder: &str| kept.by_holder[&tenant(holder)].bytes;
        assert_eq!((of("first"), of("second")), (50, 50));
    }

    #[test]
    fn all_that_is_counted_is_given_back() {
        let mut kept = KeptJobs::default();
        (0..9).for_each(|job| kept.add(tenant(&(job % 3).to_string()), time(job), JobId(job), job));
        assert_eq!(kept.take_oldest(), Some((time(0), JobId(0))));
        while kept.take_of_the_largest().is_some() {}
        assert_eq!((kept.len(), kept.bytes(), kept.by_holder.len(), kept.by_bytes.len()), (0, 0, 0, 0));
    }
}
