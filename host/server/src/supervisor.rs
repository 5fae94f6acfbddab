//! Supervision: every thread of the server, and what becomes of the server when one ends before it should.
//!
//! | thread | when it panics |
//! |---|---|
//! | `clock` | vital: nothing is due in time any more |
//! | `device-N` | vital: jobs of the lane fail with the reason, no more are accepted for it |
//! | `planner` | started again with a fresh instance of the policy; the fallback serves until then |
//! | `journal`, `journal-disk` | started again; what it had in hand is lost, said in the log and by `mosel_journal_gaps_total`, and the journal goes on in a new file |
//! | `rollback`, `watch`, `shadow` | started again with what comes next |
//! | `rebuild-N`, `unload` | started again, until the model is back, or gone |
//! | `work-N` | started again; the one request is answered with `internal` |
//! | `http` (tokio's threads) | tokio ends the one connection; without the task that accepts connections: vital |
//! | tokio's blocking threads (compile a policy, load a model, read a job's history) | the one request is answered with `internal` |
//! | `edge` (signals, new connections, time-outs) | vital: nobody can be told to stop, or come in |
//! | whoever steps the core, if that panics under the driver's lock | vital: the scheduler's state is unknown, nothing can be served with it |
//!
//! *Started again*: at once the first time, then after a pause that doubles up to half a minute, and counted in
//! `mosel_thread_restarts_total`. Side work never stops serving.
//!
//! *Vital*: `/readyz` and whatever would begin something new (jobs, models, policies) answer 503 `failed` with the reason,
//! while what is known can still be looked at;
//! [`crate::server::Server::wait`] returns it, and `mosel serve` drains what can still be served and ends with an error
//! (exit code 1), so that whatever supervises the process starts it again. After a panic under the driver's lock there
//! is nothing to drain: open connections are closed after two seconds.
//!
//! A thread that returns before the server is told to stop is one that ended before it should, too.
//!
//! Locks outlive panics: what they hold is whole after one (a list, a map, counts), and whoever comes next takes it as it is. The
//! scheduler's state is not, and nobody steps it again ([`crate::driver`]).
//!
//! A thread may also live and do nothing. Each gives signs of life ([`crate::pulse`]), and a watch-dog looks a few times a
//! second who is not heard of in time:
//!
//! | thread | silent for | means |
//! |---|---|---|
//! | `clock` | a second more than it sleeps | not ready; the watch-dog does what is due in its place; after ten seconds: vital |
//! | `planner` | 5 s over one order | not ready, although the fallback serves |
//! | `http` | 2 s | not ready |
//! | `device-N` | as long as the core says a batch may take | the lane is suspect, then lost: [`crate::lane_restart`] |
//! | all others | a minute | said in the log and by `mosel_thread_stuck` |

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::pulse::{Pulse, Silence, Stuck};

/// Starts threads by name and knows whether the server can still serve.
pub(crate) struct Supervisor {
    /// Why it cannot.
    failure: watch::Sender<Option<String>>,
    /// Threads may end.
    stopping: AtomicBool,
    /// Whoever is heard of, by name: the latest of a name.
    pulses: Mutex<BTreeMap<String, Arc<Pulse>>>,
    /// Whoever was silent when the watch-dog looked last.
    stuck: Mutex<BTreeMap<String, Stuck>>,
    metrics: Arc<Metrics>,
    #[cfg(test)]
    faults: faults::Faults,
}

/// After a second restart a thread pauses so long, after the next twice as long, and so on up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A thread that has run so long begins with no pause again.
const SOUND_AFTER: Duration = Duration::from_secs(60);

