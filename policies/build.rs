//! Compiles the shipped policies and the examples to components, or takes prebuilt ones from `MOSEL_POLICY_DIR`.

mod compile;

use std::env;
use std::fs;
use std::path::Path;

use compile::Guest;

/// The shipped policies; each is the folder of that name.
const SHIPPED: [&str; 4] = ["highest-accuracy", "greedy", "ilp", "exact"];

/// Policies to learn from; each is the folder of that name in `examples`.
const EXAMPLES: [&str; 3] = ["earliest-deadline", "tenant-weights", "cheapest"];

fn main() {
    println!("cargo::rerun-if-env-changed=MOSEL_POLICY_DIR");
    match env::var_os("MOSEL_POLICY_DIR") {
        Some(folder) => compile::copy_prebuilt(Path::new(&folder), &[&SHIPPED[..], &EXAMPLES].concat()),
        None => build(),
    }
    for (file, names) in [("shipped.rs", &SHIPPED[..]), ("examples.rs", &EXAMPLES)] {
        fs::write(compile::out_dir().join(file), list(names)).expect("OUT_DIR can be written");
    }
}

fn build() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = [&SHIPPED[..], &EXAMPLES].concat();
    let packages: Vec<String> = names.iter().map(|name| format!("policy-{name}")).collect();
    let guests: Vec<Guest> =
        names.iter().zip(&packages).map(|(name, package)| Guest { package, features: &[], name }).collect();
    let examples = EXAMPLES.map(|name| format!("examples/{name}"));
    let folders = SHIPPED.into_iter().chain(examples.iter().map(String::as_str)).chain(["squeeze", "ilp/web-time"]);
    for folder in folders {
        println!("cargo::rerun-if-changed={}", here.join(folder).join("Cargo.toml").display());
        println!("cargo::rerun-if-changed={}", here.join(folder).join("src").display());
    }
    compile::compile(here.parent().expect("policies is a folder of the workspace"), &guests);
}

/// A Rust expression: name and bytes of each.
fn list(names: &[&str]) -> String {
    let entry =
        |name: &&str| format!("    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),\n");
    format!("&[\n{}]", names.iter().map(entry).collect::<String>())
}
