//! Signals, on a thread of their own: they are heard whatever the threads that serve do.
//!
//! | signal | what |
//! |---|---|
//! | SIGTERM, SIGINT | the server is to stop; the second one ends the process at once, with status 130 |
//! | SIGHUP | what the configuration names is read again: tokens |
//! | SIGXFSZ | a file is as large as it may be: the write fails, and whoever writes says so |
//! | SIGPIPE | nobody reads any more: the write fails; Rust's runtime sees to that from the start |

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::supervisor::Supervisor;

/// What a process ends with that was told to stop twice.
pub(crate) const FORCED: i32 = 130;

/// What is read again at SIGHUP.
#[derive(Clone, Default)]
pub(crate) struct Reload(Arc<Mutex<Vec<Hook>>>);

type Hook = Arc<dyn Fn() + Send + Sync>;

/// Which of the two signals to stop came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGTERM: whoever runs the server has others to turn to.
    Terminate,
    /// SIGINT: somebody sits in front of it.
    Interrupt,
}

impl Reload {
    /// At every SIGHUP this is done, after what was added before.
    pub(crate) fn add(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.hooks().push(Arc::new(hook));
    }

    /// Does all of it.
    pub(crate) fn reload(&self) {
        let hooks = self.hooks().clone();
        hooks.iter().for_each(|hook| hook());
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Vec<Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens to signals from here on. The first answer says which signal to stop came first, once one did; the thread ends when
/// the second is told so. A server that is not open yet has nothing to drain, and the process ends at once.
pub(crate) fn listen(
    supervisor: &Arc<Supervisor>,
    reload: Reload,
    open: impl Fn() -> bool + Send + 'static,
) -> anyhow::Result<(watch::Receiver<Option<Told>>, watch::Sender<bool>)> {
    let (told, heard) = watch::channel(None);
    let (deaf, mut gone) = watch::channel(false);
    // not that of the threads that serve: they may be busy
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("waiting for signals")?;
    let mut signals = {
        let _within = runtime.enter();
        Signals::new().context("waiting for signals")?
    };
    let listen = move || {
        runtime.block_on(async {
            tokio::select! {
                () = signals.listen(&told, &reload, &open) => {}
                _ = gone.wait_for(|gone| *gone) => {}
            }
        });
    };
    supervisor.spawn("signals", listen)?;
    Ok((heard, deaf))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Heard, so that it ends nobody, and never waited for.
    _file_too_large: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            _file_too_large: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    async fn listen(&mut self, told: &watch::Sender<Option<Told>>, reload: &Reload, open: &impl Fn() -> bool) {
        let mut heard = 0;
        loop {
            let stop = tokio::select! {
                _ = self.terminate.recv() => Told::Terminate,
                _ = self.interrupt.recv() => Told::Interrupt,
                _ = self.hang_up.recv() => {
                    tracing::info!("what the configuration names is read again");
                    let reload = reload.clone();
                    // it reads files, whose disk may hang
                    if std::thread::Builder::new().name("reload".into()).spawn(move || reload.reload()).is_err() {
                        tracing::error!("there is no thread that could read them");
                    }
                    continue;
                }
            };
            // there is nothing to drain yet
            if !open() {
                exit_at_once(0);
            }
            heard += 1;
            // also while it fails: whoever sees that tells it to stop, which it does already
            if heard > 1 {
                exit_at_once(FORCED);
            }
            told.send_replace(Some(stop));
        }
    }
}

/// Ends the process without another word: threads that hang, and libraries that would tidy up behind them, are not waited for.
pub fn exit_at_once(code: i32) -> ! {
    // SAFETY: it does not return, and nothing of this process runs after it.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn what_is_added_is_done_at_every_reload_in_order() {
        let (reload, sum) = (Reload::default(), Arc::new(AtomicU32::new(0)));
        let (double, more) = (sum.clone(), sum.clone());
        reload.add(move || {
            more.fetch_add(1, Ordering::Relaxed);
        });
        reload.add(move || {
            double.fetch_add(double.load(Ordering::Relaxed), Ordering::Relaxed);
        });
        reload.reload();
        reload.reload();
        assert_eq!(sum.load(Ordering::Relaxed), 6);
    }
}
