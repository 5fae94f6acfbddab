//! Compiled code on disk, so that a component is compiled once and not at every start.
//!
//! What lies here is run as it is, outside of every limit: whoever can write to the directory can do whatever this
//! process can. So the directory, and every file in it that is used, must belong to this process's user and be
//! writable by nobody else; its parents are the operator's to choose. The checksum in each file finds damage, not
//! malice.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

/// What the directory may hold.
const MOST: Bounds = Bounds { files: 64, bytes: 256 << 20 };
const EXTENSION: &str = "cwasm";
/// Of a file that is being written, or was when its writer died.
const PARTIAL: &str = ".partial-";
const CHECKSUM_BYTES: usize = 32;

/// A directory of compiled code by name. Holds so many files and bytes at most: those that were used last.
#[derive(Debug)]
pub(crate) struct DiskCache {
    dir: PathBuf,
    most: Bounds,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    files: usize,
    bytes: u64,
}

/// A file of the directory.
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl DiskCache {
    /// The cache in this directory, which is made if need be. Where it cannot be made there is nothing to find, and
    /// storing fails; one that others can write to is refused.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<DiskCache> {
        make(dir);
        let cache = DiskCache { dir: dir.into(), most: MOST };
        match fs::metadata(dir) {
            Ok(metadata) => check_dir(&metadata).with_context(|| format!("the cache {}", dir.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => bail!("the cache {} cannot be looked at: {error}", dir.display()),
        }
        Ok(cache)
    }

    /// The code of this name; `None` if there is none, or none that is whole.
    pub(crate) fn fetch(&self, name: &str) -> Option<Vec<u8>> {
        self.try_fetch(name).ok()
    }

    /// Keeps the code under this name, in place of what was there, and makes room by what was not used for longest.
    pub(crate) fn store(&self, name: &str, code: &[u8]) -> anyhow::Result<()> {
        let bytes = (code.len() + CHECKSUM_BYTES) as u64;
        ensure!(bytes <= self.most.bytes, "{bytes} bytes of compiled code, expected at most {}", self.most.bytes);
        // it may have been removed
        make(&self.dir);
        self.check_dir()?;
        let mut file = tempfile::Builder::new().prefix(PARTIAL).tempfile_in(&self.dir)?;
        file.write_all(&checksum(name, code))?;
        file.write_all(code)?;
        file.persist(self.path(name))?;
        self.make_room()
    }

    fn try_fetch(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        self.check_dir()?;
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(self.path(name))?;
        let metadata = file.metadata()?;
        ensure!(metadata.is_file(), "expected a file");
        check_ours(&metadata)?;
        let code = read_whole(&file, name, self.most.bytes)?;
        // Where the disk is read-only nothing is removed either.
        let _ = file.set_modified(SystemTime::now());
        Ok(code)
    }

    /// Again at every use: it may have been changed, or made, since it was opened.
    fn check_dir(&self) -> anyhow::Result<()> {
        check_dir(&fs::metadata(&self.dir)?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension(EXTENSION)
    }

    fn make_room(&self) -> anyhow::Result<()> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        let mut bytes = 0;
        for (rank, entry) in entries.iter().enumerate() {
            bytes += entry.bytes;
            if rank >= self.most.files || bytes > self.most.bytes {
                ignore_missing(fs::remove_file(&entry.path))?;
            }
        }
        Ok(())
    }

    /// What was written here by this code; anything else is left alone.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.dir)? {
            let file = file?;
            let path = file.path();
            let partial = file.file_name().as_encoded_bytes().starts_with(PARTIAL.as_bytes());
            if !partial && path.extension() != Some(OsStr::new(EXTENSION)) {
                continue;
            }
            // One that is gone meanwhile was removed by another process.
            if let Ok(metadata) = file.metadata() {
                entries.push(Entry { path, bytes: metadata.len(), used: metadata.modified()? });
            }
        }
        Ok(entries)
    }
}

/// Where it cannot be made it is not found.
fn make(dir: &Path) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(dir);
}

