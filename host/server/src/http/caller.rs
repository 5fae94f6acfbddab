//! Who sends a request: found out once, before any route sees it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::Rights;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// Whoever came by a way that has no address.
    pub(crate) const UNKNOWN: Peer = Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));
}

/// Who sends a request. An extension of every request.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "tokens and shares, which read them, come next")]
pub(crate) struct Caller {
    /// Whose jobs these are, by the token that was shown; `None` without one.
    pub(crate) tenant: Option<Arc<str>>,
    /// What it may do.
    pub(crate) rights: Rights,
    /// Where it is.
    pub(crate) peer: Peer,
}

/// Puts the caller on a request.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::UNKNOWN);
    request.extensions_mut().insert(Caller { tenant: None, rights: Rights::LOCAL, peer });
    next.run(request).await
}
