//! What a component is compiled to: code that is checked and linked, and who the policy says it is.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use crate::Description;
use crate::bindings::SchedulerPre;
use crate::host::Host;

/// Compiled policies that are kept although nobody uses them.
const KEPT: usize = 8;

/// A compiled and checked policy, shared by all that are loaded from the same bytes.
pub(crate) struct Compiled {
    pub(crate) policy: SchedulerPre<Host>,
    /// SHA-256 of the component, in hex.
    pub(crate) hash: String,
    pub(crate) description: Description,
}

/// The compiled policies of this process: those in use, and the few that were used last.
#[derive(Default)]
pub(crate) struct Shelf {
    places: Mutex<Places<Compiled>>,
}

/// Things in use by anybody, and the last few in use.
struct Places<T> {
    alive: Vec<Weak<T>>,
    recent: VecDeque<Arc<T>>,
}

impl Shelf {
    /// What these bytes were compiled to, if that is still there.
    pub(crate) fn find(&self, hash: &str) -> Option<Arc<Compiled>> {
        self.with(|places| places.find(|compiled| compiled.hash == hash))
    }

    pub(crate) fn put(&self, compiled: &Arc<Compiled>) {
        self.with(|places| places.put(compiled));
    }

    fn with<A>(&self, act: impl FnOnce(&mut Places<Compiled>) -> A) -> A {
        act(&mut self.places.lock().expect("nobody panics while looking"))
    }
}

impl<T> Places<T> {
    fn find(&mut self, is_it: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let found = self.alive.iter().filter_map(Weak::upgrade).find(|thing| is_it(thing))?;
        self.keep(&found);
        Some(found)
    }

    fn put(&mut self, thing: &Arc<T>) {
        self.alive.retain(|other| other.strong_count() > 0);
        self.alive.push(Arc::downgrade(thing));
        self.keep(thing);
    }

    fn keep(&mut self, thing: &Arc<T>) {
        self.recent.retain(|other| !Arc::ptr_eq(other, thing));
        self.recent.push_front(Arc::clone(thing));
        self.recent.truncate(KEPT);
    }
}

impl<T> Default for Places<T> {
    fn default() -> Places<T> {
        Places { alive: Vec::new(), recent: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(places: &mut Places<usize>, number: usize) -> bool {
        places.find(|other| *other == number).is_some()
    }

    #[test]
    fn unused_kept() {
        let mut places = Places::default();
        (0..KEPT).for_each(|number| places.put(&Arc::new(number)));
        assert!((0..KEPT).all(|number| find(&mut places, number)));
    }

    #[test]
    fn unused_broken() {
        let mut places = Places::default();
        (0..KEPT).for_each(|number| places.put(&Arc::new(number)));
        assert!(find(&mut places, 0), "0 is used after 1");
        places.put(&Arc::new(KEPT));
        assert!(find(&mut places, 0) && !find(&mut places, 1));
        assert!(places.alive.len() <= KEPT + 1);
    }

    #[test]
    fn what_is_in_use_is_found_however_long_ago_it_was_put() {
        let mut places = Places::default();
        let used = Arc::new(1000);
        places.put(&used);
        (0..2 * KEPT).for_each(|number| places.put(&Arc::new(number)));
        assert!(places.find(|other| *other == 1000).is_some_and(|found| Arc::ptr_eq(&found, &used)));
    }
}
