//! `mosel policy build`: compiles a policy's crate to a component and looks at it once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use mosel_eval::policy_file;
use mosel_sandbox::{Engine, Limits};
use serde_json::Value;

/// Compiles a policy to a component.
#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// Folder of the policy's crate
    #[arg(long, value_name = "DIR", default_value = ".")]
    path: PathBuf,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
}

const TARGET: &str = "wasm32-unknown-unknown";

/// What cargo knows of a policy's crate.
struct Package {
    name: String,
    target_dir: PathBuf,
}

pub(super) fn run(args: &BuildArgs) -> Result<()> {
    let BuildArgs { path, offline } = args;
    let package = package(path, *offline)?;
    ensure_target(path)?;
    compile(path, &package, *offline)?;
    let built =
        package.target_dir.join(TARGET).join("release").join(format!("{}.wasm", package.name.replace('-', "_")));
    let component = path.join(format!("{}.wasm", package.name));
    fs::copy(&built, &component).with_context(|| format!("copying {} to {}", built.display(), component.display()))?;
    let bytes = policy_file::read(&component)?;
    // A policy that no server loads is better known of now.
    let loaded = Engine::new(Limits::default())?.load(&package.name, &bytes);
    let loaded = loaded.with_context(|| format!("{} was built, but no server will load it", component.display()))?;
    let description = loaded.description();
    println!("{}", component.display());
    println!("  {} {}: {}", description.name, description.version, description.summary);
    println!("  {} bytes, sha256 {}", bytes.len(), loaded.hash());
    Ok(())
}

/// Asks cargo: a crate may be part of a workspace, whose target folder it then uses.
fn package(path: &Path, offline: bool) -> Result<Package> {
    let manifest = path.join("Cargo.toml");
    ensure!(manifest.is_file(), "expected a policy's crate, there is no {}", manifest.display());
    let mut cargo = cargo(path);
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    cargo.args(offline.then_some("--offline"));
    let output = cargo.output().context("starting cargo")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    let metadata: Value = serde_json::from_slice(&output.stdout).context("reading what cargo metadata says")?;
    let manifest = manifest.canonicalize().with_context(|| format!("finding {}", manifest.display()))?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let ours = packages.find(|package| package["manifest_path"].as_str().map(Path::new) == Some(&manifest));
    let ours = ours.with_context(|| format!("expected a package in {}, there is none", manifest.display()))?;
    ensure!(is_library(ours), "expected crate-type = [\"cdylib\", \"rlib\"] under [lib] of {}", manifest.display());
    Ok(Package {
        name: ours["name"].as_str().context("a package has a name")?.into(),
        target_dir: metadata["target_directory"].as_str().context("a package has a target folder")?.into(),
    })
}

/// Only a cdylib becomes a component.
fn is_library(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    let kinds = targets.flat_map(|target| target["crate_types"].as_array().into_iter().flatten());
    kinds.into_iter().any(|kind| kind == "cdylib")
}

fn ensure_target(path: &Path) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(path)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("starting rustc")?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || !Path::new(libdir.trim()).is_dir() {
        bail!("policies are compiled for {TARGET}, which this toolchain lacks: run `rustup target add {TARGET}`");
    }
    Ok(())
}

fn compile(path: &Path, package: &Package, offline: bool) -> Result<()> {
    let mut cargo = cargo(path);
    cargo.args(["build", "--release", "--target", TARGET, "--package", &package.name]);
    cargo.args(["--config", &format!("target.{TARGET}.linker=\"wasm-component-ld\"")]);
    cargo.args(offline.then_some("--offline"));
    cargo.arg("--target-dir").arg(&package.target_dir);
    let status = cargo.status().context("starting cargo")?;
    ensure!(status.success(), "{} does not compile; cargo's words are above", package.name);
    Ok(())
}

fn cargo(path: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(path);
    // What was meant for native code does not fit a component.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    cargo
}
