//! Who sends a request, and whether it may: found out once, before any route sees it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::api_error::ApiError;
use super::app::App;
use super::origin::{self, Foreign};
use crate::auth::{AdminAct, Auth, Right, Rights, Token, TokenError};
use crate::error_code::ErrorCode;
use crate::shares::ShareKey;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl Peer {
    /// Whoever came by a way that has no address.
    pub(crate) const UNKNOWN: Peer = Peer(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0));

    /// Its address, written in one way.
    pub(crate) fn ip(self) -> IpAddr {
        self.0.ip().to_canonical()
    }
}

/// Who sends a request. An extension of every request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose jobs these are, by the token that was shown; `None` without one, and for an admin of all tenants.
    pub(crate) tenant: Option<Arc<str>>,
    /// What it may do.
    pub(crate) rights: Rights,
    /// Where it is.
    pub(crate) peer: Peer,
    /// What it has shown.
    pub(crate) token: Option<Arc<Token>>,
}

impl Caller {
    /// It may know of the jobs of this tenant. Without tokens whoever knows a job's name may.
    pub(crate) fn sees(&self, tenant: Option<&str>) -> bool {
        self.rights.admin || self.token.is_none() || self.tenant.as_deref() == tenant
    }

    /// It may be told the names of this tenant's jobs.
    pub(crate) fn is_told(&self, tenant: Option<&str>) -> bool {
        self.token.is_some() && self.sees(tenant)
    }

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

/// Puts the caller on a request that it may send, and answers all others.
pub(super) async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::UNKNOWN);
    let needed = needed(request.method(), request.uri().path());
    let caller = match known(&app.auth, &request, peer, needed) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    // what is begun is done, and recorded, also when the client is gone before the end
    let mut recorded = Recorded { app: &app, act: (needed == Some(Right::Admin)).then(|| act(&caller, &request)) };
    let response = match needed.filter(|right| !caller.rights.has(*right)) {
        Some(right) => forbidden(&caller, right).into_response(),
        None => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    if let Some(act) = &mut recorded.act {
        act.status = response.status().as_u16();
    }
    drop(recorded);
    response
}

/// An admin's act that is written down when this is dropped.
struct Recorded<'a> {
    app: &'a App,
    act: Option<AdminAct>,
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if let Some(act) = self.act.take() {
            self.app.auth.audit.record(act);
        }
    }
}

/// The status that is written down where the client did not wait for one.
const CLIENT_IS_GONE: u16 = 499;

/// Puts whoever watches the server on a request that only its own listener takes, where health is all there is to see.
pub(super) async fn watcher(mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied().unwrap_or(Peer::UNKNOWN);
    request.extensions_mut().insert(Caller { tenant: None, rights: Rights::default(), peer, token: None });
    next.run(request).await
}

/// What one has to be allowed to do for this; `None` for what everybody may.
fn needed(method: &Method, path: &str) -> Option<Right> {
    let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match path {
        "/metrics" => Some(Right::Read),
        _ if !is_under(path, "/v1") => None,
        _ if looks => Some(Right::Read),
        _ if is_under(path, "/v1/jobs") => Some(Right::Submit),
        _ if ADMIN.iter().any(|root| is_under(path, root)) => Some(Right::Admin),
        // nothing is there, which whoever may look is told
        _ => Some(Right::Read),
    }
}

/// Where policies and models are changed.
const ADMIN: [&str; 3] = ["/v1/policies", "/v1/policy", "/v1/models"];

fn is_under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn known(auth: &Auth, request: &Request, peer: Peer, needed: Option<Right>) -> Result<Caller, ApiError> {
    let admin = needed == Some(Right::Admin);
    let from_here = origin::check(auth, request.headers(), request.uri().authority());
    from_here.map_err(|foreign| foreign_page(foreign, admin))?;
    let nobody = Caller { tenant: None, rights: Rights::default(), peer, token: None };
    let Some(needed) = needed else { return Ok(nobody) };
    if let Some(token) = bearer(request.headers()) {
        let token = auth.token(token, peer.ip()).map_err(|error| wrong_token(error, admin))?;
        return Ok(Caller { tenant: token.tenant.clone(), rights: token.rights, peer, token: Some(token) });
    }
    let rights = if auth.needs_tokens() { Rights::default() } else { Rights::OPEN };
    if !rights.has(needed) {
        return Err(missing_token(auth, needed));
    }
    Ok(Caller { rights, ..nobody })
}

/// Other schemes are for others, such as a proxy in front.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What an admin is about to do.
fn act(caller: &Caller, request: &Request) -> AdminAct {
    let who = caller.token.as_ref().map_or_else(|| "nobody".into(), |token| token.name.to_string());
    let path: String = request.uri().path().chars().take(MAX_PATH).collect();
    AdminAct {
        who,
        from: caller.peer.0.to_string(),
        what: format!("{} {path}", request.method()),
        status: CLIENT_IS_GONE,
    }
}

/// Characters of a path that are recorded.
const MAX_PATH: usize = 200;

