//! The store: the policies there are, by name. Those that are shipped, those that were pushed, and the files of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mosel_models::files;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Where components are found. A shipped one wins over others of its name.
#[derive(Debug)]
pub(crate) struct PolicyStore {
    /// Holds NAME.wasm; what is pushed goes there too, so that it is still there after a restart.
    dir: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Without a folder: what was pushed.
    pushed: BTreeMap<String, (Bytes, String)>,
    /// With one: what is known of its files.
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug)]
struct File {
    hash: String,
    error: Option<String>,
}

/// A component from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Component {
    /// All of it.
    pub(crate) bytes: Bytes,
    /// SHA-256, in hex.
    pub(crate) hash: String,
    /// How it came into the store.
    pub(crate) source: Source,
}

/// How a component came into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// With the server.
    Shipped,
    /// Over HTTP, kept in memory.
    Pushed,
    /// It is in the folder, whoever put it there.
    File,
}

/// A policy in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredPolicy {
    /// What it is asked for by.
    pub(crate) name: String,
    /// How it came there.
    pub(crate) source: Source,
    /// SHA-256 of its component, in hex, if somebody has read it.
    pub(crate) hash: Option<String>,
    /// Its size.
    pub(crate) bytes: Option<u64>,
    /// Why its file cannot be used as it is now.
    pub(crate) error: Option<String>,
}

/// What a store cannot do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum StoreError {
    /// Not a name.
    #[error("expected a policy's name of letters, digits, - and _, got {0:?}")]
    BadName(String),
    /// Nothing of this name in the store.
    #[error("expected one of the policies {known}, got {name:?}")]
    Unknown {
        /// The name that came.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The file is there and cannot be read.
    #[error("the policy {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// A shipped policy has this name.
    #[error("expected a name of its own, {0} is a shipped policy")]
    Shipped(String),
    /// It is used.
    #[error("the policy {0} is {1}; use another one before")]
    InUse(String, &'static str),
    /// It would hold too much.
    #[error(
        "the store is full: it holds {components} pushed components of {bytes} bytes in all, expected at most \
             {MOST_COMPONENTS} of {MOST_BYTES} bytes; delete some"
    )]
    Full {
        /// What it holds without the one that came.
        components: usize,
        /// The bytes that it would hold with the one that came.
        bytes: u64,
    },
    /// The folder does not take it.
    #[error("the policy {0} cannot be written: {1}")]
    Unwritable(String, String),
}

/// Components that may be pushed.
pub(crate) const MOST_COMPONENTS: usize = 64;
/// Bytes of all components that were pushed.
pub(crate) const MOST_BYTES: u64 = 256 << 20;
/// Larger than any component the sandbox takes: a file that grows without end would fill the memory before the
/// sandbox could refuse it.
const MOST_FILE_BYTES: u64 = 64 << 20;

impl PolicyStore {
    /// The shipped policies, and those of this folder if it is named.
    pub(crate) fn new(dir: &Path) -> PolicyStore {
        PolicyStore { dir: (!dir.as_os_str().is_empty()).then(|| dir.to_owned()), kept: Mutex::default() }
    }

