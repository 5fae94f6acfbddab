//! The wire: connections, routes, and what every request goes through.
//!
//! Where to start reading: [`router`], then `jobs.rs` (submission and look-up), `submission.rs` and `parsed_job.rs` (from
//! bytes to a job), `job_view.rs` (from a job to JSON), `api_error.rs` (errors); `admin.rs` says who may change policies. HTTP
//! types end here: the driver sees none.

mod admin;
mod api_error;
pub(crate) mod app;
mod body;
pub(crate) mod caller;
mod explain;
mod guard;
mod job_id;
mod job_view;
mod jobs;
mod metrics;
mod model_view;
mod models;
mod parsed_job;
mod policies;
mod policy;
mod policy_errors;
mod policy_view;
mod preference;
mod rejection;
mod shadow;
mod shadow_view;
mod submission;
mod wanted_policy;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Uri};
use axum::routing::{get, post, put};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

use api_error::ApiError;
use app::App;

use crate::error_code::ErrorCode;

/// Every route.
fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{id}", get(jobs::show).delete(jobs::cancel))
        .route("/v1/jobs/{id}/explain", get(explain::show))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}/profile", get(models::profile))
        .route("/v1/models/{name}/strategies", get(models::strategies))
        .merge(admin_routes(app.clone()))
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn(caller::identify))
        .with_state(app)
}

/// What shows policies and models to everybody, and changes them for those who may.
fn admin_routes(app: Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/policies", get(policies::list))
        .route("/v1/policies/{name}", put(policies::push).delete(policies::remove))
        .route("/v1/policy", get(policy::show).put(policy::change))
        .route("/v1/policy/rollback", post(policy::roll_back))
        .route("/v1/policy/shadow", get(shadow::show).put(shadow::set).delete(shadow::clear))
        .route("/v1/models/{name}", get(models::show).put(models::load).delete(models::unload))
        .route_layer(axum::middleware::from_fn_with_state(app, guard::guard))
}

/// Serves connections until it is told to stop, then lets the requests in flight end.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, runtime: Handle, mut stop: watch::Receiver<bool>) {
    let most = app.config.http.max_connections;
    let slots = Arc::new(Semaphore::new(most));
    let routes = router(app.clone());
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.expect("the semaphore is never closed"),
            () = told(&mut stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        let Ok((stream, peer)) = accepted else {
            // out of file descriptors, most likely: the connections that end will free some
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // its events are to be those of the runtime that serves it
        let Ok(stream) = stream.into_std() else { continue };
        let (routes, app, stop) = (routes.clone(), app.clone(), stop.clone());
        runtime.spawn(async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve_connection(stream, caller::Peer(peer), routes, app, stop).await;
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(LAST_WORDS, slots.acquire_many(most as u32)).await;
}

/// How long answers may take to reach their clients after the last job has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

async fn serve_connection(
    stream: TcpStream,
    peer: caller::Peer,
    routes: Router,
    app: Arc<App>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(app.config.http.header_timeout_ms));
    let routes = TowerToHyperService::new(routes);
    let routes = service_fn(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        routes.call(request)
    });
    let connection = http.serve_connection(TokioIo::new(stream), routes);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn told(stop: &mut watch::Receiver<bool>) {
    // an error means that the server is gone: reason enough to stop
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn ready(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.open().map(|_| "ready\n")
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::new(ErrorCode::UnknownPath, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} means nothing at {}", uri.path());
    ApiError::new(ErrorCode::MethodNotAllowed, message)
}