fn read_whole(mut file: &File, name: &str, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut expected = [0; CHECKSUM_BYTES];
    file.read_exact(&mut expected)?;
    let mut code = Vec::with_capacity(file.metadata()?.len().min(most) as usize);
    file.take(most).read_to_end(&mut code)?;
    ensure!(checksum(name, &code) == expected, "the file is damaged");
    Ok(code)
}

/// Of the name too: a file that was renamed holds the code of another component.
fn checksum(name: &str, code: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Sha256::new();
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update(code);
    hasher.finalize().into()
}

fn check_dir(metadata: &Metadata) -> anyhow::Result<()> {
    ensure!(metadata.is_dir(), "expected a directory");
    check_ours(metadata)
}

fn check_ours(metadata: &Metadata) -> anyhow::Result<()> {
    // SAFETY: the call has no preconditions and cannot fail.
    let us = unsafe { libc::geteuid() };
    check_owner(metadata.uid(), metadata.mode(), us)
}

fn check_owner(owner: u32, mode: u32, us: u32) -> anyhow::Result<()> {
    if owner != us {
        bail!("belongs to user {owner}, expected user {us}, who runs this process");
    }
    let mode = mode & 0o777;
    ensure!(mode & 0o022 == 0, "can be written to by others (mode {mode:03o}), expected 700");
    Ok(())
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    fn cache(most: Bounds) -> (DiskCache, TempDir) {
        let home = tempfile::tempdir().unwrap();
        let cache = DiskCache::open(&home.path().join("below/policies")).unwrap();
        (DiskCache { most, ..cache }, home)
    }

    /// Long ago, but later than those of smaller `age`.
    fn age(cache: &DiskCache, name: &str, age: u64) {
        let file = File::open(cache.path(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(age)).unwrap();
    }

    fn kept(cache: &DiskCache, names: &[&str]) -> Vec<bool> {
        names.iter().map(|name| cache.path(name).exists()).collect()
    }

    #[test]
    fn what_was_stored_is_found() {
        let (cache, _home) = cache(MOST);
        assert_eq!(cache.fetch("a"), None);
        cache.store("a", b"code").unwrap();
        assert_eq!(cache.fetch("a").as_deref(), Some(&b"code"[..]));
        cache.store("a", b"other code").unwrap();
        assert_eq!(cache.fetch("a").as_deref(), Some(&b"other code"[..]));
        assert_eq!(cache.fetch("b"), None);
        assert_eq!(fs::read_dir(&cache.dir).unwrap().count(), 1, "no file is left half written");
    }

    #[test]
    fn a_damaged_file_is_not_found() {
        let (cache, _home) = cache(MOST);
        cache.store("a", b"some code").unwrap();
        let whole = fs::read(cache.path("a")).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(cache.path("a"), &damaged).unwrap();
            assert_eq!(cache.fetch("a"), None, "byte {at}");
            fs::write(cache.path("a"), &whole[..at]).unwrap();
            assert_eq!(cache.fetch("a"), None, "truncated to {at}");
        }
        fs::write(cache.path("a"), &whole).unwrap();
        assert!(cache.fetch("a").is_some());
    }

    #[test]
    fn a_renamed_file_is_not_found() {
        let (cache, _home) = cache(MOST);
        cache.store("a", b"code").unwrap();
        fs::rename(cache.path("a"), cache.path("b")).unwrap();
        assert_eq!(cache.fetch("b"), None);
    }

    #[test]
    fn a_link_is_not_followed() {
        let (cache, _home) = cache(MOST);
        cache.store("a", b"code").unwrap();
        let elsewhere = cache.dir.join("elsewhere");
        fs::rename(cache.path("a"), &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, cache.path("a")).unwrap();
        assert_eq!(cache.fetch("a"), None);
    }

    #[test]
    fn files_kept() {
        let (cache, _home) = cache(Bounds { files: 2, bytes: 1000 });
        cache.store("a", b"code").unwrap();
        cache.store("b", b"code").unwrap();
        assert_eq!(kept(&cache, &["a", "b"]), [true, true]);
    }

    #[test]
    fn files_broken() {
        let (cache, _home) = cache(Bounds { files: 2, bytes: 1000 });
        fs::write(cache.dir.join("notes.txt"), "not ours").unwrap();
        for (when, name) in ["a", "b"].into_iter().enumerate() {
            cache.store(name, b"code").unwrap();
            age(&cache, name, when as u64);
        }
        assert!(cache.fetch("a").is_some(), "a is used after b");
        cache.store("c", b"code").unwrap();
        assert_eq!(kept(&cache, &["a", "b", "c"]), [true, false, true]);
        assert!(cache.dir.join("notes.txt").exists());
    }

    #[test]
    fn bytes_kept() {
        let (cache, _home) = cache(Bounds { files: 9, bytes: 2 * (32 + 10) });
        cache.store("a", &[0; 10]).unwrap();
        cache.store("b", &[0; 10]).unwrap();
        assert_eq!(kept(&cache, &["a", "b"]), [true, true]);
    }

    #[test]
    fn bytes_broken() {
        let (cache, _home) = cache(Bounds { files: 9, bytes: 2 * (32 + 10) });
        cache.store("a", &[0; 10]).unwrap();
        age(&cache, "a", 1);
        cache.store("b", &[0; 11]).unwrap();
        assert_eq!(kept(&cache, &["a", "b"]), [false, true]);
        let refused = cache.store("c", &[0; 53]).unwrap_err().to_string();
        assert_eq!(refused, "85 bytes of compiled code, expected at most 84");
        assert_eq!(kept(&cache, &["b", "c"]), [true, false]);
    }

    #[test]
    fn what_a_writer_left_that_died_makes_room_too() {
        let (cache, _home) = cache(Bounds { files: 1, bytes: 1000 });
        let left = cache.dir.join(".partial-xyz");
        fs::write(&left, "half").unwrap();
        let long_ago = SystemTime::UNIX_EPOCH;
        File::open(&left).unwrap().set_modified(long_ago).unwrap();
        cache.store("a", b"code").unwrap();
        assert!(!left.exists() && cache.path("a").exists());
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone() {
        let (cache, _home) = cache(MOST);
        assert_eq!(fs::metadata(&cache.dir).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_was_removed_is_made_again() {
        let (cache, _home) = cache(MOST);
        fs::remove_dir_all(&cache.dir).unwrap();
        assert_eq!(cache.fetch("a"), None);
        cache.store("a", b"code").unwrap();
        assert!(cache.fetch("a").is_some());
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        let (cache, _home) = cache(MOST);
        cache.store("a", b"code").unwrap();
        for mode in [0o720, 0o702, 0o777] {
            fs::set_permissions(&cache.dir, fs::Permissions::from_mode(mode)).unwrap();
            let reason = format!("{:#}", DiskCache::open(&cache.dir).unwrap_err());
            assert!(
                reason.ends_with(&format!("can be written to by others (mode {mode:o}), expected 700")),
                "{reason}"
            );
            assert_eq!(cache.fetch("a"), None, "it was opened before and is not used any more");
            assert!(cache.store("b", b"code").is_err());
        }
        fs::set_permissions(&cache.dir, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(DiskCache::open(&cache.dir).is_ok(), "others may look");
        fs::set_permissions(cache.path("a"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(cache.fetch("a"), None, "nor is such a file");
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        assert_eq!(check_owner(7, 0o700, 7).ok(), Some(()));
        let reason = check_owner(8, 0o700, 7).unwrap_err().to_string();
        assert_eq!(reason, "belongs to user 8, expected user 7, who runs this process");
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reason = format!("{:#}", DiskCache::open(file.path()).unwrap_err());
        assert!(reason.ends_with("expected a directory"), "{reason}");
        assert!(DiskCache::open(&file.path().join("below")).is_err());
    }

    #[test]
    fn a_directory_that_cannot_be_made_costs_the_cache_only() {
        let cache = DiskCache::open(Path::new("/proc/nowhere/policies")).unwrap();
        assert_eq!(cache.fetch("a"), None);
        assert!(cache.store("a", b"code").is_err());
    }
}
