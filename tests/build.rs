//! Compiles the hostile guests to components, or takes prebuilt ones from `MOSEL_POLICY_DIR`.

#[path = "../policies/compile.rs"]
mod compile;

use std::env;
use std::path::Path;

use compile::Guest;

/// Names of the components, and the feature of the guests' crate that each needs.
const GUESTS: [(&str, &[&str]); 5] = [
    ("hostile", &[]),
    ("loop-at-start", &["loop-at-start"]),
    ("loop-in-describe", &["loop-in-describe"]),
    ("trap-in-describe", &["trap-in-describe"]),
    ("boast-in-describe", &["boast-in-describe"]),
];

fn main() {
    if let Ok(libtorch) = env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{libtorch}");
    }
    println!("cargo::rerun-if-env-changed=MOSEL_POLICY_DIR");
    match env::var_os("MOSEL_POLICY_DIR") {
        Some(folder) => compile::copy_prebuilt(Path::new(&folder), &GUESTS.map(|(name, _)| name)),
        None => build(),
    }
}

fn build() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("cargo::rerun-if-changed={}", here.join("guests/Cargo.toml").display());
    println!("cargo::rerun-if-changed={}", here.join("guests/src").display());
    let guests = GUESTS.map(|(name, features)| Guest { package: "hostile-guests", features, name });
    compile::compile(here.parent().expect("tests is a folder of the workspace"), &guests);
}
