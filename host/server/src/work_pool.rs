//! Threads for work that clients cause: parsing, base64, decompression, hashes. Those that speak HTTP serve everybody, so
//! nothing that costs more than a few microseconds is done on them.
//!
//! The threads are few, and below the priority of those that serve. What waits for them waits in the order of start-time
//! fair queueing (Goyal, Vin and Cheng 1996): every client gets the same part of the threads' time, however many
//! bodies it sends and however dear they are. A body is charged by its bytes when it comes and by the time that
//! it took when it is done, so that a small one that is slow to parse gains nothing. Small bodies do not wait behind
//! large ones of the same client: the sizes are queued apart.
//!
//! Places to wait are [shares](crate::shares). Whoever goes away takes what waits along; work that has begun ends.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::{Metrics, WorkMeters};
use crate::shares::{Share, ShareKey, Shares};
use crate::supervisor::{self, Supervisor};

/// A bounded number of threads, and what waits for them.
pub(crate) struct WorkPool {
    shared: Arc<Shared>,
}

/// Why work was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WorkError {
    /// As much waits as may, of this client or of all.
    #[error("as many bodies wait to be read as may")]
    Full {
        /// When the threads will have done what waits now.
        retry_after: Duration,
    },
    /// It panicked; the thread goes on.
    #[error("reading the body failed: {0}")]
    Panicked(String),
    /// The server stops.
    #[error("the server stops")]
    Closed,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    places: Arc<Shares>,
    threads: u32,
    meters: WorkMeters,
}

/// What waits, in the order in which it begins.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<Tag, Task>,
    /// When each flow would be done with what it has asked for, in virtual nanoseconds.
    flows: HashMap<Flow, u64>,
    /// The virtual time: when the work that began last was due to begin.
    now: u64,
    /// Tasks that ever came.
    came: u64,
    busy: u32,
    closed: bool,
}

/// When a task is due to begin in virtual time, and its number.
type Tag = (u64, u64);

/// Bodies of a client that are served in the order in which they came.
type Flow = (ShareKey, Size);

/// Sizes of bodies that do not wait behind each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Size {
    Small,
    Middle,
    Large,
}

struct Task {
    flow: Flow,
    expected: u64,
    work: Box<dyn FnOnce() + Send>,
    _place: Share,
}

/// Of places to wait one client has two thirds at most.
const FACTOR: f64 = 2.0;

/// What a task is charged when it comes: so much for itself, and so much a byte.
const TASK_NANOS: u64 = 10_000;
const BYTE_NANOS: u64 = 4;

/// Below those that serve: they get about three times as much of a core that both want.
const NICE: i32 = 5;

impl WorkPool {
    /// Starts so many threads; so many tasks may wait for them.
    pub(crate) fn start(
        threads: usize,
        places: usize,
        supervisor: &Arc<Supervisor>,
        metrics: &Metrics,
    ) -> std::io::Result<WorkPool> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            places: Shares::new(places as u64, FACTOR),
            threads: threads as u32,
            meters: metrics.of_work(),
        });
        let pool = WorkPool { shared };
        for index in 0..threads {
            let shared = pool.shared.clone();
            supervisor.spawn(&format!("work-{index}"), move || shared.serve())?;
        }
        Ok(pool)
    }

    /// Does this work, which reads so many bytes for this client, on one of the threads. Dropped before it has begun, it
    /// is not done at all.
    pub(crate) async fn run<T, E>(
        &self,
        key: ShareKey,
        bytes: usize,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<WorkError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let work = move || {
            let panicked =
                |panic: Box<dyn std::any::Any + Send>| WorkError::Panicked(supervisor::words(&*panic).into());
            let worked = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic).into()));
            // the client may have gone away
            drop(done.send(worked));
        };
        let _waits = self.put(key, bytes, Box::new(work))?;
        result.await.unwrap_or_else(|_| Err(WorkError::Closed.into()))
    }

    /// There is no place to wait in, for anybody.
    pub(crate) fn is_full(&self) -> bool {
        self.shared.places.is_full()
    }

    /// How many tasks wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    fn put(&self, key: ShareKey, bytes: usize, work: Box<dyn FnOnce() + Send>) -> Result<Waits, WorkError> {
        let Shared { places, meters, filled, .. } = &*self.shared;
        let mut place = places.hold(key.clone(), 1.0);
        let free = place.take(1);
        let mut queue = self.shared.lock();
        if queue.closed {
            return Err(WorkError::Closed);
        }
        if free.is_err() {
            meters.refused.inc();
            return Err(WorkError::Full { retry_after: queue.backlog() / self.shared.threads });
        }
        let expected = TASK_NANOS + BYTE_NANOS * bytes as u64;
        let tag = queue.put(Task { flow: (key, Size::of(bytes)), expected, work, _place: place });
        meters.waiting.set(queue.waiting.len() as i64);
        drop(queue);
        filled.notify_one();
        Ok(Waits { shared: self.shared.clone(), tag })
    }
}

