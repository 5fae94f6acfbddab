//! safetensors files: a length, a header of JSON, numbers. Names and places are read here, no numbers yet.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tch::Kind;

use super::stored::Stored;

/// Bytes of a header: the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The header's one entry that is no tensor.
const NOTES: &str = "__metadata__";

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<i64>,
    /// From and to, counted from the end of the header.
    data_offsets: (u64, u64),
}

/// The tensors of a file.
pub(super) fn list(file: &mut File) -> Result<Vec<Stored>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    let mut size = [0; 8];
    file.read_exact(&mut size).context("it is shorter than 8 bytes")?;
    let size = u64::from_le_bytes(size);
    ensure!(
        size <= MAX_HEADER_BYTES && size + 8 <= length,
        "expected a header of at most {} bytes, it claims {size}",
        MAX_HEADER_BYTES.min(length.saturating_sub(8))
    );
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header)?;
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&header).context("its header is not JSON")?;
    let tensors = entries.into_iter().filter(|(name, _)| name != NOTES);
    tensors.map(|(name, entry)| stored(&name, entry, size + 8).with_context(|| format!("tensor {name}"))).collect()
}

fn stored(name: &str, entry: serde_json::Value, start: u64) -> Result<Stored> {
    let entry: Entry = serde_json::from_value(entry).context("its entry is not one of a tensor")?;
    let kind = match entry.dtype.as_str() {
        "F32" => Kind::Float,
        "F16" => Kind::Half,
        "BF16" => Kind::BFloat16,
        "F64" => Kind::Double,
        "I64" => Kind::Int64,
        "I32" => Kind::Int,
        "U8" => Kind::Uint8,
        "BOOL" => Kind::Bool,
        other => bail!("expected numbers of f32, f16, bf16, f64, i64, i32, u8 or bool, got {other}"),
    };
    let (from, to) = entry.data_offsets;
    let bytes = to.checked_sub(from).context("it ends before it begins")?;
    let count = entry.shape.iter().all(|&side| side >= 0).then(|| Stored::count(&entry.shape)).flatten();
    let wanted = count.and_then(|count| (count as u64).checked_mul(kind.elt_size_in_bytes() as u64));
    ensure!(wanted == Some(bytes), "its shape {:?} does not fill its {bytes} bytes", entry.shape);
    let start = start.checked_add(from).context("it lies beyond any file")?;
    Ok(Stored { name: name.to_owned(), kind, shape: entry.shape, start, bytes })
}
