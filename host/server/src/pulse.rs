//! Signs of life: whoever owns a thread knows that it lives, and what it does, without asking it.
//!
//! A thread says by when it will be heard of again, and what it does until then; one that waits for something to do says
//! that, and may wait for ever. One that is not heard of in time is stuck: the watch-dog sees it, and what that means stands
//! at the thread's pulse.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The signs of life of one thread.
#[derive(Debug)]
pub(crate) struct Pulse {
    name: String,
    silence: Silence,
    sign: Mutex<Sign>,
}

/// What it means that a thread is not heard of in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nothing is in time any more: the server is not ready, and stops after so long.
    Vital(Duration),
    /// The server is not ready.
    NotReady,
    /// It is said: what serves goes on without it.
    Said,
}

/// The last sign of life.
#[derive(Clone, Copy, Debug)]
struct Sign {
    does: &'static str,
    since: Instant,
    /// When the next one is due; never, while it waits for something to do.
    due: Option<Instant>,
    /// It panicked and has not been started again.
    down: bool,
}

/// A thread that was not heard of in time, or that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// What it is called.
    pub(crate) thread: String,
    /// What it was about to do.
    pub(crate) does: &'static str,
    /// How long ago it said so.
    pub(crate) silent: Duration,
    /// It panicked and is started again in a while.
    pub(crate) down: bool,
    /// What that means.
    pub(crate) silence: Silence,
}

const WAITS: &str = "waits for something to do";

impl Pulse {
    /// A thread of this name that waits for something to do.
    pub(crate) fn new(name: &str, silence: Silence) -> Arc<Pulse> {
        let sign = Sign { does: WAITS, since: Instant::now(), due: None, down: false };
        Arc::new(Pulse { name: name.into(), silence, sign: Mutex::new(sign) })
    }

    /// It does this, and is heard of again within this time.
    pub(crate) fn within(&self, limit: Duration, does: &'static str) {
        let now = Instant::now();
        *self.sign() = Sign { does, since: now, due: Some(now + limit), down: false };
    }

    /// It waits for something to do.
    pub(crate) fn idle(&self) {
        *self.sign() = Sign { does: WAITS, since: Instant::now(), due: None, down: false };
    }

    /// It panicked.
    pub(crate) fn down(&self) {
        let mut sign = self.sign();
        *sign = Sign { down: true, ..*sign };
    }

    /// Whether it is stuck at this time.
    pub(crate) fn stuck(&self, now: Instant) -> Option<Stuck> {
        let Sign { does, since, due, down } = *self.sign();
        let silent = now.saturating_duration_since(since);
        let stuck = down || due.is_some_and(|due| due < now);
        stuck.then(|| Stuck { thread: self.name.clone(), does, silent, down, silence: self.silence })
    }

    fn sign(&self) -> MutexGuard<'_, Sign> {
        // one assignment long: it is whole whatever happened
        self.sign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Stuck { thread, does, silent, down, .. } = self;
        if *down {
            return write!(f, "the thread {thread} panicked and is about to be started again");
        }
        write!(f, "the thread {thread} gives no sign of life for {:.1} s: it {does}", silent.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_stuck_once_it_is_overdue_and_never_while_it_waits() {
        let pulse = Pulse::new("heart", Silence::NotReady);
        let later = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(pulse.stuck(later(1000)), None);
        pulse.within(Duration::from_secs(5), "beats");
        assert_eq!(pulse.stuck(later(4)), None);
        let stuck = pulse.stuck(later(6)).expect("it is overdue");
        assert!(stuck.to_string().starts_with("the thread heart gives no sign of life for 6."), "{stuck}");
        pulse.idle();
        assert_eq!(pulse.stuck(later(1000)), None);
    }

    #[test]
    fn a_thread_that_panicked_is_stuck_until_it_is_heard_of() {
        let pulse = Pulse::new("heart", Silence::Said);
        pulse.down();
        assert!(pulse.stuck(Instant::now()).expect("it is down").to_string().contains("panicked"));
        pulse.idle();
        assert_eq!(pulse.stuck(Instant::now()), None);
    }
}