fn foreign_page(foreign: Foreign, admin: bool) -> ApiError {
    match foreign {
        Foreign::Host(host) => {
            let code = if admin { ErrorCode::AdminForeignHost } else { ErrorCode::ForeignHost };
            let message = format!(
                "expected localhost or a loopback address in Host, got {host:?}: without tokens the server cannot tell a \
                 program from a page in a browser; name the host in auth.hosts, or use auth.tokens_file"
            );
            ApiError::new(code, message)
        }
        Foreign::Origin(origin) => {
            let code = if admin { ErrorCode::AdminForeignOrigin } else { ErrorCode::ForeignOrigin };
            let message = format!(
                "expected no page of another origin, got a request of {origin:?}: auth.origins names those that may"
            );
            ApiError::new(code, message)
        }
    }
}

fn wrong_token(error: TokenError, admin: bool) -> ApiError {
    match error {
        TokenError::Wrong => {
            let code = if admin { ErrorCode::AdminTokenWrong } else { ErrorCode::TokenWrong };
            ApiError::new(code, "expected a token of this server, got another")
        }
        TokenError::Throttled(left) => {
            let message = "too many wrong tokens came from this address: no other wrong one is looked at for a while";
            let details = json!({ "retry_after_ms": left.as_millis() as u64 });
            ApiError::new(ErrorCode::TokenThrottled, message).with(details).retry_after(left)
        }
    }
}

fn missing_token(auth: &Auth, needed: Right) -> ApiError {
    let code = if needed == Right::Admin { ErrorCode::AdminTokenMissing } else { ErrorCode::TokenMissing };
    let mut message =
        format!("expected the header Authorization: Bearer TOKEN, with a token that may {}", doing(needed));
    if needed == Right::Admin && auth.own_token_file().is_some() {
        message += "; the server keeps one for programs of its own user, which `mosel token local` prints";
    }
    ApiError::new(code, message)
}

fn forbidden(caller: &Caller, needed: Right) -> ApiError {
    let name = caller.token.as_ref().map_or("", |token| &token.name);
    let message = format!("expected a token that may {}, the token {name} may not", doing(needed));
    ApiError::new(ErrorCode::Forbidden, message)
}

fn doing(right: Right) -> &'static str {
    match right {
        Right::Submit => "submit jobs",
        Right::Read => "read",
        Right::Admin => "change policies and models",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_interface_needs_a_right() {
        let needed = |method: &str, path| needed(&method.parse().unwrap(), path).map(Right::word);
        for (method, path, right) in [
            ("GET", "/v1/jobs", Some("read")),
            ("HEAD", "/v1/jobs/j-1", Some("read")),
            ("GET", "/v1/jobs/j-1/explain", Some("read")),
            ("POST", "/v1/jobs", Some("submit")),
            ("DELETE", "/v1/jobs/j-1", Some("submit")),
            ("GET", "/v1/models/m/profile", Some("read")),
            ("PUT", "/v1/models/m", Some("admin")),
            ("DELETE", "/v1/models/m", Some("admin")),
            ("GET", "/v1/policies", Some("read")),
            ("PUT", "/v1/policies/p", Some("admin")),
            ("POST", "/v1/policy/rollback", Some("admin")),
            ("PATCH", "/v1/models", Some("admin")),
            ("PATCH", "/v1/anything", Some("read")),
            ("POST", "/v1/jobsandmore", Some("read")),
            ("GET", "/v1", Some("read")),
            ("GET", "/metrics", Some("read")),
            ("GET", "/healthz", None),
            ("GET", "/readyz", None),
            ("GET", "/v10", None),
        ] {
            assert_eq!(needed(method, path), right, "{method} {path}");
        }
    }

    #[test]
    fn a_tenant_sees_its_own_jobs_and_an_admin_sees_all() {
        let token = |tenant: Option<&str>, rights| {
            let tenant: Option<Arc<str>> = tenant.map(Into::into);
            let token = Token { name: "t".into(), tenant: tenant.clone(), rights, weight: None, rate: None };
            Caller { tenant, rights, peer: Peer::UNKNOWN, token: Some(token.into()) }
        };
        let (alice, admin) = (token(Some("alice"), Rights::OPEN), token(None, Rights::ADMIN));
        assert!(alice.sees(Some("alice")) && !alice.sees(Some("bob")) && !alice.sees(None));
        assert!(admin.sees(Some("bob")) && admin.sees(None));
        assert_eq!(alice.share_key(), ShareKey::Tenant("alice".into()));
        assert_eq!(admin.share_key(), ShareKey::of_peer(Peer::UNKNOWN.0.ip()));
    }

    #[test]
    fn a_token_is_shown_in_one_way() {
        let shown = |value: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(shown("Bearer abc"), Some("abc".into()));
        assert_eq!(shown("bearer  abc "), Some("abc".into()));
        assert_eq!((shown("Basic abc"), shown("Bearer"), shown("")), (None, None, None));
    }
}
