//! One connection, from its first byte to its last, and what every request on it goes through.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AnyBody;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use hyper::body::{Body as _, Incoming};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;

use super::answer_body::{AnswerBody, UnderWay};
use super::last_words;
use super::registry::Place;
use super::request_body::{LeastRate, RequestBody, Unread, discard};
use super::state::{Activity, CloseReason, ConnectionState};
use super::stream::WatchedStream;
use crate::config::Http;
use crate::error_code::ErrorCode;
use crate::http::api_error::ApiError;
use crate::http::app::App;
use crate::http::caller::Peer;

/// What all connections of a listener lead to.
pub(super) struct Routes {
    routes: TowerToHyperService<Router>,
    app: Arc<App>,
    http: auto::Builder<TokioExecutor>,
    least_rate: LeastRate,
}

impl Routes {
    pub(super) fn new(routes: Router, app: Arc<App>) -> Routes {
        let http = &app.config.http;
        let (protocol, least_rate) = (protocol(http), LeastRate::of(http));
        Routes { routes: TowerToHyperService::new(routes), app, http: protocol, least_rate }
    }
}

/// HTTP/1.1 and, by prior knowledge, HTTP/2, with bounds. Time-outs are the registry's.
fn protocol(http: &Http) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(http.max_header_bytes as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http.max_streams)
        .max_header_list_size(http.max_header_bytes)
        // streams that a client resets before they are served, and that are reset for its errors: then it is cut off
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(100)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_send_buf_size(64 << 10)
        // who is silent for so long is asked whether it is still there
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Speaks HTTP on this stream until one side has enough.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, place: Place, routes: Arc<Routes>) {
    let _ = stream.set_nodelay(true);
    let state = &place.state;
    let ended = speak(stream, peer, &place, &routes).await;
    let Some(stream) = state.take_stream() else { return };
    match ended {
        Ended::ByHttp { failed } if failed || state.has_answered_itself() => linger(stream, &place).await,
        Ended::ByHttp { .. } => {}
        Ended::Told(words) => {
            let Some(error) = words else { return };
            place.connections().meters().answered(error.code.status().as_u16());
            place.connections().meters().failed(error.code);
            last_words::say(&stream, &error);
            linger(stream, &place).await;
        }
    }
}

/// How HTTP on a connection ended.
enum Ended {
    ByHttp {
        failed: bool,
    },
    /// The server wanted it; with what is left to say.
    Told(Option<ApiError>),
}

async fn speak(stream: TcpStream, peer: SocketAddr, place: &Place, routes: &Arc<Routes>) -> Ended {
    let state = &place.state;
    let io = WatchedStream::new(stream, state.clone(), place.connections().meters().clone());
    let answers = Arc::new(Answers {
        routes: routes.clone(),
        state: state.clone(),
        meters: place.connections().meters().clone(),
        peer: Peer(peer),
    });
    let service = service_fn(move |request| answer(answers.clone(), request));
    let connection = routes.http.serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    let reason = tokio::select! {
        ended = &mut connection => return by_http(ended),
        reason = state.told() => reason,
    };
    let in_use = state.activity() == Activity::Busy || reason == CloseReason::Stopping && state.is_in_use();
    if !(in_use || reason == CloseReason::Idle && state.is_http2()) {
        return Ended::Told(words(reason, state, &routes.app.config.http));
    }
    connection.as_mut().graceful_shutdown();
    loop {
        // nobody tells it a second time
        tokio::select! {
            ended = &mut connection => return by_http(ended),
            () = tokio::time::sleep(LOOK) => {}
        }
        if place.connections().is_overdue(state) {
            return Ended::Told(None);
        }
    }
}

/// How often a connection that is to end after its answers is looked at.
const LOOK: Duration = Duration::from_secs(1);

fn by_http(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) -> Ended {
    if let Err(error) = &ended {
        tracing::debug!(%error, "a connection ended early");
    }
    Ended::ByHttp { failed: ended.is_err() }
}

