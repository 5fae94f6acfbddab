//! The modules of every crate form layers: none of them imports, by any number of steps, a module that imports it.
//!
//! A module is a file. It depends on the files in which the names it uses are defined; a re-export is not a dependency,
//! neither of the one who re-exports (a facade says what there is) nor of the one who goes through it (he depends on the
//! file where the name is defined). Code for tests is left out.

mod graph;
pub(crate) mod source;

use std::path::{Path, PathBuf};

use source::Crate;

/// The folder that the whole workspace is in.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folders of all crates of the workspace, as its `Cargo.toml` lists them.
fn crates() -> Vec<String> {
    let manifest = std::fs::read_to_string(workspace().join("Cargo.toml")).expect("the workspace has a manifest");
    let manifest: toml::Table = manifest.parse().expect("it is TOML");
    let members = manifest["workspace"]["members"].as_array().expect("it lists its members");
    members.iter().map(|folder| folder.as_str().expect("a folder is text").to_owned()).collect()
}

#[test]
fn modules_form_layers() {
    let crates = crates();
    let circles: Vec<String> = crates
        .iter()
        .flat_map(|folder| {
            let parsed = Crate::parse(&workspace().join(folder).join("src")).expect("the crate's files parse");
            graph::circles(&parsed.edges()).into_iter().map(move |circle| format!("{folder}: {circle}"))
        })
        .collect();
    assert!(circles.is_empty(), "modules that import each other:\n{}", circles.join("\n"));
}

#[test]
fn all_crates_are_looked_at() {
    let crates = crates();
    for folder in ["host/core", "host/server", "models", "sdk", "policies/exact", "tests"] {
        assert!(crates.iter().any(|known| known == folder), "{folder} is not among {crates:?}");
    }
    let parsed = Crate::parse(&workspace().join("host/server/src")).expect("the crate's files parse");
    assert!(parsed.modules() > 10, "{} modules", parsed.modules());
}

#[test]
fn a_circle_is_found_through_a_facade_and_named_with_its_imports() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use b::B; pub use c::C;");
    write("a.rs", "use crate::B; pub struct A(B);");
    write("b.rs", "pub struct B; fn f() { println!(\"{}\", crate::a::A::name()) }");
    write("c.rs", "use crate::{A, B}; pub struct C(A, B); #[cfg(test)] mod tests { use super::*; }");
    let parsed = Crate::parse(folder.path()).unwrap();
    let circles = graph::circles(&parsed.edges());
    assert_eq!(circles, ["a, b (a -> b, b -> a)"]);
}

#[test]
fn a_child_that_uses_a_parent_which_uses_it_is_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    write("lib.rs", "mod a;");
    write("a.rs", "mod b; pub struct A; fn f() { b::g() }");
    write("a/b.rs", "use super::A; pub fn g() -> Option<A> { None }");
    assert_eq!(graph::circles(&Crate::parse(folder.path()).unwrap().edges()), ["a, a::b (a -> a::b, a::b -> a)"]);
    write("a/b.rs", "pub fn g() {}");
    assert!(graph::circles(&Crate::parse(folder.path()).unwrap().edges()).is_empty());
}