impl Drop for WorkPool {
    fn drop(&mut self) {
        let waiting = {
            let mut queue = self.shared.lock();
            queue.closed = true;
            std::mem::take(&mut queue.waiting)
        };
        drop(waiting);
        self.shared.filled.notify_all();
    }
}

/// Somebody waits for a task; dropped, the task is taken out of the queue.
struct Waits {
    shared: Arc<Shared>,
    tag: Tag,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        let given_up = queue.waiting.remove(&self.tag);
        self.shared.meters.waiting.set(queue.waiting.len() as i64);
        drop(queue);
        // what it holds may be large, and is let go without the lock
        drop(given_up);
    }
}

impl Shared {
    /// Does what waits until the pool is closed.
    fn serve(&self) {
        lower_priority();
        let mut queue = self.lock();
        while !queue.closed {
            let Some(task) = queue.take() else {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            self.meters.waiting.set(queue.waiting.len() as i64);
            self.meters.busy.set(queue.busy.into());
            drop(queue);
            let Task { flow, expected, work, _place } = task;
            let begin = Instant::now();
            work();
            let took = begin.elapsed();
            drop(_place);
            self.meters.seconds.inc_by(took.as_secs_f64());
            queue = self.lock();
            queue.done(&flow, expected, took);
            self.meters.busy.set(queue.busy.into());
        }
    }

    /// Nothing is run under this lock, and each change of the queue is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn put(&mut self, task: Task) -> Tag {
        let finish = self.flows.entry(task.flow.clone()).or_insert(0);
        let start = self.now.max(*finish);
        *finish = start + task.expected;
        let tag = (start, self.came);
        self.came += 1;
        self.waiting.insert(tag, task);
        tag
    }

    fn take(&mut self) -> Option<Task> {
        let ((start, _), task) = self.waiting.pop_first()?;
        self.now = self.now.max(start);
        self.busy += 1;
        Some(task)
    }

    /// Charges a flow for what it took beyond what was expected.
    fn done(&mut self, flow: &Flow, expected: u64, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(finish) = self.flows.get_mut(flow) {
            *finish = finish.saturating_add(took.saturating_sub(expected));
        }
        self.busy -= 1;
        if self.busy == 0 && self.waiting.is_empty() {
            self.flows.clear();
        } else if self.flows.len() > 2 * self.waiting.len() + REMEMBERED {
            // a flow that is behind the virtual time has nothing on its account
            let now = self.now;
            self.flows.retain(|_, finish| *finish > now);
        }
    }

    /// How long one thread would take over all that waits.
    fn backlog(&self) -> Duration {
        Duration::from_nanos(self.waiting.values().map(|task| task.expected).sum())
    }
}

/// Flows that are remembered though nothing of them waits, before those that are owed nothing are forgotten.
const REMEMBERED: usize = 256;

impl Size {
    fn of(bytes: usize) -> Size {
        match bytes {
            0..=0xffff => Size::Small,
            0x1_0000..=0xf_ffff => Size::Middle,
            _ => Size::Large,
        }
    }
}

