//! Who may change policies and models: whoever shows the token, or, where there is none, programs on this machine.
//!
//! A browser on this machine is one of its programs, and does what pages from anywhere tell it. So without a token a
//! request must not come from another page, and must call the server by a name that no page's own name can be made to
//! mean (DNS rebinding).

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use super::caller::Peer;
use crate::error_code::ErrorCode;

/// Who may change policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    /// Programs on this machine.
    Local,
    /// Whoever knows what has this hash.
    Token([u8; 32]),
}

/// The shortest token, in bytes.
const LEAST_TOKEN_BYTES: usize = 16;

impl Admin {
    /// With the token of this file, if one is named.
    pub(crate) fn new(file: &Path) -> anyhow::Result<Admin> {
        if file.as_os_str().is_empty() {
            return Ok(Admin::Local);
        }
        let text = std::fs::read_to_string(file).with_context(|| format!("reading the admin token {file:?}"))?;
        let token = text.trim();
        let bytes = token.len();
        ensure!(bytes > 0, "expected a token in {file:?}, it is empty");
        ensure!(
            bytes >= LEAST_TOKEN_BYTES,
            "expected a token of at least {LEAST_TOKEN_BYTES} bytes in {file:?}, it has {bytes}"
        );
        ensure!(token.bytes().all(|byte| byte.is_ascii_graphic()), "expected a token of visible ASCII in {file:?}");
        warn_of_others(file);
        Ok(Admin::Token(digest(token)))
    }

    /// Whoever this is may.
    pub(super) fn check(
        &self,
        peer: Option<Peer>,
        headers: &HeaderMap,
        authority: Option<&str>,
    ) -> Result<(), ApiError> {
        match self {
            Admin::Token(expected) => check_token(expected, headers),
            Admin::Local => {
                check_peer(peer)?;
                check_proxy(headers)?;
                check_browser(headers, authority)
            }
        }
    }
}

fn check_token(expected: &[u8; 32], headers: &HeaderMap) -> Result<(), ApiError> {
    let unauthorized = |code, message: &str| Err(ApiError::new(code, message));
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return unauthorized(ErrorCode::AdminTokenMissing, "expected the header Authorization: Bearer TOKEN, got none");
    };
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
    let Some((_, token)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return unauthorized(
            ErrorCode::AdminTokenMissing,
            "expected the header Authorization: Bearer TOKEN, got another",
        );
    };
    // how long comparing hashes takes tells about the hashes, and nobody can choose those
    if digest(token.trim()) != *expected {
        return unauthorized(ErrorCode::AdminTokenWrong, "expected the token of this server, got another");
    }
    Ok(())
}

fn check_peer(peer: Option<Peer>) -> Result<(), ApiError> {
    if peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback()) {
        return Ok(());
    }
    let message = "expected a request from this machine: without a token nobody else may change policies or models; start the \
                   server with --admin-token-file FILE and send Authorization: Bearer TOKEN";
    Err(ApiError::new(ErrorCode::AdminLoopbackOnly, message))
}

/// A proxy on this machine speaks for others, who may be anywhere.
fn check_proxy(headers: &HeaderMap) -> Result<(), ApiError> {
    const MARKS: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];
    let Some(mark) = MARKS.into_iter().find(|mark| headers.contains_key(*mark)) else { return Ok(()) };
    let message = format!(
        "expected a request from this machine, one with the header {mark} came through a proxy: start the server with \
         --admin-token-file FILE and send Authorization: Bearer TOKEN"
    );
    Err(ApiError::new(ErrorCode::AdminLoopbackOnly, message))
}

/// A page in a browser on this machine is not an operator.
fn check_browser(headers: &HeaderMap, authority: Option<&str>) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    for called in [host, authority].into_iter().flatten() {
        if !is_loopback(host_of(called)) {
            let message = format!(
                "expected localhost or a loopback address in Host, got {called:?}: without a token the server cannot \
                 tell an operator from a page in a browser; start it with --admin-token-file FILE"
            );
            return Err(ApiError::new(ErrorCode::AdminForeignHost, message));
        }
    }
    for origin in headers.get_all(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let here = origin.split_once("://").is_some_and(|(_, rest)| Some(rest) == host);
        if !here {
            let message = format!("expected no page of another origin to change policies, one of {origin:?} tried to");
            return Err(ApiError::new(ErrorCode::AdminForeignOrigin, message));
        }
    }
    Ok(())
}

