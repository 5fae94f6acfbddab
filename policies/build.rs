//! Compiles the shipped policies to components, or takes prebuilt ones from `MOSEL_POLICY_DIR`.

mod compile;

use std::env;
use std::fs;
use std::path::Path;

use compile::Guest;

/// The shipped policies; each is the folder of that name.
const SHIPPED: [&str; 3] = ["highest-accuracy", "greedy", "ilp"];

fn main() {
    println!("cargo::rerun-if-env-changed=MOSEL_POLICY_DIR");
    match env::var_os("MOSEL_POLICY_DIR") {
        Some(folder) => compile::copy_prebuilt(Path::new(&folder), &SHIPPED),
        None => build(),
    }
    fs::write(compile::out_dir().join("shipped.rs"), list()).expect("OUT_DIR can be written");
}

fn build() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = SHIPPED.map(|name| format!("policy-{name}"));
    let guests: Vec<Guest> =
        SHIPPED.iter().zip(&packages).map(|(name, package)| Guest { package, features: &[], name }).collect();
    for name in SHIPPED.into_iter().chain(["ilp/web-time"]) {
        println!("cargo::rerun-if-changed={}", here.join(name).join("Cargo.toml").display());
        println!("cargo::rerun-if-changed={}", here.join(name).join("src").display());
    }
    compile::compile(here.parent().expect("policies is a folder of the workspace"), &guests);
}

/// A Rust expression: name and bytes of each.
fn list() -> String {
    let entry = |name| format!("    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),\n");
    format!("&[\n{}]", SHIPPED.map(entry).concat())
}
