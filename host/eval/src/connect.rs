//! A way to a server, with a token that it takes.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mosel_client::connection::Connection;
use mosel_server::local_admin_token;

/// No token is longer.
const MAX_TOKEN_BYTES: u64 = 4096;

/// A connection to the server at `url` that shows the token of this file; without one that of `MOSEL_TOKEN`, else the one that
/// a server of this user's on this machine made for itself, if there is such a server.
pub fn connection(url: &str, token_file: Option<&Path>) -> Result<Connection> {
    let connection = Connection::new(url)?;
    Ok(match token(url, token_file)? {
        Some(token) => connection.with_token(&token),
        None => connection,
    })
}

fn token(url: &str, token_file: Option<&Path>) -> Result<Option<String>> {
    if let Some(file) = token_file {
        return token_in(file).map(Some);
    }
    let variable = std::env::var("MOSEL_TOKEN").ok().map(|token| token.trim().to_owned());
    Ok(variable.filter(|token| !token.is_empty()).or_else(|| local_admin_token(url)))
}

fn token_in(file: &Path) -> Result<String> {
    let reading = || format!("reading the token in {}", file.display());
    let mut token = String::new();
    let opened = std::fs::File::open(file).with_context(reading)?;
    opened.take(MAX_TOKEN_BYTES + 1).read_to_string(&mut token).with_context(reading)?;
    let length = token.len() as u64;
    ensure!(length <= MAX_TOKEN_BYTES, "expected a token of at most {MAX_TOKEN_BYTES} bytes in {}", file.display());
    ensure!(!token.trim().is_empty(), "expected a token in {}, it is empty", file.display());
    Ok(token.trim().to_owned())
}
