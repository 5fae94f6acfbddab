//! A policy by its name or file, and its settings, as commands take them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A policy's name for people, and its component: a shipped policy by name, anything else is a file.
pub fn component(policy: &str) -> Result<(String, Vec<u8>)> {
    if let Some(bytes) = mosel_policies::shipped(policy) {
        return Ok((policy.into(), bytes.into()));
    }
    let path = Path::new(policy);
    if !path.exists() {
        let shipped: Vec<&str> = mosel_policies::SHIPPED.iter().map(|(name, _)| *name).collect();
        bail!("expected a component's file or one of the shipped policies {}, got {policy:?}", shipped.join(", "));
    }
    Ok((name_of(path), read(path)?))
}

/// What a file is called without `.wasm`.
pub fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// A component; read no further than any server would take.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let most = mosel_sandbox::Limits::default().component_bytes as u64;
    let length = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    anyhow::ensure!(length <= most, "{} has {length} bytes, expected at most {most}", path.display());
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Settings: JSON, or `@FILE` with JSON in it.
pub fn settings(text: Option<&str>) -> Result<serde_json::Map<String, serde_json::Value>> {
    let Some(text) = text else { return Ok(serde_json::Map::new()) };
    let text = match text.strip_prefix('@').map(PathBuf::from) {
        Some(file) => std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).with_context(|| format!("expected settings as a JSON object, got {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_an_object_or_a_file_with_one() {
        assert!(settings(None).unwrap().is_empty());
        assert_eq!(settings(Some(r#"{"a": 1}"#)).unwrap()["a"], 1);
        let file = std::env::temp_dir().join(format!("mosel-settings-{}.json", std::process::id()));
        std::fs::write(&file, r#"{"b": true}"#).unwrap();
        assert_eq!(settings(Some(&format!("@{}", file.display()))).unwrap()["b"], true);
        std::fs::remove_file(file).unwrap();
        for wrong in ["[1]", "{", "fast"] {
            let message = settings(Some(wrong)).unwrap_err().to_string();
            assert!(message.starts_with("expected settings as a JSON object"), "{message}");
        }
    }

    #[test]
    fn a_policy_is_shipped_or_a_file() {
        assert_eq!(component("greedy").unwrap().0, "greedy");
        let message = component("lazy").unwrap_err().to_string();
        assert!(message.contains("greedy") && message.contains("got \"lazy\""), "{message}");
    }
}