/// What a client is told that has begun a request.
fn words(reason: CloseReason, state: &ConnectionState, http: &Http) -> Option<ApiError> {
    let began = state.is_in_head() || matches!(state.activity(), Activity::Body { .. }) && !state.is_http2();
    match reason {
        _ if !began => None,
        CloseReason::SlowHead => {
            let message = format!("expected the whole head of a request within {} ms", http.header_timeout_ms);
            Some(ApiError::new(ErrorCode::SlowHead, message))
        }
        CloseReason::Evicted => {
            let message = "expected a faster request: other clients need the connection";
            Some(ApiError::new(ErrorCode::ConnectionsFull, message))
        }
        CloseReason::Stopping => Some(ApiError::draining()),
        CloseReason::Idle | CloseReason::Unread => None,
    }
}

async fn linger(stream: TcpStream, place: &Place) {
    let is_stopping = place.state.reason() == Some(CloseReason::Stopping);
    if !is_stopping && place.connections().may_linger() {
        last_words::linger(stream).await;
    }
}

/// What the requests of one connection go through.
struct Answers {
    routes: Arc<Routes>,
    state: Arc<ConnectionState>,
    meters: crate::http_meters::HttpMeters,
    peer: Peer,
}

async fn answer(answers: Arc<Answers>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
    let Answers { routes, state, meters, peer } = &*answers;
    let (mut parts, incoming) = request.into_parts();
    let is_http1 = parts.version < Version::HTTP_2;
    let under_way = UnderWay::new(state, !is_http1);
    let unread = Unread::default();
    let awaits_continue = parts.headers.contains_key(header::EXPECT);
    let body = RequestBody::new(incoming, state, routes.least_rate, &unread);
    parts.extensions.insert(*peer);
    let mut response = match refusal(&parts, state) {
        Some(error) => {
            drop(body);
            error.into_response()
        }
        None => routed(&routes.routes, Request::from_parts(parts, body)).await,
    };
    meters.answered(response.status().as_u16());
    if let Some(code) = response.extensions().get::<ErrorCode>() {
        meters.failed(*code);
    }
    let App { leaving, draining, .. } = &*routes.app;
    let mut is_last = state.is_over || leaving.load(Ordering::Relaxed) || draining.load(Ordering::Relaxed);
    if let Some(rest) = unread.take() {
        let is_short = rest.size_hint().upper().is_some_and(|bytes| bytes <= SHORT);
        is_last |= awaits_continue || !is_short;
        let (state, routes) = (state.clone(), routes.clone());
        tokio::spawn(async move { discard(rest, state, &routes.app.config.http).await });
    }
    if is_last && is_http1 {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| under_way.answer(body)))
}

/// What is left of a refused body and no longer than this is waited for, so that the connection can go on.
const SHORT: u64 = 1 << 20;

async fn routed(routes: &TowerToHyperService<Router>, request: Request<RequestBody>) -> Response<AnyBody> {
    let Ok(response) = routes.call(request).await;
    response
}

/// Why this request is not shown to any route.
fn refusal(parts: &Parts, state: &ConnectionState) -> Option<ApiError> {
    let path = parts.uri.path();
    if state.is_over && !is_about_health(path) {
        let message = "expected a connection to be free, all that the server takes are in use";
        return Some(ApiError::new(ErrorCode::ConnectionsFull, message));
    }
    let message = || format!("expected a path in UTF-8, got {path}");
    (!is_text(path)).then(|| ApiError::new(ErrorCode::BadPath, message()))
}

fn is_about_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The path is UTF-8 once its escapes are decoded.
fn is_text(path: &str) -> bool {
    if !path.contains('%') {
        return true;
    }
    let (mut decoded, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let [first, others @ ..] = rest {
        let digits = others.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &others[2..];
            }
            None => {
                decoded.push(*first);
                rest = others;
            }
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_text() {
        for text in ["/v1/jobs/j-1", "/v1/models/%C3%A9", "/%", "/%zz", "/%2", "/é"] {
            assert!(is_text(text), "{text}");
        }
        for bytes in ["/%ff", "/v1/models/%C3", "/%80x"] {
            assert!(!is_text(bytes), "{bytes}");
        }
    }
}
