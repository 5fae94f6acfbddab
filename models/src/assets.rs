//! The folder of what set-up fetched: data and pretrained towers.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// What set-up fetched. Nothing is read until a file is asked for.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// The folder that set-up uses: `$MOSEL_ASSETS`, else `mosel/assets` in the user's cache.
    pub fn standard() -> Assets {
        let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        let folder = named("MOSEL_ASSETS").or_else(|| Some(cache()?.join("mosel/assets")));
        Assets { folder: folder.unwrap_or_else(|| "mosel-assets".into()) }
    }

    /// Another folder of the same layout.
    pub fn at(folder: impl Into<PathBuf>) -> Assets {
        Assets { folder: folder.into() }
    }

    /// A file or folder in it; one clear line if it is not there.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        if !path.exists() {
            bail!("{} is missing: run `make setup` once (it fetches data and pretrained weights)", path.display());
        }
        Ok(path)
    }

    /// Where something derived from the assets may be kept.
    pub fn cache(&self, name: &str) -> PathBuf {
        self.folder.join("derived").join(name)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_asset_says_how_to_get_it() {
        let error = Assets::at("/nowhere").path("towers/minilm.safetensors").unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/towers/minilm.safetensors is missing: run `make setup`"), "{error}");
    }
}
