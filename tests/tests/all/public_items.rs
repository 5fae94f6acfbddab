//! What a library shows is what others use: public items that no other crate names are few.
//!
//! An item counts if it is `pub` and reachable from its crate's root, no source outside the crate's `src` has its name (not of
//! other packages, nor of its own tests, benches and examples), and it stands in no public field or signature of its crate:
//! a type that others are given without writing it down has to be public.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::Visit;
use syn::{Item, UseTree, Visibility};

use crate::modules::source::name;
use crate::modules::workspace;

/// Libraries that are looked at: all of the server. The SDK is for others, as are the examples of policies.
const LIBRARIES: [&str; 14] = [
    "host/core",
    "host/sim",
    "host/journal",
    "host/chart",
    "host/sandbox",
    "host/conformance",
    "host/server",
    "host/client",
    "host/eval",
    "host/cli",
    "models",
    "models/torch",
    "policies",
    "tests/testkit",
];

/// So many public items may be named nowhere else.
const MOST: usize = 20;

#[test]
fn public_items_are_used_elsewhere() {
    let root = workspace();
    let sources = Sources::read(&root);
    let mut unnamed = Vec::new();
    for library in LIBRARIES {
        let src = root.join(library).join("src");
        if !src.join("lib.rs").exists() {
            continue;
        }
        let (elsewhere, given) = (sources.outside(&src), given(&src));
        let mut items = BTreeSet::new();
        public(&src.join("lib.rs"), &src, &mut items);
        let superfluous = items.into_iter().filter(|item| !elsewhere.contains(item) && !given.contains(item));
        unnamed.extend(superfluous.map(|item| format!("{library}: {item}")));
    }
    println!("{} public items are named nowhere else:\n{}", unnamed.len(), unnamed.join("\n"));
    assert!(unnamed.len() <= MOST, "expected at most {MOST}, got {}:\n{}", unnamed.len(), unnamed.join("\n"));
}

/// The names of every source file of the workspace.
struct Sources(BTreeMap<PathBuf, BTreeSet<String>>);

impl Sources {
    fn read(root: &Path) -> Sources {
        let mut files = Vec::new();
        ["host", "models", "policies", "sdk", "tests"]
            .iter()
            .for_each(|folder| collect(&root.join(folder), &mut files));
        let names = |file: &PathBuf| {
            let tokens: TokenStream = text(file).parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut names = BTreeSet::new();
            identifiers(tokens, &mut names);
            names
        };
        Sources(files.into_iter().map(|file| (file.clone(), names(&file))).collect())
    }

    /// All that is named in files that are not in this folder.
    fn outside(&self, folder: &Path) -> BTreeSet<&String> {
        self.0.iter().filter(|(file, _)| !file.starts_with(folder)).flat_map(|(_, names)| names).collect()
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let is_output = path.file_name().is_some_and(|name| name == "target");
        let entries = std::fs::read_dir(path).into_iter().flatten().filter(|_| !is_output);
        entries.for_each(|entry| collect(&entry.expect("a folder of sources can be read").path(), files));
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    }
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn identifiers(tokens: TokenStream, names: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => drop(names.insert(name.to_string())),
            TokenTree::Group(group) => identifiers(group.stream(), names),
            _ => {}
        }
    }
}

/// The public names of a module and of the public modules below it, whose files are in `children`.
fn public(file: &Path, children: &Path, names: &mut BTreeSet<String>) {
    let parsed = syn::parse_file(&text(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for item in &parsed.items {
        let Some(visibility) = visibility(item) else { continue };
        if !matches!(visibility, Visibility::Public(_)) {
            continue;
        }
        match item {
            Item::Mod(module) => {
                let name = module.ident.to_string();
                let (flat, folder) = (children.join(format!("{name}.rs")), children.join(&name));
                if module.content.is_none() {
                    public(&if flat.exists() { flat } else { folder.join("mod.rs") }, &folder, names);
                }
            }
            Item::Use(import) => imported(&import.tree, names),
            other => names.extend(name(other)),
        }
    }
}

/// All names in public fields and signatures of a crate.
fn given(src: &Path) -> BTreeSet<String> {
    let mut files = Vec::new();
    collect(src, &mut files);
    let mut given = Given(BTreeSet::new());
    for file in files {
        let parsed = syn::parse_file(&text(&file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        given.visit_file(&parsed);
    }
    given.0
}

struct Given(BTreeSet<String>);

impl Given {
    fn tokens(&mut self, shown: &impl ToTokens) {
        identifiers(shown.to_token_stream(), &mut self.0);
    }
}

impl Visit<'_> for Given {
    fn visit_field(&mut self, field: &syn::Field) {
        if matches!(field.vis, Visibility::Public(_)) {
            self.tokens(&field.ty);
        }
    }

    fn visit_item_enum(&mut self, item: &syn::ItemEnum) {
        let fields = item.variants.iter().flat_map(|variant| &variant.fields);
        fields.filter(|_| matches!(item.vis, Visibility::Public(_))).for_each(|field| self.tokens(&field.ty));
    }

    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        if matches!(item.vis, Visibility::Public(_)) {
            self.tokens(&item.sig);
        }
    }

    fn visit_item_trait(&mut self, item: &syn::ItemTrait) {
        if matches!(item.vis, Visibility::Public(_)) {
            self.tokens(&item.items.iter().map(ToTokens::to_token_stream).collect::<TokenStream>());
        }
    }

    fn visit_item_impl(&mut self, item: &syn::ItemImpl) {
        for member in &item.items {
            match member {
                syn::ImplItem::Fn(method) if matches!(method.vis, Visibility::Public(_)) => self.tokens(&method.sig),
                // what a trait's implementation says of itself, such as `type Err`
                syn::ImplItem::Type(kind) => self.tokens(&kind.ty),
                _ => {}
            }
        }
    }
}

/// What a re-export shows; a whole module by its name, which is as good as any.
fn imported(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => imported(&path.tree, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(rename) => drop(names.insert(rename.rename.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| imported(tree, names)),
        UseTree::Glob(_) => {}
    }
}

fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(item) => Some(&item.vis),
        Item::Enum(item) => Some(&item.vis),
        Item::Fn(item) => Some(&item.vis),
        Item::Mod(item) => Some(&item.vis),
        Item::Static(item) => Some(&item.vis),
        Item::Struct(item) => Some(&item.vis),
        Item::Trait(item) => Some(&item.vis),
        Item::Type(item) => Some(&item.vis),
        Item::Use(item) => Some(&item.vis),
        _ => None,
    }
}
