//! Compiled policies in memory: those in use, and the few that were used last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::compiled_policy::CompiledPolicy;

/// Compiled policies that are kept although nobody uses them.
const KEPT: usize = 8;

/// The compiled policies of this process: those in use, and the few that were used last.
#[derive(Default)]
pub(crate) struct MemoryCache {
    entries: Mutex<RecentlyUsed<CompiledPolicy>>,
}

/// What is in use by anybody, and the last few that were.
struct RecentlyUsed<T> {
    alive: Vec<Weak<T>>,
    recent: VecDeque<Arc<T>>,
}

impl MemoryCache {
    /// What these bytes were compiled to, if that is still there.
    pub(crate) fn find(&self, hash: &str) -> Option<Arc<CompiledPolicy>> {
        self.entries().find(|compiled| compiled.hash == hash)
    }

    pub(crate) fn put(&self, compiled: &Arc<CompiledPolicy>) {
        self.entries().put(compiled);
    }

    fn entries(&self) -> MutexGuard<'_, RecentlyUsed<CompiledPolicy>> {
        self.entries.lock().expect("nobody panics while looking")
    }
}

impl<T> RecentlyUsed<T> {
    fn find(&mut self, matches: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let found = self.alive.iter().filter_map(Weak::upgrade).find(|entry| matches(entry))?;
        self.keep(&found);
        Some(found)
    }

    fn put(&mut self, entry: &Arc<T>) {
        self.alive.retain(|other| other.strong_count() > 0);
        self.alive.push(Arc::downgrade(entry));
        self.keep(entry);
    }

    fn keep(&mut self, entry: &Arc<T>) {
        self.recent.retain(|other| !Arc::ptr_eq(other, entry));
        self.recent.push_front(Arc::clone(entry));
        self.recent.truncate(KEPT);
    }
}

impl<T> Default for RecentlyUsed<T> {
    fn default() -> RecentlyUsed<T> {
        RecentlyUsed { alive: Vec::new(), recent: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(entries: &mut RecentlyUsed<usize>, number: usize) -> bool {
        entries.find(|other| *other == number).is_some()
    }

    #[test]
    fn unused_kept() {
        let mut entries = RecentlyUsed::default();
        (0..KEPT).for_each(|number| entries.put(&Arc::new(number)));
        assert!((0..KEPT).all(|number| find(&mut entries, number)));
    }

    #[test]
    fn unused_broken() {
        let mut entries = RecentlyUsed::default();
        (0..KEPT).for_each(|number| entries.put(&Arc::new(number)));
        assert!(find(&mut entries, 0), "0 is used after 1");
        entries.put(&Arc::new(KEPT));
        assert!(find(&mut entries, 0) && !find(&mut entries, 1));
        assert!(entries.alive.len() <= KEPT + 1);
    }

    #[test]
    fn what_is_in_use_is_found_however_long_ago_it_was_put() {
        let mut entries = RecentlyUsed::default();
        let used = Arc::new(1000);
        entries.put(&used);
        (0..2 * KEPT).for_each(|number| entries.put(&Arc::new(number)));
        assert!(entries.find(|other| *other == 1000).is_some_and(|found| Arc::ptr_eq(&found, &used)));
    }
}
