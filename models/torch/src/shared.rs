//! What is read from files once and used by every lane of the process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use anyhow::{Context, Result};
use tch::Device;

/// Contents of files, for as long as somebody uses them: several models, or lanes of one, share one copy.
///
/// A file that has changed, by its length or its time of change, is another file.
pub(super) struct Shared<T>(Mutex<BTreeMap<Key, Weak<T>>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    path: PathBuf,
    changed: SystemTime,
    bytes: u64,
    /// Where the content is.
    device: String,
}

impl<T> Shared<T> {
    pub(super) const fn new() -> Shared<T> {
        Shared(Mutex::new(BTreeMap::new()))
    }

    /// The content of this file on this device: what is in use already, else what `read` makes of it. Whoever else asks
    /// meanwhile waits.
    pub(super) fn get(&self, path: &Path, device: Device, read: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let key = Key::of(path, device).with_context(|| format!("reading {}", path.display()))?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = kept.get(&key).and_then(Weak::upgrade) {
            return Ok(content);
        }
        let content = Arc::new(read()?);
        kept.retain(|_, content| content.strong_count() > 0);
        kept.insert(key, Arc::downgrade(&content));
        Ok(content)
    }
}

impl Key {
    fn of(path: &Path, device: Device) -> std::io::Result<Key> {
        let facts = fs::metadata(path)?;
        let (changed, bytes) = (facts.modified()?, facts.len());
        Ok(Key { path: path.to_owned(), changed, bytes, device: format!("{device:?}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_while_it_is_used_and_again_when_it_has_changed() {
        let shared = Shared::new();
        let path = std::env::temp_dir().join(format!("mosel-shared-{}", std::process::id()));
        let reads = std::cell::Cell::new(0);
        let get = |device| {
            let read = || {
                reads.set(reads.get() + 1);
                Ok(fs::read(&path)?)
            };
            shared.get(&path, device, read)
        };
        fs::write(&path, "one").unwrap();
        let (first, again) = (get(Device::Cpu).unwrap(), get(Device::Cpu).unwrap());
        assert!(Arc::ptr_eq(&first, &again));
        get(Device::Cuda(0)).unwrap();
        assert_eq!(reads.get(), 2);
        fs::write(&path, "three").unwrap();
        assert_eq!(get(Device::Cpu).unwrap().as_slice(), b"three");
        drop((first, again));
        get(Device::Cpu).unwrap();
        // nobody used it, so nothing was kept
        assert_eq!(reads.get(), 4);
        fs::remove_file(&path).unwrap();
        let refused = get(Device::Cpu).unwrap_err().to_string();
        assert!(refused.starts_with("reading ") && refused.contains("mosel-shared"), "{refused}");
    }
}
