//! `mosel policy`: what an author of policies and the operator of a server need, from an empty folder to a live swap.

mod build;
mod check;
mod live;
mod new;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};

use super::bench;

/// Write, check, measure, push and use scheduling policies.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start a policy of your own: a folder with a crate that works
    New(new::NewArgs),
    /// Compile a policy to a component
    Build(build::BuildArgs),
    /// Tell whether a policy is fit to schedule; the exit status says so too
    Check(check::CheckArgs),
    /// Measure a policy: `mosel bench policy`
    Bench(bench::policy::PolicyBenchArgs),
    /// Send a component to a server, under a name
    Push(live::PushArgs),
    /// Let a policy decide, from now on
    Use(live::UseArgs),
    /// Ask a policy beside the one in place, without obeying it; without a name: what was seen so far
    Shadow(live::ShadowArgs),
    /// Go back to the policy that was in place before
    Rollback(live::ServerArgs),
    /// List the policies of a server
    List(live::ServerArgs),
    /// Show which policy decides, and how well
    Show(live::ServerArgs),
}

/// `mosel policy`.
pub fn run(args: PolicyArgs) -> Result<()> {
    match args.what {
        What::New(args) => new::run(&args),
        What::Build(args) => build::run(&args),
        What::Check(args) => check::run(&args),
        What::Bench(args) => bench::policy::run(&args),
        What::Push(args) => live::push(&args),
        What::Use(args) => live::put_in_place(&args),
        What::Shadow(args) => live::shadow(&args),
        What::Rollback(args) => live::roll_back(&args),
        What::List(args) => live::list(&args),
        What::Show(args) => live::show(&args),
    }
}

/// A policy's name for people, and its component: a shipped policy by name, anything else is a file.
pub(crate) fn component(policy: &str) -> Result<(String, Vec<u8>)> {
    if let Some(bytes) = mosel_policies::shipped(policy) {
        return Ok((policy.into(), bytes.into()));
    }
    let path = Path::new(policy);
    if !path.exists() {
        let shipped: Vec<&str> = mosel_policies::SHIPPED.iter().map(|(name, _)| *name).collect();
        bail!("expected a component's file or one of the shipped policies {}, {policy:?} came", shipped.join(", "));
    }
    Ok((name_of(path), read(path)?))
}

/// What a file is called without `.wasm`.
fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// A component; read no further than any server would take.
fn read(path: &Path) -> Result<Vec<u8>> {
    let most = mosel_sandbox::Limits::default().component_bytes as u64;
    let length = std::fs::metadata(path).with_context(|| format!("reading {}", path.display()))?.len();
    anyhow::ensure!(length <= most, "{} has {length} bytes, expected at most {most}", path.display());
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// Settings: JSON, or `@FILE` with JSON in it.
pub(crate) fn settings(text: Option<&str>) -> Result<serde_json::Map<String, serde_json::Value>> {
    let Some(text) = text else { return Ok(serde_json::Map::new()) };
    let text = match text.strip_prefix('@').map(PathBuf::from) {
        Some(file) => std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?,
        None => text.to_owned(),
    };
    serde_json::from_str(&text).with_context(|| format!("expected settings as a JSON object, {text:?} came"))
}

/// An empty table in the house's style.
fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table
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
        assert!(message.contains("greedy") && message.contains("\"lazy\" came"), "{message}");
    }
}
