//! Files that are there whole or not at all, and names for what is in them.

use std::fs;
#[cfg(feature = "prepare")]
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
#[cfg(feature = "prepare")]
use sha2::{Digest, Sha256};

/// Writes a file, its folder if need be, and renames it into place: an interruption leaves no half file.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&partial, content)?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// SHA-256 of a file of any size.
#[cfg(feature = "prepare")]
pub(crate) fn sha256(path: &Path) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut file = fs::File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).with_context(|| format!("reading {}", path.display()))? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
