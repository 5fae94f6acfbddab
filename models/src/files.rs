//! Files that are there whole or not at all, and names for what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
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

/// Floating-point numbers in a safetensors file; only its head is read.
pub fn parameters(path: &Path) -> Result<u64> {
    let read = || -> Result<u64> {
        let mut file = fs::File::open(path)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = usize::try_from(u64::from_le_bytes(length)).ok().filter(|length| *length <= MOST_HEAD_BYTES);
        let length = length.context("expected a head of at most 100 MB")?;
        let mut head = vec![0; length];
        file.read_exact(&mut head)?;
        let head: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&head)?;
        let floats = head.values().filter(|tensor| tensor["dtype"].as_str().is_some_and(|kind| kind.contains('F')));
        let mut shapes = floats.filter_map(|tensor| tensor["shape"].as_array());
        let sum = shapes.try_fold(0u64, |sum, shape| {
            let count = shape.iter().try_fold(1u64, |count, side| count.checked_mul(side.as_u64()?))?;
            sum.checked_add(count)
        });
        sum.context("expected shapes whose numbers can be counted, got others")
    };
    read().with_context(|| format!("counting the parameters of {}", path.display()))
}

/// As safetensors itself bounds it.
const MOST_HEAD_BYTES: usize = 100_000_000;

/// SHA-256 of a file of any size.
pub fn sha256(path: &Path) -> Result<[u8; 32]> {
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
