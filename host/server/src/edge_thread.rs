//! A thread of its own for what has to go on whatever the others do: signals, new connections, their time-outs, and the
//! listener for health.
//!
//! It runs a runtime of one thread, on which nothing may compute, wait for a lock that is held long, or block.

use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::supervisor::Supervisor;

/// The thread `edge`; it ends when this is dropped.
pub(crate) struct EdgeThread {
    runtime: Handle,
    supervisor: Arc<Supervisor>,
    /// Never sent: that it is gone is what ends the thread.
    _running: oneshot::Sender<()>,
}

impl EdgeThread {
    /// Starts it. The server fails if it dies.
    pub(crate) fn start(supervisor: &Arc<Supervisor>) -> anyhow::Result<EdgeThread> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("starting the runtime of the thread edge")?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        let work = move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        };
        supervisor.spawn_vital("edge", work, |_| {}).context("starting the thread edge")?;
        Ok(EdgeThread { runtime: handle, supervisor: supervisor.clone(), _running: running })
    }

    /// Runs this on the calling thread; its timers and sockets are the edge's.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Runs this on the edge, for as long as the edge lives.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}

impl Drop for EdgeThread {
    fn drop(&mut self) {
        // whoever lets go of it wants it to end
        self.supervisor.stop();
    }
}
