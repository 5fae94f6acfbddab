//! The thread that advances an engine's epoch, so that a call in an endless loop comes up for a look at the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

const TICK: Duration = Duration::from_millis(1);
/// After so many ticks without a call the thread goes to sleep.
const PATIENCE: u32 = 50;
/// How often a sleeping thread looks whether its engine is still there.
const SLEEP: Duration = Duration::from_millis(100);

/// Ticks while calls are under way; ends with its engine.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    /// Calls under way.
    calls: AtomicUsize,
    /// The thread ticks no more and has to be woken.
    asleep: AtomicBool,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Ticking(Arc<Shared>);

impl Ticker {
    /// A ticker for this engine, and the thread to wait for.
    pub(crate) fn start(engine: EngineWeak) -> std::io::Result<(Ticker, JoinHandle<()>)> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("policy-ticker".into());
        let handle = thread.spawn({
            let shared = Arc::clone(&shared);
            move || shared.tick_while_alive(&engine)
        })?;
        Ok((Ticker { shared, thread: handle.thread().clone() }, handle))
    }

    /// Ticks until the answer is dropped.
    pub(crate) fn tick(&self) -> Ticking {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(Arc::clone(&self.shared))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn tick_while_alive(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            let busy = self.calls.load(Ordering::SeqCst) > 0;
            idle = if busy { 0 } else { idle + 1 };
            if idle > PATIENCE { self.sleep() } else { thread::park_timeout(TICK) }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        // A call that began before the line above did not wake anybody: look once more.
        if self.calls.load(Ordering::SeqCst) == 0 {
            thread::park_timeout(SLEEP);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_its_engine() {
        let engine = wasmtime::Engine::default();
        let (ticker, handle) = Ticker::start(engine.weak()).unwrap();
        let ticking = ticker.tick();
        drop(engine);
        handle.join().expect("the thread ends by itself");
        drop(ticking);
    }
}