fn lower_priority() {
    // on Linux a priority belongs to a thread, and 0 is the one that asks; elsewhere it would be the whole process's
    #[cfg(target_os = "linux")]
    // SAFETY: it takes numbers only, and may always be asked for less priority
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn pool(places: usize) -> WorkPool {
        let metrics = Arc::new(Metrics::default());
        WorkPool::start(1, places, &Supervisor::new(metrics.clone()), &metrics).expect("there are threads")
    }

    fn client(name: &str) -> ShareKey {
        ShareKey::Tenant(name.into())
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing")
    }

    /// The order in which these tasks of (client, bytes) begin that came while the thread was busy.
    fn order(tasks: &[(&str, usize)]) -> Vec<usize> {
        let pool = pool(64);
        let (free, busy) = mpsc::channel::<()>();
        let (begins, began) = mpsc::channel();
        let _first = pool.put(ShareKey::Anybody, 0, Box::new(move || busy.recv().unwrap_or_default())).unwrap();
        let put = |(index, &(name, bytes)): (usize, &(&str, usize))| {
            let begins = begins.clone();
            pool.put(client(name), bytes, Box::new(move || begins.send(index).unwrap())).unwrap()
        };
        let _waits: Vec<Waits> = tasks.iter().enumerate().map(put).collect();
        drop((free, begins));
        began.into_iter().take(tasks.len()).collect()
    }

    #[test]
    fn clients_take_turns_by_bytes() {
        let many = [("a", 20_000), ("a", 20_000), ("a", 20_000), ("b", 20_000), ("b", 20_000)];
        assert_eq!(order(&many), [0, 3, 1, 4, 2]);
        let unequal = [("a", 60_000), ("a", 60_000), ("b", 10_000), ("b", 10_000), ("b", 10_000)];
        assert_eq!(order(&unequal), [0, 2, 3, 4, 1]);
    }

    #[test]
    fn small_bodies_do_not_wait_behind_large_ones_of_their_client() {
        assert_eq!(order(&[("a", 32 << 20), ("a", 32 << 20), ("a", 100), ("a", 100)]), [0, 2, 3, 1]);
    }

    #[test]
    fn a_flow_pays_for_what_it_took() {
        let mut queue = Queue::default();
        let places = Shares::new(9, 2.0);
        let task = |name: &str| Task {
            flow: (client(name), Size::Small),
            expected: 10,
            work: Box::new(|| ()),
            _place: places.hold(client(name), 1.0),
        };
        let dear = queue.put(task("dear"));
        queue.put(task("cheap"));
        assert_eq!(queue.take().unwrap().flow.0, client("dear"));
        queue.done(&(client("dear"), Size::Small), 10, Duration::from_nanos(1000));
        let (again, next) = (queue.put(task("dear")), queue.put(task("cheap")));
        assert_eq!((dear.0, again.0, next.0), (0, 1000, 10));
    }

    #[test]
    fn places_are_bounded_for_each_and_for_all() {
        let pool = pool(6);
        let (free, busy) = mpsc::channel::<()>();
        let (begins, begun) = mpsc::channel();
        let work = move || {
            begins.send(()).unwrap();
            busy.recv().unwrap_or_default();
        };
        let first = pool.put(client("a"), 0, Box::new(work)).unwrap();
        begun.recv().unwrap();
        let put = |name| pool.put(client(name), 0, Box::new(|| ()));
        let mut waits: Vec<Waits> = (0..3).map(|_| put("a").unwrap()).collect();
        assert!(matches!(put("a"), Err(WorkError::Full { .. })), "the fourth place of six is its last");
        waits.push(put("b").unwrap());
        assert!(matches!(put("b"), Err(WorkError::Full { retry_after }) if retry_after > Duration::ZERO));
        assert_eq!(pool.waiting(), 4);
        waits.clear();
        assert_eq!(pool.waiting(), 0, "who goes away takes what waits along");
        drop((free, first));
    }

    #[test]
    fn a_panic_is_answered_and_the_thread_goes_on() {
        let (pool, runtime) = (pool(4), runtime());
        let panics: Result<(), WorkError> = runtime.block_on(pool.run(ShareKey::Anybody, 9, || panic!("ouch")));
        assert_eq!(panics, Err(WorkError::Panicked("ouch".into())));
        let works: Result<u8, WorkError> = runtime.block_on(pool.run(ShareKey::Anybody, 9, || Ok(7)));
        assert_eq!(works, Ok(7));
    }

    #[test]
    fn what_is_dropped_before_it_begins_is_not_done() {
        let (pool, runtime) = (pool(4), runtime());
        let (free, busy) = mpsc::channel::<()>();
        let first = pool.put(ShareKey::Anybody, 0, Box::new(move || busy.recv().unwrap_or_default())).unwrap();
        let (did, done) = mpsc::channel::<()>();
        runtime.block_on(async {
            let waits = pool.run(ShareKey::Anybody, 0, move || did.send(()).map_err(|_| WorkError::Closed));
            let mut waits = Box::pin(waits);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waits.as_mut().poll(&mut context).is_pending());
        });
        drop(free);
        assert!(done.recv().is_err(), "the task and what it holds are gone");
        drop(first);
    }
}