impl Supervisor {
    /// Nothing has failed.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Supervisor> {
        Arc::new(Supervisor {
            failure: watch::Sender::new(None),
            stopping: AtomicBool::new(false),
            pulses: Mutex::default(),
            stuck: Mutex::default(),
            metrics,
            #[cfg(test)]
            faults: faults::Faults::default(),
        })
    }

    /// Starts a thread for side work, which returns when there is none any more. One that panics goes on from its
    /// beginning, with the state it had.
    pub(crate) fn spawn(self: &Arc<Self>, name: &str, mut work: impl FnMut() + Send + 'static) -> std::io::Result<()> {
        let (supervisor, thread) = (self.clone(), name.to_owned());
        let run = move || {
            let mut pause = Duration::ZERO;
            loop {
                let begin = Instant::now();
                let Err(panic) = catch_unwind(AssertUnwindSafe(&mut work)) else { return };
                if supervisor.failure().is_some() {
                    tracing::error!(thread, "a thread panicked while the server stops: {}", words(&*panic));
                    return;
                }
                tracing::error!(thread, "a thread panicked and is started again: {}", words(&*panic));
                supervisor.metrics.thread_restarted(&thread);
                if begin.elapsed() >= SOUND_AFTER {
                    pause = Duration::ZERO;
                }
                let pulse = lock(&supervisor.pulses).get(&thread).cloned();
                pulse.as_deref().inspect(|pulse| pulse.down());
                std::thread::sleep(pause);
                pulse.as_deref().inspect(|pulse| pulse.idle());
                pause = (2 * pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            }
        };
        std::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(())
    }

    /// Starts a thread without which nothing can be served. When it ends before the server stops, `died` is told why.
    pub(crate) fn spawn_vital(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce() + Send + 'static,
        died: impl FnOnce(&str) + Send + 'static,
    ) -> std::io::Result<()> {
        self.spawn_vital_until(name, || false, work, died)
    }

    /// The same, for a thread that may end, and even panic, once this holds: it was given up, and another one is in its place.
    pub(crate) fn spawn_vital_until(
        self: &Arc<Self>,
        name: &str,
        given_up: impl FnOnce() -> bool + Send + 'static,
        work: impl FnOnce() + Send + 'static,
        died: impl FnOnce(&str) + Send + 'static,
    ) -> std::io::Result<()> {
        let (supervisor, thread) = (self.clone(), name.to_owned());
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(work));
            let why = match ended {
                _ if given_up() => {
                    tracing::warn!(thread, "a thread that was given up has ended");
                    return;
                }
                Ok(()) if supervisor.is_stopping() => return,
                Ok(()) => format!("the thread {thread} ended before the server was told to stop"),
                Err(panic) => format!("the thread {thread} panicked: {}", words(&*panic)),
            };
            supervisor.fail(&why);
            // it may meet what the thread has broken
            drop(catch_unwind(AssertUnwindSafe(|| died(&why))));
        };
        std::thread::Builder::new().name(name.into()).spawn(run)?;
        Ok(())
    }

    /// The signs of life of the thread of this name, and what its silence means. The latest of a name is the one that counts.
    pub(crate) fn pulse(&self, name: &str, silence: Silence) -> Arc<Pulse> {
        let pulse = Pulse::new(name, silence);
        lock(&self.pulses).insert(name.into(), pulse.clone());
        pulse
    }

    /// Looks who is silent at this time. Said once when it begins, and when it is over.
    pub(crate) fn look(&self, now: Instant) -> Vec<Stuck> {
        let silent: Vec<Stuck> = lock(&self.pulses).values().filter_map(|pulse| pulse.stuck(now)).collect();
        let by_name = silent.iter().map(|stuck| (stuck.thread.clone(), stuck.clone())).collect();
        let before = std::mem::replace(&mut *lock(&self.stuck), by_name);
        for stuck in silent.iter().filter(|stuck| !before.contains_key(&stuck.thread)) {
            self.metrics.thread_stuck(&stuck.thread, true);
            tracing::error!(thread = stuck.thread, "{stuck}");
        }
        for thread in before.keys().filter(|thread| silent.iter().all(|stuck| stuck.thread != **thread)) {
            self.metrics.thread_stuck(thread, false);
            tracing::warn!(thread, "the thread is heard of again");
        }
        silent
    }

    /// Whoever was silent when the watch-dog looked last.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        lock(&self.stuck).values().cloned().collect()
    }

    /// Nothing can be served from now on, for this reason; the first one stands.
    pub(crate) fn fail(&self, why: &str) {
        let first = self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| why.to_owned());
            first
        });
        if first {
            tracing::error!("the server stops: {why}");
        }
    }

    /// Why nothing can be served.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.borrow().clone()
    }

    /// Resolves when nothing can be served any more; with the reason.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let failure = failure.wait_for(Option::is_some).await;
        failure.ok().and_then(|failure| failure.clone()).unwrap_or_default()
    }

    /// The server stops: threads may end.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// A place at which a thread of this name panics or hangs, if a test wants it to.
    #[inline]
    pub(crate) fn checkpoint(&self, _thread: &str) {
        #[cfg(test)]
        self.faults.checkpoint(_thread);
    }

    /// A test wants the thread of this name to panic or to hang.
    #[inline]
    pub(crate) fn wants_fault(&self, _thread: &str) -> bool {
        #[cfg(test)]
        return self.faults.wanted(_thread);
        #[cfg(not(test))]
        false
    }

    /// Lets the thread of this name panic at its next checkpoint.
    #[cfg(test)]
    pub(crate) fn inject(&self, thread: &str) {
        self.faults.inject(thread, faults::Fault::Panic);
    }

    /// Lets the thread of this name hang at its next checkpoint, until it is let go.
    #[cfg(test)]
    pub(crate) fn inject_hang(&self, thread: &str) {
        self.faults.inject(thread, faults::Fault::Hang);
    }

    /// Lets the threads of this name go that hang, or will.
    #[cfg(test)]
    pub(crate) fn release(&self, thread: &str) {
        self.faults.release(thread);
    }
}

