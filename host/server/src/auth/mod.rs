//! Who may do what: tokens, the rights that come with them, and what is known of those who have none.
//!
//! Where to start reading: [`Auth`]. HTTP asks it who a token belongs to (`http/caller.rs`) and whether a page may call
//! (`http/origin.rs`).

mod admin_file;
mod audit;
mod failures;
mod new_token;
mod rates;
mod rights;
mod token;
mod token_file;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::config::{self, Config};
use failures::{Failures, Verdict};
use token::{TokenHash, digest};

pub use admin_file::local_admin_token;
pub(crate) use audit::{AdminAct, Audit};
pub use new_token::{NewToken, TokenPurpose};
pub(crate) use rates::{Rate, Rates};
pub use rights::Right;
pub(crate) use rights::Rights;
pub(crate) use token::Token;

/// Why a token was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Nobody has this one.
    Wrong,
    /// There were too many wrong ones from there; for so long, wrong ones are not looked at any more.
    Throttled(Duration),
}

/// Who may do what on this server.
#[derive(Debug)]
pub(crate) struct Auth {
    tokens_file: PathBuf,
    admin_token_file: PathBuf,
    /// Whoever comes without a token may submit and read, wherever from.
    none: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    tokens: RwLock<Arc<HashMap<TokenHash, Arc<Token>>>>,
    /// The token that was made for the operator, where none was configured.
    own: Mutex<Option<admin_file::AdminFile>>,
    failures: Failures,
    /// How often whoever has no rate of its own may submit.
    rate: Option<Rate>,
    pub(crate) rates: Rates,
    pub(crate) audit: Audit,
}

/// The name of the operator's token in logs.
const ADMIN: &str = "admin";
/// The shortest token of an operator, in bytes.
const LEAST_TOKEN_BYTES: usize = 16;