/// Without the port.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(host, _)| host);
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical().is_loopback());
    address.unwrap_or_else(|_| host.eq_ignore_ascii_case("localhost"))
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn warn_of_others(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o066 != 0 {
        let file = file.display();
        tracing::warn!(
            "others than its owner may read or write the admin token {file} (mode {mode:03o}); expected 600"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn local(peer: &str, pairs: &[(&'static str, &str)]) -> &'static str {
        let peer = Some(Peer(peer.parse().unwrap()));
        Admin::Local.check(peer, &headers(pairs), None).map_or_else(|error| error.code.word(), |()| "ok")
    }

    fn token(pairs: &[(&'static str, &str)]) -> (u16, &'static str) {
        let admin = Admin::Token(digest("0123456789abcdef"));
        let checked = admin.check(None, &headers(pairs), None);
        checked.map_or_else(|error| (error.code.status().as_u16(), error.code.word()), |()| (200, "ok"))
    }

    fn file(text: &str) -> Result<Admin, String> {
        let path = std::env::temp_dir().join(format!("mosel-token-{}-{}", std::process::id(), text.len()));
        std::fs::write(&path, text).unwrap();
        let admin = Admin::new(&path).map_err(|error| format!("{error:#}"));
        std::fs::remove_file(&path).unwrap();
        admin
    }

    #[test]
    fn only_this_machine_may_without_a_token() {
        for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(local(peer, &[]), "ok", "{peer}");
        }
        for peer in ["10.0.0.1:9", "[::ffff:10.0.0.1]:9", "[fe80::1]:9"] {
            assert_eq!(local(peer, &[]), "admin_loopback_only", "{peer}");
        }
        assert_eq!(Admin::Local.check(None, &HeaderMap::new(), None).unwrap_err().code.word(), "admin_loopback_only");
    }

    #[test]
    fn a_proxy_on_this_machine_may_not() {
        for mark in ["Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-Real-IP", "Via"] {
            assert_eq!(local("127.0.0.1:9", &[(mark, "10.0.0.1")]), "admin_loopback_only", "{mark}");
        }
    }

    #[test]
    fn pages_in_a_browser_may_not() {
        let on = |host, origin| local("127.0.0.1:9", &[("host", host), ("origin", origin)]);
        assert_eq!(on("127.0.0.1:7070", "http://127.0.0.1:7070"), "ok");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:7070.evil.example"] {
            assert_eq!(on("127.0.0.1:7070", origin), "admin_foreign_origin", "{origin}");
        }
        assert_eq!(on("evil.example:7070", "http://evil.example:7070"), "admin_foreign_host");
    }

    #[test]
    fn the_host_must_be_a_loopback_name() {
        for host in ["localhost", "LocalHost:7070", "127.0.0.1", "[::1]:7070", "[::1]"] {
            assert_eq!(local("127.0.0.1:9", &[("host", host)]), "ok", "{host}");
        }
        for host in
            ["localhost.evil.example", "127.0.0.1.evil.example:7070", "x", "", "[", "10.0.0.1", "user@localhost"]
        {
            assert_eq!(local("127.0.0.1:9", &[("host", host)]), "admin_foreign_host", "{host}");
        }
    }

    #[test]
    fn the_token_opens_and_nothing_else() {
        assert_eq!(token(&[("authorization", "Bearer 0123456789abcdef")]), (200, "ok"));
        assert_eq!(token(&[("authorization", "bearer 0123456789abcdef")]), (200, "ok"));
        assert_eq!(token(&[]), (401, "admin_token_missing"));
        assert_eq!(token(&[("authorization", "Basic 0123456789abcdef")]), (401, "admin_token_missing"));
        for wrong in ["", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF"] {
            assert_eq!(token(&[("authorization", &format!("Bearer {wrong}"))]), (401, "admin_token_wrong"), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_visible() {
        assert_eq!(file(" 0123456789abcdef\n"), Ok(Admin::Token(digest("0123456789abcdef"))));
        assert!(file("\n").unwrap_err().contains("it is empty"));
        assert!(file("0123456789abcde").unwrap_err().contains("at least 16 bytes"));
        assert!(file("0123456789 abcdef").unwrap_err().contains("visible ASCII"));
        assert!(Admin::new(Path::new("/no/such/file")).is_err());
        assert_eq!(Admin::new(Path::new("")).unwrap(), Admin::Local);
    }
}
