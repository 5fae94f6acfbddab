//! A server from its first to its last moment: bind, load, serve, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::driver::{BROKEN, Drained, Driver};
use crate::edge_thread::EdgeThread;
use crate::http;
use crate::http::app::App;
use crate::lane_devices::LaneDevices;
use crate::metrics::Metrics;
use crate::pulse::{Pulse, Silence};
use crate::served::ServedModel;
use crate::service::Service;
use crate::signals::{self, Told};
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
    told: watch::Receiver<Option<Told>>,
    deaf: watch::Sender<bool>,
}

impl Server {
    /// Binds the address and answers "starting" until [`Server::open`].
    pub fn bind(config: Config) -> anyhow::Result<Server> {
        let metrics = Arc::new(Metrics::default());
        let app = Arc::new(App::new(config, metrics)?);
        let (opened, auth) = (app.clone(), Arc::downgrade(&app));
        app.reload.add(move || {
            if let Some(app) = auth.upgrade() {
                app.reload_tokens();
            }
        });
        let (told, deaf) =
            signals::listen(&app.supervisor, app.reload.clone(), move || opened.service.get().is_some())?;
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
        runtime.spawn(beat(app.supervisor.pulse("http", Silence::NotReady)));
        edge.spawn(beat(app.supervisor.pulse("edge", Silence::NotReady)));
        Ok(Server { app, address, health_address, stop, connections, edge, runtime, told, deaf })
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

    /// Waits until the process is told to stop (SIGTERM, SIGINT), or until nothing can be served any more. A second
    /// signal ends the process at once.
    pub fn wait(&self) -> anyhow::Result<Stop> {
        let mut told = self.told.clone();
        self.edge.block_on(async {
            tokio::select! {
                told = told.wait_for(Option::is_some) => match told.map(|told| *told) {
                    Ok(Some(Told::Terminate)) => Ok(Stop::Told),
                    Ok(_) => Ok(Stop::Interrupted),
                    Err(_) => anyhow::bail!("nobody waits for signals any more"),
                },
                why = self.app.supervisor.failed() => Ok(Stop::Failed(why)),
            }
        })
    }

    /// Says that it is not ready any more, and serves on as before for `drain.announce_ms`: whoever sends it jobs by what
    /// `/readyz` says has turned to others when it takes none any more.
    pub fn announce(&self) {
        self.app.leaving.store(true, Ordering::Relaxed);
        let end = Instant::now() + Duration::from_millis(self.app.config.drain.announce_ms);
        while Instant::now() < end && self.app.supervisor.failure().is_none() {
            std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
    }

    /// How long [`Server::announce`] and [`Server::drain`] take together at most, whatever hangs.
    pub fn longest_stop(&self) -> Duration {
        let config = &self.app.config;
        let waits = config.drain.announce_ms + config.http.drain_timeout_ms + config.drain.linger_ms;
        Duration::from_millis(waits) + CLOCK_IS_LATE + NO_ANSWER + CLOSE + LAST_WORDS + Duration::from_secs(1)
    }

    /// Takes nothing new, lets what was accepted end within the drain time-out, answers, and stops. What hangs is not waited
    /// for.
    pub fn drain(self) -> anyhow::Result<Stopped> {
        let Server { app, stop, connections, edge, runtime, deaf, .. } = self;
        app.draining.store(true, Ordering::Relaxed);
        let drained = app.service.get().map_or(Ok(Drained { given_up: 0 }), |service| {
            let drained = drain(&service.driver, Duration::from_millis(app.config.http.drain_timeout_ms));
            linger(service, Duration::from_millis(app.config.drain.linger_ms));
            drained
        });
        app.supervisor.stop();
        app.auth.stops();
        let recorder = app.service.get().map(|service| service.recorder.clone());
        if let Some(recorder) = recorder
            && !within(CLOSE, "close-journal", move || recorder.close())
        {
            tracing::error!("the journal could not be closed in time, and may lack its end");
        }
        stop.send_replace(true);
        let end = Instant::now() + LAST_WORDS;
        while !connections.iter().all(JoinHandle::is_finished) && Instant::now() < end {
            std::thread::sleep(SOON);
        }
        // a batch that still runs on a device, or a policy that is still being compiled, is not waited for
        runtime.shutdown_background();
        drop(edge);
        deaf.send_replace(true);
        match drained {
            Ok(Drained { given_up }) => Ok(Stopped { given_up, failure: app.supervisor.failure() }),
            Err(why) => Ok(Stopped { given_up: 0, failure: Some(app.supervisor.failure().unwrap_or(why)) }),
        }
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

impl Stopped {
    /// What a process ends with that stopped like this: 0 if every accepted job has ended by itself, 3 if some were given up,
    /// 1 if a part died.
    pub fn exit_code(&self) -> u8 {
        match self {
            Stopped { failure: Some(_), .. } => 1,
            Stopped { given_up: 0, .. } => 0,
            _ => GIVEN_UP,
        }
    }
}

/// What a process ends with that gave up jobs which it had accepted.
pub const GIVEN_UP: u8 = 3;

/// Why a server has to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process was told to, by whoever runs it (SIGTERM).
    Told,
    /// The process was told to by somebody who sits in front of it (SIGINT), and waits for nobody to turn to others.
    Interrupted,
    /// A thread died without which nothing can be served: the process should be started again. Says which, and why.
    Failed(String),
}

/// The clock keeps the time-out of a drain; if it has died somebody else does, so much later.
const CLOCK_IS_LATE: Duration = Duration::from_millis(500);
/// A drain that has no answer so long after that has none: somebody holds the scheduler for good.
const NO_ANSWER: Duration = Duration::from_secs(1);
/// How long the end of the journal may take to reach its disk.
const CLOSE: Duration = Duration::from_secs(2);
/// How long answers may take to reach their clients after the last job has ended.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How often it is looked whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(50);
const SOON: Duration = Duration::from_millis(2);

/// Lets what was accepted end; or says why that cannot be known.
fn drain(driver: &Arc<Driver>, within: Duration) -> Result<Drained, String> {
    let (done, drained) = sync_channel(1);
    let asked = driver.clone();
    // on a thread of its own: it may wait for the driver for ever
    let ask = std::thread::Builder::new().name("drain".into()).spawn(move || asked.drain(within, done));
    ask.map_err(|error| format!("nothing can be drained: {error}"))?;
    let end = Instant::now() + within + CLOCK_IS_LATE;
    loop {
        match drained.recv_timeout(LOOK) {
            Ok(drained) => return Ok(drained),
            _ if driver.is_broken() => return Err(format!("there is nothing to drain: {BROKEN}")),
            Err(RecvTimeoutError::Disconnected) => return Err("a drain ended without an answer".into()),
            Err(RecvTimeoutError::Timeout) if Instant::now() >= end => {
                driver.try_what_is_due();
                if Instant::now() >= end + NO_ANSWER {
                    return Err("the scheduler is held by a step that does not end".into());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

async fn listen(address: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Waits until every result was fetched, for so long at most.
fn linger(service: &Service, most: Duration) {
    let end = Instant::now() + most;
    while Instant::now() < end && service.jobs.has_unfetched() {
        std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
}

/// Does this on a thread of its own, which is abandoned when time is up; says whether it was done.
fn within(time: Duration, thread: &str, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, told) = sync_channel(1);
    let work = move || {
        work();
        let _ = done.send(());
    };
    std::thread::Builder::new().name(thread.into()).spawn(work).is_ok() && told.recv_timeout(time).is_ok()
}

/// The signs of life of a runtime: one of its threads is free now and then.
async fn beat(pulse: Arc<Pulse>) {
    loop {
        pulse.within(HTTP_IS_STUCK, "serves requests");
        tokio::time::sleep(BEAT).await;
    }
}

const BEAT: Duration = Duration::from_millis(100);
const HTTP_IS_STUCK: Duration = Duration::from_secs(2);

/// Without the task that accepts connections nothing can be served.
async fn watch_listener(listening: JoinHandle<()>, supervisor: Arc<Supervisor>, stopped: watch::Receiver<bool>) {
    let ended = listening.await;
    if let Err(error) = ended {
        supervisor.fail(&format!("the listener died: {error}"));
    } else if !*stopped.borrow() {
        supervisor.fail("the listener ended before the server was told to stop");
    }
}

#[cfg(test)]
mod tests;
