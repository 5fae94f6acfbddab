//! Whether a request may come from a page in a browser: on every path, as a page anywhere can make a browser on this
//! machine, or in this network, send what it likes.
//!
//! A page of another origin is refused by `Origin` and `Sec-Fetch-Site`. A page whose name was made to mean this machine
//! (DNS rebinding) is of the same origin, so without tokens the name in `Host` has to be one that no page has.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, header};

use crate::auth::Auth;

/// Why a request was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It calls the server by a name that is not its own.
    Host(String),
    /// It is from a page of another origin.
    Origin(String),
}

/// The request calls the server by a name of its own, and is not from another page.
pub(super) fn check(auth: &Auth, headers: &HeaderMap, authority: Option<&Authority>) -> Result<(), Foreign> {
    let hosts = || headers.get_all(header::HOST).into_iter().map(text).chain(authority.map(Authority::as_str));
    if !auth.needs_tokens() {
        let strange = hosts().find(|host| !is_own(auth, host));
        strange.map_or(Ok(()), |host| Err(Foreign::Host(host.into())))?;
    }
    let mut listed = false;
    for origin in headers.get_all(header::ORIGIN).into_iter().map(text) {
        let own = origin.split_once("://").is_some_and(|(_, rest)| hosts().any(|host| host.eq_ignore_ascii_case(rest)));
        if !own && !auth.is_origin(origin) {
            return Err(Foreign::Origin(origin.into()));
        }
        listed |= auth.is_origin(origin);
    }
    let mut sites = headers.get_all("sec-fetch-site").into_iter().map(text);
    match sites.find(|site| !matches!(*site, "same-origin" | "none")) {
        Some(site) if !listed => Err(Foreign::Origin(format!("a page that is {site}"))),
        _ => Ok(()),
    }
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn is_own(auth: &Auth, authority: &str) -> bool {
    let host = host_of(authority);
    if let Ok(address) = host.parse::<IpAddr>() {
        // no page has an address for its name, but of the machine that it is from
        return address.to_canonical().is_loopback() || auth.welcomes_strangers() || auth.is_host(host);
    }
    host.eq_ignore_ascii_case("localhost") || auth.is_host(host)
}

/// Without the port.
fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or("", |(host, _)| host);
    }
    authority.split_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn auth(change: impl FnOnce(&mut Config)) -> Auth {
        let mut config = Config::default();
        change(&mut config);
        Auth::new(&config).unwrap()
    }

    fn checked(auth: &Auth, pairs: &[(&'static str, &str)]) -> Result<(), Foreign> {
        let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        check(auth, &HeaderMap::from_iter(headers), None)
    }

    #[test]
    fn without_tokens_the_host_is_a_loopback_name_or_a_known_one() {
        let (auth, host) = (auth(|config| config.auth.hosts = vec!["mosel.lan".into()]), |host| [("host", host)]);
        for own in
            ["localhost", "LocalHost:7070", "127.0.0.1", "[::1]:7070", "[::1]", "[::ffff:127.0.0.1]", "Mosel.lan:1"]
        {
            assert_eq!(checked(&auth, &host(own)), Ok(()), "{own}");
        }
        for strange in
            ["localhost.evil.example", "127.0.0.1.evil.example:7070", "x", "", "[", "10.0.0.1", "user@localhost"]
        {
            assert_eq!(checked(&auth, &host(strange)), Err(Foreign::Host(strange.into())), "{strange}");
        }
        let rebound: Authority = "evil.example".parse().unwrap();
        let refused = check(&auth, &HeaderMap::new(), Some(&rebound));
        assert_eq!(refused, Err(Foreign::Host("evil.example".into())));
    }

    #[test]
    fn whoever_welcomes_strangers_is_called_by_addresses_but_not_by_any_name() {
        let auth = auth(|config| config.auth.none = true);
        assert_eq!(checked(&auth, &[("host", "10.0.0.1:7070")]), Ok(()));
        assert!(checked(&auth, &[("host", "evil.example:7070")]).is_err());
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let auth = auth(|config| config.auth.origins = vec!["https://app.example".into()]);
        let page = |origin| checked(&auth, &[("host", "127.0.0.1:7070"), ("origin", origin)]);
        assert_eq!(page("http://127.0.0.1:7070"), Ok(()));
        assert_eq!(page("https://app.example"), Ok(()));
        for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1:7070.evil.example", ""]
        {
            assert_eq!(page(origin), Err(Foreign::Origin(origin.into())), "{origin}");
        }
    }

    #[test]
    fn a_browser_says_that_a_page_is_another_even_where_it_names_no_origin() {
        let auth = auth(|config| config.auth.origins = vec!["https://app.example".into()]);
        let site = |site| checked(&auth, &[("host", "localhost"), ("sec-fetch-site", site)]);
        assert_eq!((site("same-origin"), site("none")), (Ok(()), Ok(())));
        assert!(site("cross-site").is_err() && site("same-site").is_err() && site("new-word").is_err());
        let listed = [("host", "localhost"), ("sec-fetch-site", "cross-site"), ("origin", "https://app.example")];
        assert_eq!(checked(&auth, &listed), Ok(()));
    }
}
