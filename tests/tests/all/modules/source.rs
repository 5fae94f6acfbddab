//! A crate's modules as its source text has them, and which file's names each of them uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Attribute, File, Item, UseTree};

use super::graph::Edges;

/// A path from the crate's root: empty for the root itself.
type ModulePath = Vec<String>;

/// A crate, file by file.
pub(crate) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Default)]
struct Module {
    /// What is defined in it, modules apart.
    items: BTreeSet<String>,
    /// What it imports: the name, the path, and whether it is only passed on.
    imports: Vec<Import>,
    /// Other paths that its code names.
    paths: BTreeSet<Vec<String>>,
}

struct Import {
    name: String,
    path: Vec<String>,
    passed_on: bool,
}

/// Imports are followed so far: re-exports may name each other.
const DEEPEST: usize = 16;

impl Crate {
    /// Reads `lib.rs` or `main.rs` in this folder, and every module that it has.
    pub(crate) fn parse(src: &Path) -> Result<Crate, String> {
        let mut parsed = Crate { modules: BTreeMap::new() };
        let roots = ["lib.rs", "main.rs"].map(|name| src.join(name));
        let root = roots.iter().find(|root| root.exists()).ok_or("expected lib.rs or main.rs")?;
        parsed.read(root, src, Vec::new())?;
        Ok(parsed)
    }

    /// How many modules there are.
    pub(crate) fn modules(&self) -> usize {
        self.modules.len()
    }

    fn read(&mut self, file: &Path, children: &Path, path: ModulePath) -> Result<(), String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let parsed: File = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut module = Module::default();
        for item in &parsed.items {
            let Item::Mod(child) = item else {
                module.item(item);
                continue;
            };
            let name = child.ident.to_string();
            if is_for_tests(&child.attrs) {
                continue;
            }
            if let Some((_, items)) = &child.content {
                items.iter().for_each(|item| module.item(item));
                continue;
            }
            let (flat, folder) = (children.join(format!("{name}.rs")), children.join(&name));
            let file: PathBuf = if flat.exists() { flat } else { folder.join("mod.rs") };
            self.read(&file, &folder, [path.as_slice(), &[name]].concat())?;
        }
        self.modules.insert(path, module);
        Ok(())
    }

    /// Which module depends on which, by names such as `a::b`; the root is `crate`.
    pub(crate) fn edges(&self) -> Edges {
        self.modules.iter().map(|(path, module)| (written(path), self.used_by(path, module))).collect()
    }

    fn used_by(&self, path: &ModulePath, module: &Module) -> BTreeSet<String> {
        let imported = module.imports.iter().filter(|import| !import.passed_on).map(|import| &import.path);
        let named = imported.chain(&module.paths);
        let used = named.filter_map(|named| self.resolve(path, named, DEEPEST)).filter(|used| used != path);
        used.map(|used| written(&used)).collect()
    }

    /// The module in which what a path names is defined; `None` for what is not of this crate.
    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
        let mut here = from.clone();
        let mut moved = false;
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => here.clear(),
                "self" => {}
                "super" => {
                    here.pop();
                }
                name => {
                    let child = [here.as_slice(), &[name.to_owned()]].concat();
                    let module = self.modules.get(&here)?;
                    if self.modules.contains_key(&child) {
                        here = child;
                    } else if module.items.contains(name) {
                        return Some(here);
                    } else if let Some(import) = module.imports.iter().find(|import| import.name == name) {
                        // an import of the same name as a crate's own module never stands for itself
                        let target = (depth > 0).then(|| self.resolve(&here, &import.path, depth - 1))??;
                        let is_module = import.path.last() == target.last();
                        return if is_module && !after.is_empty() {
                            self.resolve(&target, after, depth - 1).or(Some(target))
                        } else {
                            Some(target)
                        };
                    } else {
                        return (moved && name == "*").then_some(here);
                    }
                }
            }
            moved = true;
            rest = after;
        }
        moved.then_some(here)
    }
}

impl Module {
    fn item(&mut self, item: &Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        if let Item::Use(import) = item {
            let passed_on = !matches!(import.vis, syn::Visibility::Inherited);
            self.import(&import.tree, &mut Vec::new(), passed_on);
            return;
        }
        self.items.extend(name(item));
        Paths(self).visit_item(item);
    }

    fn import(&mut self, tree: &UseTree, path: &mut Vec<String>, passed_on: bool) {
        let named = |path: &[String], last: String| [path, &[last]].concat();
        match tree {
            UseTree::Path(segment) => {
                path.push(segment.ident.to_string());
                self.import(&segment.tree, path, passed_on);
                path.pop();
            }
            UseTree::Name(name) if name.ident == "self" => {
                let name = path.last().cloned().unwrap_or_default();
                self.imports.push(Import { name, path: path.clone(), passed_on });
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                self.imports.push(Import { path: named(path, name.clone()), name, passed_on });
            }
            UseTree::Rename(rename) => {
                let path = named(path, rename.ident.to_string());
                self.imports.push(Import { name: rename.rename.to_string(), path, passed_on });
            }
            UseTree::Glob(_) => {
                self.imports.push(Import { name: "*".into(), path: named(path, "*".into()), passed_on });
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, path, passed_on)),
        }
    }

    /// Paths in what a macro is given: `a::b::c`, wherever it stands.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.path(std::mem::take(&mut path));
                    self.tokens(group.stream());
                }
                _ => {
                    self.path(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.path(path);
    }

    fn path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }
}

/// Collects the paths that an item's code names.
struct Paths<'m>(&'m mut Module);

impl Visit<'_> for Paths<'_> {
    fn visit_path(&mut self, path: &syn::Path) {
        self.0.path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.0.tokens(call.tokens.clone());
        syn::visit::visit_macro(self, call);
    }

    fn visit_item_use(&mut self, import: &syn::ItemUse) {
        self.0.import(&import.tree, &mut Vec::new(), false);
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => &[],
    }
}

/// What an item defines; modules, imports and `impl`s define nothing.
pub(crate) fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(ident.to_string())
}

fn written(path: &ModulePath) -> String {
    if path.is_empty() { "crate".into() } else { path.join("::") }
}
