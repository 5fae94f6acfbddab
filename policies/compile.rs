//! Compiles guest crates of this workspace to components. Shared by the build scripts of `policies` and `tests`.
//!
//! A nested cargo does it, in a target folder of its own: the outer cargo holds the lock of the other one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";

/// A guest crate, and what its component is called.
pub(crate) struct Guest<'a> {
    pub(crate) package: &'a str,
    pub(crate) features: &'a [&'a str],
    pub(crate) name: &'a str,
}

/// Compiles the guests and leaves `NAME.wasm` of each in `OUT_DIR`; if a guest cannot be compiled, the build ends with
/// one line that says what to do.
pub(crate) fn compile(workspace: &Path, guests: &[Guest]) {
    if let Err(reason) = try_compile(workspace, guests) {
        println!("cargo::error={reason}");
        std::process::exit(1);
    }
}

fn try_compile(workspace: &Path, guests: &[Guest]) -> Result<(), String> {
    watch(workspace);
    if !target_is_there()? {
        return Err(format!(
            "policies are compiled for {TARGET}, which this toolchain lacks: run `rustup target add {TARGET}`, \
             or set MOSEL_POLICY_DIR to a folder with prebuilt NAME.wasm components"
        ));
    }
    let target_dir = target_dir();
    for guest in guests {
        cargo_build(workspace, &target_dir, guest)?;
        let built = target_dir.join(TARGET).join("guest").join(format!("{}.wasm", guest.package.replace('-', "_")));
        copy(&built, &out_dir().join(format!("{}.wasm", guest.name)))?;
    }
    Ok(())
}

/// Takes `NAME.wasm` of each guest from this folder instead.
pub(crate) fn copy_prebuilt(folder: &Path, names: &[&str]) {
    for name in names {
        let from = folder.join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", from.display());
        if let Err(reason) = copy(&from, &out_dir().join(format!("{name}.wasm"))) {
            println!("cargo::error=MOSEL_POLICY_DIR: {reason}");
            std::process::exit(1);
        }
    }
}

pub(crate) fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
}

/// The sources every guest is made of; callers add their own.
fn watch(workspace: &Path) {
    for path in ["Cargo.lock", "Cargo.toml", ".cargo/config.toml", "sdk/Cargo.toml", "sdk/src", "sdk/wit"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    println!("cargo::rerun-if-changed={}", Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs").display());
    println!("cargo::rerun-if-changed={}", workspace.join("policies/compile.rs").display());
}

fn target_is_there() -> Result<bool, String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(&rustc);
    command.args(["--print", "target-libdir", "--target", TARGET]);
    let output = command.output().map_err(|error| format!("{} does not start: {error}", rustc.display()))?;
    let libdir = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(libdir.trim()).is_dir())
}

/// Beside the folder of build scripts' outputs, one for all nested builds, so that the SDK is compiled once.
fn target_dir() -> PathBuf {
    let out_dir = out_dir();
    // OUT_DIR is <profile>/build/<package>-<hash>/out
    out_dir.ancestors().nth(3).unwrap_or(&out_dir).join("guests")
}

fn cargo_build(workspace: &Path, target_dir: &Path, guest: &Guest) -> Result<(), String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace).stdin(Stdio::null());
    // The outer cargo has settled the lock file; with every crate fetched this needs no network.
    cargo.args(["build", "--locked", "--profile", "guest", "--target", TARGET, "--package", guest.package]);
    cargo.args(["--config", &format!("target.{TARGET}.linker=\"wasm-component-ld\"")]);
    cargo.arg("--target-dir").arg(target_dir);
    if !guest.features.is_empty() {
        cargo.arg("--features").arg(guest.features.join(","));
    }
    scrub(&mut cargo);
    let output = cargo.output().map_err(|error| format!("cargo does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Err(format!("{} does not compile to a component; cargo's words are above", guest.package))
}

/// What the outer cargo set for its own target must not reach the nested one.
fn scrub(cargo: &mut Command) {
    const NAMES: [&str; 11] = [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
        "CARGO_MAKEFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "TARGET",
        "HOST",
        "OUT_DIR",
    ];
    const PREFIXES: [&str; 5] = ["CARGO_FEATURE_", "CARGO_CFG_", "CARGO_PROFILE_", "CLIPPY_", "DEP_"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if NAMES.contains(&&*text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("{} cannot be copied to {}: {error}", from.display(), to.display()))
}