impl Auth {
    /// As configured. Reads the files.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Auth> {
        let config::Auth { tokens_file, none, hosts, origins, max_failures } = config.auth.clone();
        let config::Fairness { rate, burst, .. } = config.fairness.clone();
        let rate = (rate > 0.0).then(|| Rate { per_second: rate, burst: burst.max(1.0) });
        let admin_token_file = config.http.admin_token_file.clone();
        let tokens = RwLock::new(Arc::new(read(&tokens_file, &admin_token_file)?));
        let audit = Audit::new(&config.journal.dir).context("starting to record what admins do")?;
        let (own, failures, rates) = (Mutex::default(), Failures::new(max_failures), Rates::default());
        Ok(Auth { tokens_file, admin_token_file, none, hosts, origins, tokens, own, failures, rate, rates, audit })
    }

    /// The server listens here. Fails if strangers could come and nothing says who may; makes a token for the operator
    /// if there is none.
    pub(crate) fn listens(&self, address: SocketAddr) -> anyhow::Result<()> {
        ensure!(
            address.ip().to_canonical().is_loopback() || self.needs_tokens() || self.none,
            "http.listen is {address}, which other machines reach, and nothing says who may submit and read: name a file \
             of tokens in auth.tokens_file (`mosel token new --tenant NAME --rights submit,read --file FILE` makes one), or \
             say auth.none = true to let everybody who reaches the address submit and read"
        );
        if self.tokens().values().any(|token| token.rights.admin) {
            return Ok(());
        }
        match admin_file::AdminFile::create(address) {
            Ok(file) => {
                tracing::info!("the token of this server's operator is in {}", file.path().display());
                *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
            }
            Err(error) => tracing::warn!(
                "policies and models cannot be changed while this server runs, since no token for that can be written ({error:#}): \
                 name a file with one in http.admin_token_file, or a token with the right admin in auth.tokens_file"
            ),
        }
        Ok(())
    }

    /// The server is about to end: its own token is removed.
    pub(crate) fn stops(&self) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Reads the files again. If one of them is broken, what was read before stays.
    pub(crate) fn reload(&self) {
        match read(&self.tokens_file, &self.admin_token_file) {
            Ok(tokens) => {
                tracing::info!(tokens = tokens.len(), "the files of tokens were read again");
                *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
            }
            Err(error) => tracing::error!("the tokens stay as they were: {error:#}"),
        }
    }

    /// Whoever is not known by a token may do nothing.
    pub(crate) fn needs_tokens(&self) -> bool {
        !self.tokens_file.as_os_str().is_empty()
    }

    /// Strangers are welcome: said by the operator.
    pub(crate) fn welcomes_strangers(&self) -> bool {
        self.none
    }

    /// Whose token this is.
    pub(crate) fn token(&self, token: &str, peer: IpAddr) -> Result<Arc<Token>, TokenError> {
        // how long comparing hashes takes tells about the hashes, and nobody can choose those
        let hash = digest(token);
        if let Some(token) = self.tokens().get(&hash) {
            return Ok(token.clone());
        }
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.as_ref().is_some_and(|own| digest(own.token()) == hash) {
            return Ok(Arc::new(operator()));
        }
        drop(own);
        Err(self.wrong(peer))
    }

    /// Where the operator's token is, if the server made one.
    pub(crate) fn own_token_file(&self) -> Option<PathBuf> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.as_ref().map(|own| own.path().to_owned())
    }

    /// A request may call the server by this name, without its port, though it is no loopback name.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Pages of this origin may call.
    pub(crate) fn is_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// How often whoever shows this may submit, if that is bounded.
    pub(crate) fn rate(&self, token: Option<&Token>) -> Option<Rate> {
        token.and_then(|token| token.rate).or(self.rate)
    }

    /// Every tenant that a token gives a weight, with it.
    pub(crate) fn weights(&self) -> Vec<(Arc<str>, f64)> {
        let tokens = self.tokens();
        let mut weights: Vec<_> =
            tokens.values().filter_map(|token| Some((token.tenant.clone()?, token.weight?))).collect();
        weights.sort_by(|one, other| one.0.cmp(&other.0));
        weights.dedup_by(|one, other| one.0 == other.0);
        weights
    }

    fn tokens(&self) -> Arc<HashMap<TokenHash, Arc<Token>>> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wrong(&self, peer: IpAddr) -> TokenError {
        match self.failures.count(peer, Instant::now()) {
            Verdict::Log => {
                tracing::warn!(target: "audit", %peer, "a token that nobody has");
                TokenError::Wrong
            }
            Verdict::Last(left) => {
                let seconds = left.as_secs();
                tracing::warn!(target: "audit", %peer, seconds, "tokens that nobody has: no more is said of them for so long");
                TokenError::Wrong
            }
            Verdict::Throttle(left) => TokenError::Throttled(left),
        }
    }
}

fn read(tokens_file: &Path, admin_token_file: &Path) -> anyhow::Result<HashMap<TokenHash, Arc<Token>>> {
    let mut tokens = HashMap::new();
    if !tokens_file.as_os_str().is_empty() {
        warn_of_others(tokens_file, 0o022);
        tokens = token_file::read(tokens_file)?;
    }
    if !admin_token_file.as_os_str().is_empty() {
        warn_of_others(admin_token_file, 0o066);
        tokens.insert(digest(&admin_token(admin_token_file)?), Arc::new(operator()));
    }
    Ok(tokens)
}

fn operator() -> Token {
    Token { name: ADMIN.into(), tenant: None, rights: Rights::ADMIN, weight: None, rate: None }
}

fn admin_token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading the admin token {file:?}"))?;
    let token = text.trim();
    let bytes = token.len();
    ensure!(bytes > 0, "expected a token in {file:?}, it is empty");
    ensure!(
        bytes >= LEAST_TOKEN_BYTES,
        "expected a token of at least {LEAST_TOKEN_BYTES} bytes in {file:?}, it has {bytes}"
    );
    ensure!(token.bytes().all(|byte| byte.is_ascii_graphic()), "expected a token of visible ASCII in {file:?}");
    Ok(token.to_owned())
}

fn warn_of_others(file: &Path, forbidden: u32) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        let (file, done) = (file.display(), if forbidden & 0o044 == 0 { "write" } else { "read or write" });
        tracing::warn!("others than its owner may {done} {file} (mode {mode:03o}); expected 600");
    }
}

#[cfg(test)]
mod tests;