    /// The folder, if there is one.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Every policy, by name; the folder is read anew each time.
    pub(crate) fn list(&self) -> Vec<StoredPolicy> {
        let mut listed: Vec<StoredPolicy> =
            mosel_policies::SHIPPED.iter().map(|&(name, bytes)| shipped(name, bytes)).collect();
        let kept = self.lock();
        listed.extend(kept.pushed.iter().map(|(name, pushed)| in_memory(name, pushed)));
        for (name, bytes) in self.files() {
            if listed.iter().all(|other| other.name != name) {
                let file = kept.files.get(&name).cloned();
                let (hash, error) = file.map_or((None, None), |file| (Some(file.hash), file.error));
                listed.push(StoredPolicy { name, source: Source::File, hash, bytes: Some(bytes), error });
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// The component of this name.
    pub(crate) fn component(&self, name: &str) -> Result<Component, StoreError> {
        check_name(name)?;
        if let Some(bytes) = mosel_policies::shipped(name) {
            return Ok(Component::new(Bytes::from_static(bytes), Source::Shipped));
        }
        if let Some((bytes, hash)) = self.lock().pushed.get(name) {
            return Ok(Component { bytes: bytes.clone(), hash: hash.clone(), source: Source::Pushed });
        }
        self.file(name)?.ok_or_else(|| self.unknown(name))
    }

    /// The component of this name in the folder, if it is there.
    pub(crate) fn file(&self, name: &str) -> Result<Option<Component>, StoreError> {
        check_name(name)?;
        let path = self.dir.as_ref().map(|dir| path(dir, name));
        let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
        let bytes = read(&path).map_err(|error| StoreError::Unreadable(name.into(), error.to_string()))?;
        Ok(Some(Component::new(bytes.into(), Source::File)))
    }

    /// A component of this name and size could be put into the store.
    pub(crate) fn check_room(&self, name: &str, bytes: u64) -> Result<(), StoreError> {
        check_name(name)?;
        if mosel_policies::shipped(name).is_some() {
            return Err(StoreError::Shipped(name.into()));
        }
        self.room(&self.lock(), name, bytes)
    }

    /// Puts a component into the store; says whether one of this name made place for it.
    pub(crate) fn put(&self, name: &str, bytes: Bytes, hash: &str) -> Result<bool, StoreError> {
        self.check_room(name, bytes.len() as u64)?;
        let mut kept = self.lock();
        self.room(&kept, name, bytes.len() as u64)?;
        let Some(dir) = &self.dir else {
            return Ok(kept.pushed.insert(name.into(), (bytes, hash.into())).is_some());
        };
        let path = path(dir, name);
        let replaced = path.exists();
        // known before it is there, so that nobody takes it for a change by hand
        let before = kept.files.insert(name.into(), File { hash: hash.into(), error: None });
        if let Err(error) = files::write_whole(&path, &bytes) {
            kept.files.remove(name);
            kept.files.extend(before.map(|before| (name.to_owned(), before)));
            return Err(StoreError::Unwritable(name.into(), format!("{error:#}")));
        }
        Ok(replaced)
    }

    /// Takes a component that did not come with the server out of the store.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        if mosel_policies::shipped(name).is_some() {
            return Err(StoreError::Shipped(name.into()));
        }
        let mut kept = self.lock();
        if kept.pushed.remove(name).is_some() {
            return Ok(());
        }
        let path = self.dir.as_ref().map(|dir| path(dir, name)).filter(|path| path.exists());
        let Some(path) = path else {
            drop(kept);
            return Err(self.unknown(name));
        };
        std::fs::remove_file(path).map_err(|error| StoreError::Unwritable(name.into(), error.to_string()))?;
        kept.files.remove(name);
        Ok(())
    }

    /// This content of a file was seen before.
    pub(super) fn is_known(&self, name: &str, hash: &str) -> bool {
        self.lock().files.get(name).is_some_and(|file| file.hash == hash)
    }

    /// This content of a file was looked at, and this is wrong with it, if anything.
    pub(super) fn note(&self, name: &str, hash: &str, error: Option<String>) {
        self.lock().files.insert(name.into(), File { hash: hash.into(), error });
    }

    /// The file is gone.
    pub(super) fn forget(&self, name: &str) {
        self.lock().files.remove(name);
    }

    fn unknown(&self, name: &str) -> StoreError {
        let known = self.list().into_iter().map(|listed| listed.name).collect::<Vec<String>>().join(", ");
        StoreError::Unknown { name: name.into(), known }
    }

    /// Names and sizes of the folder's components.
    fn files(&self) -> BTreeMap<String, u64> {
        let entries = self.dir.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
        let named = entries.filter_map(|entry| Some((policy_of(&entry.path())?, entry.metadata().ok()?.len())));
        named.collect()
    }

    fn room(&self, kept: &Kept, name: &str, bytes: u64) -> Result<(), StoreError> {
        let pushed = kept.pushed.iter().map(|(name, (bytes, _))| (name.clone(), bytes.len() as u64));
        let others: Vec<u64> = pushed.chain(self.files()).filter(|(other, _)| other != name).map(|it| it.1).collect();
        let (components, bytes) = (others.len(), others.iter().sum::<u64>() + bytes);
        if components >= MOST_COMPONENTS || bytes > MOST_BYTES {
            return Err(StoreError::Full { components, bytes });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    fn new(bytes: Bytes, source: Source) -> Component {
        let hash = hash(&bytes);
        Component { bytes, hash, source }
    }
}

impl Source {
    /// In one word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Source::Shipped => "shipped",
            Source::Pushed => "pushed",
            Source::File => "file",
        }
    }
}

/// SHA-256, in hex.
pub(crate) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The policy whose file this would be.
pub(super) fn policy_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
    is_name(name).then(|| name.to_owned())
}

