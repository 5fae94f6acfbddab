//! The wire: connections, routes, and what every request goes through.
//!
//! Where to start reading: `connections` (from a socket to requests), [`router`], then `jobs.rs` (submission and look-up),
//! `submission.rs` and `parsed_job.rs` (from bytes to a job), `job_view.rs` (from a job to JSON), `api_error.rs` (errors);
//! `caller.rs` says who may do what. HTTP types end here: the driver sees none.

mod api_error;
pub(crate) mod app;
mod base64;
mod body;
pub(crate) mod caller;
mod compression;
mod connections;
mod explain;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod job_view;
mod jobs;
mod metrics;
mod model_view;
mod models;
mod multipart;
mod origin;
mod parsed_job;
mod policies;
mod policy;
mod policy_errors;
mod policy_view;
mod preference;
pub(crate) mod ready;
mod rejection;
mod shadow;
mod shadow_view;
mod submission;
mod wanted_policy;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

use api_error::ApiError;
use app::App;
use connections::{Connections, Listener};

use crate::descriptors;
use crate::error_code::ErrorCode;
use crate::http_meters::HttpMeters;

/// Every route.
fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/jobs", get(jobs::list).post(jobs::submit))
        .route("/v1/jobs/{id}", get(jobs::show).delete(jobs::cancel))
        .route("/v1/jobs/{id}/explain", get(explain::show))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{name}/profile", get(models::profile))
        .route("/v1/models/{name}/strategies", get(models::strategies))
        .merge(admin_routes())
        .merge(health_routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(app.clone(), caller::identify))
        .with_state(app)
}

/// What shows policies and models, and changes them for those who may.
fn admin_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/policies", get(policies::list))
        .route("/v1/policies/{name}", put(policies::push).delete(policies::remove))
        .route("/v1/policy", get(policy::show).put(policy::change))
        .route("/v1/policy/rollback", post(policy::roll_back))
        .route("/v1/policy/shadow", get(shadow::show).put(shadow::set).delete(shadow::clear))
        .route("/v1/models/{name}", get(models::show).put(models::load).delete(models::unload))
}

/// What is asked by whoever watches the server.
fn health_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(metrics::show))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready::show))
}

/// The paths of health alone, for a listener of their own.
fn health_router(app: Arc<App>) -> Router {
    let routes = health_routes().fallback(unknown_path).method_not_allowed_fallback(wrong_method);
    routes.layer(axum::middleware::from_fn(caller::watcher)).with_state(app)
}

/// Serves connections until it is told to stop, then lets the requests in flight end. They are accepted on the runtime
/// that this runs on and served on the other.
pub(crate) async fn serve(socket: TcpListener, app: Arc<App>, runtime: Handle, stop: watch::Receiver<bool>) {
    let room = descriptors::room_for_connections(descriptors::raise_limit());
    let connections = Connections::new(&app.config.http, room, app.metrics.http.clone());
    let routes = router(app.clone());
    connections::accept(Listener { socket, routes, app, connections, runtime }, stop).await;
}

/// Answers for the health of the server until it is told to stop, on the runtime that this runs on.
pub(crate) async fn serve_health(socket: TcpListener, app: Arc<App>, stop: watch::Receiver<bool>) {
    let connections = Connections::new(&app.config.http, MOST_WATCHERS, HttpMeters::default());
    let routes = health_router(app.clone());
    let runtime = Handle::current();
    connections::accept(Listener { socket, routes, app, connections, runtime }, stop).await;
}

/// Connections of the listener for health.
const MOST_WATCHERS: usize = 64;

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::new(ErrorCode::UnknownPath, format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        // the methods of the path are in `Allow`, as with the error
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = format!("{method} means nothing at {}", uri.path());
    ApiError::new(ErrorCode::MethodNotAllowed, message).into_response()
}
