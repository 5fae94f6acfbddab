//! Making tokens: random, shown once, kept as a hash.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, ensure};

use super::rights::Right;
use super::token::digest;
use super::token_file;

/// Random bytes of a token.
const TOKEN_BYTES: usize = 24;

/// What a new token is for.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenPurpose {
    /// Its name in logs, and in the file; the tenant's and a few digits where none is chosen.
    pub name: Option<String>,
    /// Whose jobs it is for.
    pub tenant: Option<String>,
    /// What it may do.
    pub rights: Vec<Right>,
    /// The tenant's share of what is scarce, beside others' 1.
    pub weight: Option<f64>,
    /// Submissions a second.
    pub rate: Option<f64>,
}

/// A token that nobody knows yet, and what a file of tokens has of it.
#[derive(Debug)]
pub struct NewToken {
    /// The token.
    pub token: String,
    /// Its entry in a file of tokens, which does not tell it.
    pub entry: String,
}

impl NewToken {
    /// A token for this.
    pub fn new(purpose: &TokenPurpose) -> anyhow::Result<NewToken> {
        let token = random_token()?;
        let TokenPurpose { name, tenant, rights, weight, rate } = purpose;
        let text = |text: &str| toml::Value::from(text).to_string();
        let hash = hex::encode(digest(&token));
        let name = name.clone().unwrap_or_else(|| default_name(tenant.as_deref(), &hash));
        let mut entry = format!("[[token]]\nname = {}\nsha256 = \"{}\"\n", text(&name), hash);
        if let Some(tenant) = tenant {
            entry += &format!("tenant = {}\n", text(tenant));
        }
        let rights: Vec<String> = rights.iter().map(|right| format!("\"{right}\"")).collect();
        entry += &format!("rights = [{}]\n", rights.join(", "));
        for (field, value) in [("weight", weight), ("rate", rate)] {
            if let Some(value) = value {
                entry += &format!("{field} = {value:?}\n");
            }
        }
        token_file::parse(&entry)?;
        Ok(NewToken { token, entry })
    }

    /// Adds the entry to a file, which is made, for its owner only, if it is not there. What is there stays as it is.
    pub fn add_to(&self, file: &Path) -> anyhow::Result<()> {
        let writing = || format!("adding a token to {}", file.display());
        let mut options = OpenOptions::new();
        let mut open = options.read(true).append(true).create(true).mode(0o600).open(file).with_context(writing)?;
        // two that are made at the same time both get in
        open.lock().with_context(writing)?;
        let mut text = before(&mut open).with_context(writing)?;
        let glue = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let added = format!("{glue}{}{}", if text.is_empty() { "" } else { "\n" }, self.entry);
        text += &added;
        token_file::parse(&text).with_context(writing)?;
        // in one piece: a server that reads meanwhile sees all of it or nothing
        open.write_all(added.as_bytes()).and_then(|()| open.sync_all()).with_context(writing)
    }
}

/// Tokens of one tenant differ in their names.
fn default_name(tenant: Option<&str>, hash: &str) -> String {
    let ascii = tenant.unwrap_or("admin").chars().filter(char::is_ascii_graphic).take(50);
    format!("{}-{}", ascii.collect::<String>(), &hash[..6])
}

fn before(file: &mut File) -> anyhow::Result<String> {
    let mut text = String::new();
    file.take(token_file::MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= token_file::MAX_FILE_BYTES, "it is larger than a file of tokens may be");
    Ok(text)
}

/// A token that nobody guesses.
pub(super) fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system has no random numbers: {error}"))?;
    Ok(format!("mosel_{}", hex::encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purpose(name: &str) -> TokenPurpose {
        let rights = vec![Right::Submit, Right::Read];
        TokenPurpose { name: Some(name.into()), tenant: Some("acme".into()), rights, weight: Some(2.0), rate: None }
    }

    #[test]
    fn a_file_of_tokens_grows_and_tells_no_token() {
        let folder = std::env::temp_dir().join(format!("mosel-new-token-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("tokens.toml");
        std::fs::write(&file, "# ours").unwrap();
        let new = |name: &str| NewToken::new(&purpose(name)).unwrap();
        let (first, second) = (new("first"), new("it's \"second\"".replace(' ', "_").as_str()));
        first.add_to(&file).unwrap();
        second.add_to(&file).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("# ours\n\n[[token]]\n") && !text.contains(&first.token[6..]), "{text}");
        let tokens = token_file::read(&file).unwrap();
        assert_eq!(&*tokens[&digest(&first.token)].name, "first");
        assert_eq!(tokens[&digest(&second.token)].weight, Some(2.0));
        let again = new("first").add_to(&file).unwrap_err();
        assert!(format!("{again:#}").contains("is there twice"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "a file that would be broken stays as it was");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_purpose_that_makes_no_sense_is_refused() {
        assert!(NewToken::new(&TokenPurpose { tenant: None, ..purpose("a") }).is_err());
        assert!(NewToken::new(&TokenPurpose { rights: vec![], ..purpose("a") }).is_err());
        let unnamed = NewToken::new(&TokenPurpose { name: None, ..purpose("a") }).unwrap();
        assert!(unnamed.entry.contains("name = \"acme-"), "{}", unnamed.entry);
    }
}