/// What is held here is whole after any panic: maps of what was said.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a panic said.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    words.unwrap_or("without a message")
}

/// What tests let threads suffer.
#[cfg(test)]
mod faults {
    use super::*;
    use std::sync::Condvar;

    #[derive(Default)]
    pub(super) struct Faults {
        wanted: Mutex<BTreeMap<String, Fault>>,
        /// Those that hang, by name; whoever is taken out goes on.
        hanging: Mutex<Vec<String>>,
        released: Condvar,
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) enum Fault {
        Panic,
        Hang,
    }

    impl Faults {
        pub(super) fn inject(&self, thread: &str, fault: Fault) {
            lock(&self.wanted).insert(thread.into(), fault);
        }

        pub(super) fn wanted(&self, thread: &str) -> bool {
            lock(&self.wanted).contains_key(thread)
        }

        pub(super) fn release(&self, thread: &str) {
            lock(&self.wanted).remove(thread);
            lock(&self.hanging).retain(|name| name != thread);
            self.released.notify_all();
        }

        pub(super) fn checkpoint(&self, thread: &str) {
            let fault = lock(&self.wanted).remove(thread);
            assert!(fault != Some(Fault::Panic), "a test wanted it");
            if fault == Some(Fault::Hang) {
                let mut hanging = lock(&self.hanging);
                hanging.push(thread.into());
                while hanging.iter().any(|name| name == thread) {
                    hanging = self.released.wait(hanging).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn supervisor() -> (Arc<Metrics>, Arc<Supervisor>) {
        let metrics = Arc::new(Metrics::default());
        (metrics.clone(), Supervisor::new(metrics))
    }

    fn failure(supervisor: &Supervisor) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("it needs nothing");
        runtime.block_on(supervisor.failed())
    }

    #[test]
    fn side_work_is_started_again_with_the_state_it_had() {
        let (metrics, supervisor) = supervisor();
        let (done, told) = channel();
        let mut left = 2;
        let work = move || {
            left -= 1;
            assert!(left == 0, "once more");
            let _ = done.send(left);
        };
        supervisor.spawn("side", work).expect("there are threads");
        assert_eq!(told.recv(), Ok(0));
        assert!(metrics.text().contains("mosel_thread_restarts_total{thread=\"side\"} 1"));
        assert_eq!(supervisor.failure(), None);
    }

    #[test]
    fn a_vital_thread_that_panics_fails_the_server_and_somebody_is_told() {
        let (_, supervisor) = supervisor();
        let (died, told) = channel();
        let died = move |why: &str| died.send(why.to_owned()).expect("somebody listens");
        supervisor.spawn_vital("heart", || panic!("ouch"), died).expect("there are threads");
        assert_eq!(failure(&supervisor), "the thread heart panicked: ouch");
        assert_eq!(told.recv().as_deref(), Ok("the thread heart panicked: ouch"));
        supervisor.fail("something else");
        assert_eq!(supervisor.failure().as_deref(), Some("the thread heart panicked: ouch"), "the first one stands");
    }

    #[test]
    fn who_is_silent_is_said_and_shown_until_it_is_heard_of() {
        let (metrics, supervisor) = supervisor();
        let pulse = supervisor.pulse("heart", Silence::NotReady);
        pulse.within(Duration::from_secs(5), "beats");
        assert!(supervisor.look(Instant::now()).is_empty());
        let later = Instant::now() + Duration::from_secs(6);
        assert_eq!(supervisor.look(later)[0].thread, "heart");
        assert_eq!(supervisor.stuck()[0].silence, Silence::NotReady);
        assert!(metrics.text().contains("mosel_thread_stuck{thread=\"heart\"} 1"));
        pulse.idle();
        assert!(supervisor.look(later).is_empty() && supervisor.stuck().is_empty());
        assert!(metrics.text().contains("mosel_thread_stuck{thread=\"heart\"} 0"));
    }

    #[test]
    fn a_vital_thread_may_end_only_when_the_server_stops() {
        let (_, supervisor) = supervisor();
        supervisor.spawn_vital("early", || {}, |_| {}).expect("there are threads");
        assert_eq!(failure(&supervisor), "the thread early ended before the server was told to stop");
        let (_, stopping) = self::supervisor();
        stopping.stop();
        let (ended, told) = channel::<()>();
        stopping.spawn_vital("late", move || drop(ended), |_| {}).expect("there are threads");
        assert!(told.recv().is_err());
        assert_eq!(stopping.failure(), None);
    }
}
