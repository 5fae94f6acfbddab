//! A server from its first to its last moment: bind, load, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::driver::{BROKEN, Drained};
use crate::edge_thread::EdgeThread;
use crate::http;
use crate::http::app::App;
use crate::lane_devices::LaneDevices;
use crate::metrics::Metrics;
use crate::served::ServedModel;
use crate::service::Service;
use crate::supervisor::Supervisor;

/// A server that listens, and answers once its models are loaded.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    health_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    connections: Vec<JoinHandle<()>>,
    edge: EdgeThread,
    runtime: Runtime,
}

impl Server {
    /// Binds the address and answers "starting" until [`Server::open`].
    pub fn bind(config: Config) -> anyhow::Result<Server> {
        let metrics = Arc::new(Metrics::default());
        let app = Arc::new(App::new(config, metrics)?);
        let http = &app.config.http;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(http.threads)
            .thread_name("http")
            .enable_all()
            .build()
            .context("starting the threads that speak HTTP")?;
        let edge = EdgeThread::start(&app.supervisor)?;
        let (socket, address) = edge.block_on(listen(&http.listen))?;
        app.auth.listens(address)?;
        edge.block_on(async { reload_at_hangup(&app) })?;
        let (stop, stopped) = watch::channel(false);
        let serving = http::serve(socket, app.clone(), runtime.handle().clone(), stopped.clone());
        let mut listening = vec![edge.spawn(serving)];
        let mut health_address = None;
        if !http.health_listen.is_empty() {
            let (socket, address) = edge.block_on(listen(&http.health_listen))?;
            health_address = Some(address);
            listening.push(edge.spawn(http::serve_health(socket, app.clone(), stopped.clone())));
        }
        let watched = |listening| edge.spawn(watch_listener(listening, app.supervisor.clone(), stopped.clone()));
        let connections = listening.into_iter().map(watched).collect();
        Ok(Server { app, address, health_address, stop, connections, edge, runtime })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it answers for its health alone, if it was told to.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// Starts serving these models on these devices.
    pub fn open(&self, devices: LaneDevices, models: Vec<ServedModel>) -> anyhow::Result<()> {
        let App { config, supervisor, metrics, .. } = &*self.app;
        let service = Service::start(config, devices, models, supervisor, metrics.clone())?;
        anyhow::ensure!(self.app.service.set(service).is_ok(), "expected a server that is not open yet");
        Ok(())
    }

    /// Takes nothing new, lets what was accepted end within the drain time-out, answers, and stops. Fails if nothing is
    /// left that could be drained, since a step of the scheduler has panicked.
    pub fn drain(self) -> anyhow::Result<Stopped> {
        let Server { app, stop, connections, edge, runtime, .. } = self;
        app.draining.store(true, Ordering::Relaxed);
        let drained = edge.block_on(async {
            let drained = match app.service.get() {
                Some(service) => drain(service, Duration::from_millis(app.config.http.drain_timeout_ms)).await,
                None => Ok(Drained { given_up: 0 }),
            };
            app.supervisor.stop();
            stop.send_replace(true);
            for listener in connections {
                listener.await.context("the listener died")?;
            }
            drained
        });
        app.auth.stops();
        // a batch that still runs on a device, or a policy that is still being compiled, is not waited for
        runtime.shutdown_background();
        Ok(Stopped { given_up: drained?.given_up, failure: app.supervisor.failure() })
    }

    /// Waits until the process is told to stop (SIGTERM, SIGINT), or until nothing can be served any more. A second
    /// signal ends the process at once.
    pub fn wait(&self) -> anyhow::Result<Stop> {
        self.edge.block_on(async {
            let mut signals = Signals::new()?;
            let stop = tokio::select! {
                () = signals.next() => Stop::Told,
                why = self.app.supervisor.failed() => Stop::Failed(why),
            };
            let told = stop == Stop::Told;
            tokio::spawn(async move {
                if !told {
                    // whoever sees that the server fails tells it to stop, which it does already
                    signals.next().await;
                }
                signals.next().await;
                std::process::exit(FORCED);
            });
            Ok(stop)
        })
    }
}

/// How a server stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Jobs that were ended because time was up.
    pub given_up: usize,
    /// A thread died, before or while it drained, without which nothing can be served: which, and why.
    pub failure: Option<String>,
}

/// Why a server has to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process was told to.
    Told,
    /// A thread died without which nothing can be served: the process should be started again. Says which, and why.
    Failed(String),
}

/// The clock keeps the time-out of a drain; if it has died somebody else does, so much later.
const CLOCK_IS_LATE: Duration = Duration::from_millis(500);

/// How often a drain looks whether there is still something to drain.
const LOOK: Duration = Duration::from_millis(50);

async fn drain(service: &Service, within: Duration) -> anyhow::Result<Drained> {
    let Service { driver, recorder, .. } = service;
    let end = Instant::now() + within + CLOCK_IS_LATE;
    let mut drained = (!driver.is_broken()).then(|| driver.drain(within));
    let drained = loop {
        // a step that panics keeps the answer for ever
        let Some(drained) = drained.as_mut().filter(|_| !driver.is_broken()) else { break None };
        match tokio::time::timeout(LOOK, drained).await {
            Ok(drained) => break drained.ok(),
            Err(_) if Instant::now() >= end => driver.do_what_is_due(),
            Err(_) => {}
        }
    };
    recorder.close();
    drained.with_context(|| format!("there is nothing to drain: {BROKEN}"))
}

async fn listen(address: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// SIGHUP, which would end the process, has the files of tokens read again.
fn reload_at_hangup(app: &Arc<App>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let Some(app) = app.upgrade() else { return };
            // it reads files
            tokio::task::spawn_blocking(move || app.auth.reload());
        }
    });
    Ok(())
}

/// Without the task that accepts connections nothing can be served.
async fn watch_listener(listening: JoinHandle<()>, supervisor: Arc<Supervisor>, stopped: watch::Receiver<bool>) {
    let ended = listening.await;
    if let Err(error) = ended {
        supervisor.fail(&format!("the listener died: {error}"));
    } else if !*stopped.borrow() {
        supervisor.fail("the listener ended before the server was told to stop");
    }
}

/// What a process ends with that was told to stop twice.
const FORCED: i32 = 130;

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
