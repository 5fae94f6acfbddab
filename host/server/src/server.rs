//! A server from its first to its last moment: bind, load, serve, drain.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::driver::Drained;
use crate::http::{self, Admin, App};
use crate::lane_devices::LaneDevices;
use crate::served::ServedModel;
use crate::service::Service;

/// A server that listens, and answers once its models are loaded.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    connections: JoinHandle<()>,
    runtime: Runtime,
}

impl Server {
    /// Binds the address and answers "starting" until [`Server::open`].
    pub fn bind(config: Config) -> anyhow::Result<Server> {
        let admin = Admin::new(&config.http.admin_token_file)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.http.threads)
            .thread_name("http")
            .enable_all()
            .build()
            .context("starting the threads that speak HTTP")?;
        let listen = config.http.listen.clone();
        let listener =
            runtime.block_on(TcpListener::bind(&listen)).with_context(|| format!("listening on {listen}"))?;
        let address = listener.local_addr()?;
        let app = Arc::new(App { config, admin, service: OnceLock::new(), draining: AtomicBool::new(false) });
        let (stop, stopped) = watch::channel(false);
        let connections = runtime.spawn(http::serve(listener, app.clone(), stopped));
        Ok(Server { app, address, stop, connections, runtime })
    }

    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts serving these models on these devices.
    pub fn open(&self, devices: LaneDevices, models: Vec<ServedModel>) -> anyhow::Result<()> {
        let service = Service::start(&self.app.config, devices, models)?;
        anyhow::ensure!(self.app.service.set(service).is_ok(), "expected a server that is not open yet");
        Ok(())
    }

    /// Takes nothing new, lets what was accepted end within the drain time-out, answers, and stops.
    pub fn drain(self) -> anyhow::Result<Drained> {
        let Server { app, stop, connections, runtime, .. } = self;
        app.draining.store(true, Ordering::Relaxed);
        let drained = runtime.block_on(async {
            let drained = match app.service.get() {
                Some(service) => {
                    let within = Duration::from_millis(app.config.http.drain_timeout_ms);
                    let drained = service.driver.drain(within).await.context("the clock died")?;
                    service.recorder.close();
                    drained
                }
                None => Drained { given_up: 0 },
            };
            stop.send_replace(true);
            connections.await.context("the listener died")?;
            anyhow::Ok(drained)
        })?;
        // a batch that still runs on a device, or a policy that is still being compiled, is not waited for
        runtime.shutdown_background();
        Ok(drained)
    }

    /// Waits until the process is told to stop (SIGTERM, SIGINT). A second signal ends it at once.
    pub fn wait_for_signal(&self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut signals = Signals::new()?;
            signals.next().await;
            tokio::spawn(async move {
                signals.next().await;
                std::process::exit(FORCED);
            });
            Ok(())
        })
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
