//! `mosel policy new`: a folder with a crate that works, from the SDK's template.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

/// Starts a policy of your own.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Its name, and the folder's: small letters, digits and dashes, such as my-policy
    name: String,
    /// Folder of the SDK; without it, that of the sources this program was built from
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// (where it goes, template)
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("../../../../sdk/template/Cargo.toml.in")),
    (".cargo/config.toml", include_str!("../../../../sdk/template/config.toml")),
    ("src/lib.rs", include_str!("../../../../sdk/template/lib.rs")),
    ("README.md", include_str!("../../../../sdk/template/README.md")),
    (".gitignore", include_str!("../../../../sdk/template/gitignore")),
];
const LONGEST_NAME: usize = 48;
/// Words that a crate cannot be called.
const TAKEN: [&str; 12] =
    ["core", "std", "alloc", "test", "proc-macro", "self", "super", "crate", "fn", "mosel-sdk", "serde", "serde-json"];

pub(super) fn run(args: &NewArgs) -> Result<()> {
    let NewArgs { name, sdk } = args;
    check_name(name)?;
    let folder = Path::new(name);
    ensure!(!folder.exists(), "expected a name that is free here, {name} exists");
    let sdk = sdk_folder(sdk.as_deref())?;
    for (place, template) in FILES {
        write(&folder.join(place), &rendered(template, name, &sdk))?;
    }
    println!(
        "{name} is a policy that works. Next:\n\n    \
         cd {name}\n    \
         cargo test                       natively, no server needed\n    \
         mosel policy build               compiles it to {name}.wasm\n    \
         mosel policy check {name}.wasm   tells whether it is fit to schedule\n    \
         mosel policy push {name} {name}.wasm\n    \
         mosel policy use {name}          lets it decide on the server at http://127.0.0.1:7070\n\n\
         What it does is in src/lib.rs."
    );
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let sound = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|character| matches!(character, 'a'..='z' | '0'..='9' | '-'))
        && !name.ends_with('-')
        && !name.contains("--")
        && name.len() <= LONGEST_NAME;
    if !sound {
        bail!(
            "expected a name of small letters, digits and single dashes that begins with a letter, of at most \
             {LONGEST_NAME} characters; got {name:?}"
        );
    }
    ensure!(!TAKEN.contains(&name), "expected a name that a crate can have, {name:?} is taken");
    Ok(())
}

fn sdk_folder(given: Option<&Path>) -> Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk"),
    };
    if !folder.join("Cargo.toml").is_file() || !folder.join("wit").is_dir() {
        match given {
            Some(_) => bail!("expected the folder of mosel-sdk, {} is not it", folder.display()),
            None => {
                bail!("the sources this program was built from are gone: expected --sdk PATH, the folder of mosel-sdk")
            }
        }
    }
    folder.canonicalize().with_context(|| format!("finding {}", folder.display()))
}

fn rendered(template: &str, name: &str, sdk: &Path) -> String {
    // a path may hold what TOML would take for an escape
    let sdk = sdk.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    template.replace("{{name}}", name).replace("{{type}}", &type_name(name)).replace("{{sdk}}", &sdk)
}

/// `my-policy` is `MyPolicy`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('-').map(capital).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().expect("it is in the policy's folder");
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_crates_and_types_can_be_called() {
        for name in ["my-policy", "a", "fair2", "x-1-y"] {
            check_name(name).unwrap();
        }
        for name in ["", "My", "1st", "a_b", "-a", "a-", "a--b", "a/b", "../a", "core", &"a".repeat(49)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert_eq!((type_name("my-policy"), type_name("x-1-y")), ("MyPolicy".into(), "X1Y".into()));
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for (place, template) in FILES {
            let text = rendered(template, "my-policy", Path::new("/sdk"));
            assert!(!text.contains("{{"), "{place}: {text}");
        }
    }

    #[test]
    fn the_sdk_is_found_beside_this_crate_or_where_it_is_said_to_be() {
        let here = sdk_folder(None).unwrap();
        assert_eq!(sdk_folder(Some(&here)).unwrap(), here);
        let message = sdk_folder(Some(Path::new("/"))).unwrap_err().to_string();
        assert_eq!(message, "expected the folder of mosel-sdk, / is not it");
    }
}
