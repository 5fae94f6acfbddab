//! Stands before every path that changes policies or models.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::api_error::ApiError;
use super::app::App;
use super::caller::Peer;

/// Lets requests through that change nothing, or that come from somebody who may.
pub(super) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let peer = request.extensions().get::<Peer>().copied();
        let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
        app.admin.check(peer, request.headers(), authority)?;
    }
    Ok(next.run(request).await)
}
