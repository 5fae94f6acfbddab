//! A file of tokens: TOML, with a hash in place of every token, so that whoever reads the file cannot use them.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::rates::Rate;
use super::rights::{Right, Rights};
use super::token::{Token, TokenHash};
use crate::tenant::check_tenant;

/// Bytes of a file at most.
pub(super) const MAX_FILE_BYTES: u64 = 4 << 20;
/// Tokens in a file at most.
const MAX_TOKENS: usize = 10_000;
/// Bytes of a token's name.
const MAX_NAME_BYTES: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFile {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    tenant: Option<String>,
    rights: Vec<Right>,
    weight: Option<f64>,
    /// Submissions a second.
    rate: Option<f64>,
    burst: Option<f64>,
}

/// The tokens of this file, by their hashes.
pub(super) fn read(path: &Path) -> anyhow::Result<HashMap<TokenHash, Arc<Token>>> {
    let reading = || format!("reading the tokens in {}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(reading)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).with_context(reading)?;
    ensure!(text.len() as u64 <= MAX_FILE_BYTES, "expected at most {MAX_FILE_BYTES} bytes in {}", path.display());
    parse(&text).with_context(|| format!("in the tokens {}", path.display()))
}

/// The tokens of this text, by their hashes.
pub(super) fn parse(text: &str) -> anyhow::Result<HashMap<TokenHash, Arc<Token>>> {
    let TokenFile { token: entries } = toml::from_str(text)?;
    ensure!(entries.len() <= MAX_TOKENS, "expected at most {MAX_TOKENS} tokens, got {}", entries.len());
    let (mut tokens, mut names) = (HashMap::new(), HashSet::new());
    let mut weights: HashMap<Arc<str>, f64> = HashMap::new();
    for entry in entries {
        let name = entry.name.clone();
        let (hash, token) = token(entry).with_context(|| format!("the token {name:?}"))?;
        ensure!(names.insert(name.clone()), "expected names of tokens to differ, {name:?} is there twice");
        if let (Some(tenant), Some(weight)) = (&token.tenant, token.weight) {
            let other = *weights.entry(tenant.clone()).or_insert(weight);
            ensure!(other == weight, "expected one weight for the tenant {tenant:?}, got {other} and {weight}");
        }
        let other = tokens.insert(hash, Arc::new(token));
        ensure!(other.is_none(), "expected every token once, {name:?} has the hash of another");
    }
    Ok(tokens)
}

fn token(entry: Entry) -> anyhow::Result<(TokenHash, Token)> {
    let Entry { name, sha256, tenant, rights, weight, rate, burst } = entry;
    let visible = name.bytes().all(|byte| byte.is_ascii_graphic());
    let expected = || format!("expected a name of 1 to {MAX_NAME_BYTES} bytes of visible ASCII, got {name:?}");
    ensure!(visible && (1..=MAX_NAME_BYTES).contains(&name.len()), expected());
    let mut hash = [0; 32];
    if hex::decode_to_slice(&sha256, &mut hash).is_err() {
        bail!("expected sha256 to be 64 hexadecimal digits, got {} characters", sha256.chars().count());
    }
    ensure!(!rights.is_empty(), "expected at least one of the rights submit, read, admin");
    let rights: Rights = rights.into_iter().collect();
    let tenant = tenant.map(|tenant| check_tenant(&tenant).map_err(anyhow::Error::msg)).transpose()?;
    ensure!(tenant.is_some() || rights.admin, "expected a tenant: only an admin's token has none");
    within("weight", weight, 0.01, 100.0)?;
    within("rate", rate, 0.001, 1e6)?;
    within("burst", burst, 1.0, 1e6)?;
    let rate = rate.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second.max(1.0)) });
    ensure!(burst.is_none() || rate.is_some(), "expected a rate beside the burst");
    Ok((hash, Token { name: name.into(), tenant, rights, weight, rate }))
}

fn within(field: &str, value: Option<f64>, least: f64, most: f64) -> anyhow::Result<()> {
    let Some(value) = value else { return Ok(()) };
    ensure!((least..=most).contains(&value), "expected {field} from {least} to {most}, got {value}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn entry(change: &str) -> String {
        let mut fields = vec![
            format!("name = 'web'"),
            format!("sha256 = '{HASH}'"),
            "tenant = 'acme'".into(),
            "rights = ['submit', 'read']".into(),
        ];
        let name = change.split(' ').next().unwrap_or_default();
        fields.retain(|field| !field.starts_with(name) || name.is_empty());
        if change.contains('=') {
            fields.push(change.into());
        }
        format!("[[token]]\n{}\n", fields.join("\n"))
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).map(|tokens| tokens.len()).expect_err(text))
    }

    #[test]
    fn a_token_has_its_tenant_its_rights_and_its_rate() {
        let tokens = parse(&entry("rate = 5")).unwrap();
        let token = tokens.values().next().unwrap();
        assert_eq!((&*token.name, token.tenant.as_deref(), token.rights), ("web", Some("acme"), Rights::OPEN));
        assert_eq!(token.rate, Some(Rate { per_second: 5.0, burst: 5.0 }));
        assert!(parse("").unwrap().is_empty());
        let admin = parse(&entry("rights = ['admin']").replace("tenant = 'acme'\n", "")).unwrap();
        assert_eq!(admin.values().next().unwrap().rights, Rights::ADMIN);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (change, words) in [
            ("name = ''", "expected a name of 1 to 64"),
            ("name = 'a b'", "expected a name of 1 to 64"),
            ("sha256 = 'abc'", "64 hexadecimal digits, got 3"),
            ("rights = []", "at least one of the rights"),
            ("rights = ['root']", "unknown variant"),
            ("tenant = 'a b'", "visible characters"),
            ("tenant", "only an admin's token has none"),
            ("weight = 0", "expected weight from 0.01 to 100, got 0"),
            ("rate = 0", "expected rate from"),
            ("burst = 3", "expected a rate beside the burst"),
            ("expires = 3", "unknown field"),
        ] {
            let refusal = refusal(&entry(change));
            assert!(refusal.contains(words), "{change}: {refusal}");
        }
        assert!(refusal("token = 3").contains("expected"), "{}", refusal("token = 3"));
        assert!(refusal(&(entry("") + &entry(""))).contains("is there twice"));
        assert!(refusal(&(entry("") + &entry("name = 'other'"))).contains("has the hash of another"));
        let weights = entry("weight = 1") + &entry("weight = 2").replace("web", "b").replace(HASH, &"0".repeat(64));
        assert!(refusal(&weights).contains("expected one weight"));
    }

    #[test]
    fn so_many_tokens_and_no_more() {
        let all = |count: usize| {
            let entry = |number: usize| {
                entry("").replace(HASH, &format!("{number:064x}")).replace("web", &format!("t{number}"))
            };
            (0..count).map(entry).collect::<String>()
        };
        assert_eq!(parse(&all(MAX_TOKENS)).unwrap().len(), MAX_TOKENS);
        assert!(refusal(&all(MAX_TOKENS + 1)).contains("expected at most 10000 tokens, got 10001"));
    }
}
