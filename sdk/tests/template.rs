//! What `mosel policy new` starts an author with: it compiles, its tests pass, it becomes a component.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SDK: &str = env!("CARGO_MANIFEST_DIR");
/// (template, where it goes)
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml.in", "Cargo.toml"),
    ("config.toml", ".cargo/config.toml"),
    ("lib.rs", "src/lib.rs"),
    ("README.md", "README.md"),
    ("gitignore", ".gitignore"),
];

#[test]
fn a_new_policy_compiles_passes_its_tests_and_becomes_a_component() {
    let folder = instantiate("my-policy", "MyPolicy");
    // Rustfmt's own width: the folder lies in ours, the author's does not.
    cargo(&folder, &["fmt", "--check", "--", "--config", "max_width=100"]);
    cargo(&folder, &["test", "--offline", "--quiet"]);
    cargo(&folder, &["build", "--offline", "--quiet", "--target", "wasm32-unknown-unknown"]);
    let component = fs::read(target(&folder).join("wasm32-unknown-unknown/debug/my_policy.wasm")).unwrap();
    assert!(component.starts_with(b"\0asm\x0d\0\x01\0"), "a component, not a core module");
}

#[test]
fn no_other_placeholder_is_used() {
    for (template, _) in FILES {
        let text = rendered(template, "my-policy", "MyPolicy");
        assert!(!text.contains("{{"), "{template}: {text}");
    }
}

#[test]
fn the_tutorial_shows_what_the_template_holds() {
    let tutorial = fs::read_to_string(Path::new(SDK).join("../docs/policies/tutorial.md")).unwrap();
    let shown = tutorial.split("```").find(|block| block.contains("fn decide")).expect("the heart of it is shown");
    let shown = shown.trim_start_matches("rust");
    assert!(squeezed(&rendered("lib.rs", "my-policy", "MyPolicy")).contains(&squeezed(shown)), "{shown}");
}

/// Without comments and layout.
fn squeezed(code: &str) -> String {
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|character| !character.is_whitespace()).collect()
}

/// A folder of this policy, with the versions that this workspace is locked to: the registry need not be asked.
fn instantiate(name: &str, policy: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    for (template, place) in FILES {
        let place = folder.join(place);
        fs::create_dir_all(place.parent().expect("it is in a folder")).unwrap();
        fs::write(place, rendered(template, name, policy)).unwrap();
    }
    fs::copy(Path::new(SDK).join("../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    folder
}

fn rendered(template: &str, name: &str, policy: &str) -> String {
    let text = fs::read_to_string(Path::new(SDK).join("template").join(template)).unwrap();
    text.replace("{{name}}", name).replace("{{type}}", policy).replace("{{sdk}}", SDK)
}

fn target(folder: &Path) -> PathBuf {
    folder.join("target")
}

fn cargo(folder: &Path, arguments: &[&str]) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder).args(arguments);
    cargo.env("CARGO_TARGET_DIR", target(folder));
    // Nobody debugs this, and it takes a third less time.
    cargo.envs([("CARGO_PROFILE_DEV_DEBUG", "0"), ("CARGO_INCREMENTAL", "0")]);
    // What the outer cargo set for itself is not meant for this one.
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        cargo.env_remove(name);
    }
    let output = cargo.output().expect("cargo starts");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "cargo {arguments:?}:\n{}\n{}", said[0], said[1]);
}
