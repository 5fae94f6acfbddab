//! Who sends a request: found out once, before any route sees it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::Rights;
use crate::shares::ShareKey;

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

impl Caller {
    /// Whose share of everything it takes from.
    pub(crate) fn share_key(&self) -> ShareKey {
        match &self.tenant {
            Some(tenant) => ShareKey::Tenant(tenant.clone()),
            None => ShareKey::of_peer(self.peer.0.ip()),
        }
    }

    /// Of a request; every one has a caller, but for those of tests.
    pub(crate) fn share_key_of(request: &Request) -> ShareKey {
        request.extensions().get::<Caller>().map(Caller::share_key).unwrap_or_default()
    }
}

/// Puts the caller on a request.
pub(super) async fn identify(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::UNKNOWN);
    request.extensions_mut().insert(Caller { tenant: None, rights: Rights::LOCAL, peer });
    next.run(request).await
}
