//! From a listener to connections: each newcomer gets a place, or a word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::registry::Connections;
use super::serve::{Routes, serve};
use crate::descriptors::Spare;
use crate::http::app::App;

/// Where connections come from, and who serves them.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) routes: Router,
    pub(crate) app: Arc<App>,
    pub(crate) connections: Arc<Connections>,
    /// The runtime that serves them.
    pub(crate) runtime: Handle,
}

/// Serves connections until it is told to stop, then lets the requests in flight end.
pub(crate) async fn accept(listener: Listener, mut stop: watch::Receiver<bool>) {
    let Listener { socket, routes, app, connections, runtime } = listener;
    let routes = Arc::new(Routes::new(routes, app));
    let time = tokio::spawn(connections.clone().keep_time());
    let mut trouble = Trouble::default();
    trouble.spare.hold(SPARE);
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            // an error means that the server is gone: reason enough to stop
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                trouble.accept_failed(&error, &connections).await;
                continue;
            }
        };
        let Some(place) = connections.admit(peer) else { continue };
        // its events are to be those of the runtime that serves it
        let Ok(stream) = stream.into_std() else { continue };
        let routes = routes.clone();
        runtime.spawn(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream, peer, place, routes).await;
            }
        });
        trouble.spare.hold(SPARE);
    }
    drop(socket);
    connections.stop(LAST_WORDS).await;
    time.abort();
}

/// How long answers may take to reach their clients after the last job has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Descriptors that are let go when there are none.
const SPARE: usize = 8;
/// How often is said that connections cannot be accepted.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// What is done when connections cannot be accepted.
#[derive(Default)]
struct Trouble {
    spare: Spare,
    unsaid: u64,
    said_at: Option<Instant>,
}

impl Trouble {
    async fn accept_failed(&mut self, error: &std::io::Error, connections: &Connections) {
        connections.meters().accept_failed();
        self.unsaid += 1;
        if self.said_at.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            let times = self.unsaid;
            tracing::error!("a connection could not be accepted, {times} times since this was last said: {error}");
            (self.unsaid, self.said_at) = (0, Some(Instant::now()));
        }
        // out of file descriptors, most likely: whoever is idle gives one up, and until then there is a spare one
        connections.evict();
        if !self.spare.let_go() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