fn shipped(name: &str, bytes: &[u8]) -> StoredPolicy {
    let (hash, bytes) = (Some(hash(bytes)), Some(bytes.len() as u64));
    StoredPolicy { name: name.into(), source: Source::Shipped, hash, bytes, error: None }
}

fn in_memory(name: &str, (bytes, hash): &(Bytes, String)) -> StoredPolicy {
    let (hash, bytes) = (Some(hash.clone()), Some(bytes.len() as u64));
    StoredPolicy { name: name.into(), source: Source::Pushed, hash, bytes, error: None }
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.wasm"))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    // opening a pipe would wait for somebody to write
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("expected a file, something else is there"));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check_name(name: &str) -> Result<(), StoreError> {
    if is_name(name) { Ok(()) } else { Err(StoreError::BadName(name.into())) }
}

/// Nothing that could lead out of a folder.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> PolicyStore {
        PolicyStore::new(Path::new(""))
    }

    fn put(store: &PolicyStore, name: &str, bytes: usize) -> Result<bool, StoreError> {
        store.put(name, vec![0; bytes].into(), "hash")
    }

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        let store = PolicyStore::new(Path::new("/"));
        for name in ["", "../greedy", "a/b", "a.wasm", "a\0"] {
            assert_eq!(store.component(name), Err(StoreError::BadName(name.into())));
            assert_eq!(put(&store, name, 1), Err(StoreError::BadName(name.into())));
            assert_eq!(store.remove(name), Err(StoreError::BadName(name.into())));
        }
    }

    #[test]
    fn an_unknown_policy_is_told_which_there_are() {
        let message = store().component("lazy").unwrap_err().to_string();
        assert!(message.contains("greedy") && message.contains("highest-accuracy"), "{message}");
    }

    #[test]
    fn what_is_shipped_is_neither_replaced_nor_removed() {
        let shipped = Err(StoreError::Shipped("greedy".into()));
        assert_eq!(put(&store(), "greedy", 1), shipped);
        assert_eq!(store().remove("greedy"), Err(StoreError::Shipped("greedy".into())));
    }

    #[test]
    fn the_shelf_holds_so_many_components_and_no_more() {
        let store = store();
        for number in 0..MOST_COMPONENTS {
            assert_eq!(put(&store, &format!("p{number}"), 1), Ok(false));
        }
        assert_eq!(put(&store, "p7", 2), Ok(true), "one takes the place of another");
        let full = StoreError::Full { components: MOST_COMPONENTS, bytes: MOST_COMPONENTS as u64 + 2 };
        assert_eq!(put(&store, "more", 1), Err(full));
        store.remove("p3").unwrap();
        assert_eq!(put(&store, "more", 1), Ok(false));
    }

    #[test]
    fn the_shelf_holds_so_many_bytes_and_no_more() {
        let store = store();
        assert_eq!(store.check_room("a", MOST_BYTES), Ok(()));
        assert_eq!(put(&store, "b", 10), Ok(false));
        assert_eq!(store.check_room("b", MOST_BYTES), Ok(()), "it would take its own place");
        assert!(matches!(store.check_room("a", MOST_BYTES - 9), Err(StoreError::Full { components: 1, .. })));
    }

    #[test]
    fn what_is_pushed_is_in_the_folder_whole_and_its_content_is_known() {
        let folder = std::env::temp_dir().join(format!("mosel-store-{}", std::process::id()));
        let store = PolicyStore::new(&folder);
        assert_eq!(store.put("mine", Bytes::from_static(b"abc"), "h1"), Ok(false));
        assert_eq!(store.put("mine", Bytes::from_static(b"abcd"), "h2"), Ok(true));
        assert!(store.is_known("mine", "h2") && !store.is_known("mine", "h1"));
        let found = PolicyStore::new(&folder).component("mine").unwrap();
        assert_eq!((&found.bytes[..], found.source), (&b"abcd"[..], Source::File));
        assert_eq!(store.remove("mine"), Ok(()));
        assert!(matches!(store.component("mine"), Err(StoreError::Unknown { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
