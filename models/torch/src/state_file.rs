//! PyTorch files: the zip that `torch.save` writes of a state dict. Names and places are read here, no numbers yet.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};

use anyhow::{Context, Result, bail, ensure};
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Pickle, TensorPlace, Value};
use super::stored::Stored;

/// Parts of a file. The networks here have fewer than two thousand tensors.
const MAX_PARTS: usize = 100_000;
/// Where training scripts keep the state dict among other things they know.
const STATE_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Where a part of the zip is in the file.
struct Part {
    start: u64,
    bytes: u64,
}

/// The tensors of a file that begins as zip files do.
pub(super) fn list(file: &File) -> Result<Vec<Stored>> {
    let mut archive = ZipArchive::new(file).context("it begins like a zip file and is none, or only part of one")?;
    ensure!(archive.len() <= MAX_PARTS, "expected at most {MAX_PARTS} parts, got {}", archive.len());
    let (parts, folder) = parts(&mut archive)?;
    if let Some(order) = small(&mut archive, &format!("{folder}byteorder"))? {
        ensure!(order == b"little", "expected numbers in little-endian order, got {}", String::from_utf8_lossy(&order));
    }
    let bytes = small(&mut archive, &format!("{folder}data.pkl"))?.context("it has no part data.pkl")?;
    let pickle = Pickle::read(&bytes)?;
    let mut tensors = Vec::new();
    for (name, place) in tensors_of(&pickle)? {
        let part = parts.get(&format!("{folder}data/{}", place.storage.key));
        let part =
            part.with_context(|| format!("tensor {name} is in part data/{}, which is missing", place.storage.key))?;
        tensors.push(stored(name, place, part).with_context(|| format!("tensor {name}"))?);
    }
    Ok(tensors)
}

/// All parts by name, and the folder that they are in.
fn parts(archive: &mut ZipArchive<&File>) -> Result<(HashMap<String, Part>, String)> {
    let mut parts = HashMap::new();
    let mut folder = None;
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index)?;
        let name = part.name().to_owned();
        ensure!(
            part.compression() == CompressionMethod::Stored,
            "part {name} is compressed, and torch.save compresses none"
        );
        if let Some(before) = name.strip_suffix("data.pkl") {
            folder.get_or_insert_with(|| before.to_owned());
        }
        parts.insert(name, Part { start: part.data_start(), bytes: part.size() });
    }
    Ok((parts, folder.context("expected a zip that torch.save wrote, this one has no part data.pkl")?))
}

/// A part that is small enough to be read at once; `None` if there is none of this name.
fn small<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Option<Vec<u8>>> {
    let Ok(mut part) = archive.by_name(name) else { return Ok(None) };
    let size = part.size();
    ensure!(size <= pickle::MAX_BYTES, "expected {name} of at most {} bytes, got {size}", pickle::MAX_BYTES);
    let mut bytes = Vec::with_capacity(size as usize);
    part.read_to_end(&mut bytes).with_context(|| format!("reading {name}"))?;
    Ok(Some(bytes))
}

/// The tensors of the state dict: the outermost dictionary, or the one that a training script keeps in it.
fn tensors_of(pickle: &Pickle) -> Result<Vec<(&str, &TensorPlace)>> {
    let inner = pickle.entries(&pickle.root).context("expected a dictionary of tensors by name, got something else")?;
    let inner = inner.into_iter().find(|(key, _)| STATE_KEYS.contains(&&***key)).map(|(_, value)| value);
    let state = inner.filter(|value| pickle.entries(value).is_some()).unwrap_or(&pickle.root);
    let entries = pickle.entries(state).into_iter().flatten();
    let tensors: Vec<_> = entries
        .filter_map(|(key, value)| match value {
            Value::Tensor(place) => Some((&**key, &**place)),
            _ => None,
        })
        .collect();
    if tensors.is_empty() {
        bail!("expected a dictionary of tensors by name, none of its values is a tensor");
    }
    Ok(tensors)
}

fn stored(name: &str, place: &TensorPlace, part: &Part) -> Result<Stored> {
    let width = place.storage.kind.elt_size_in_bytes() as u64;
    let count = place.storage.count;
    ensure!(
        u64::try_from(count)?.checked_mul(width) == Some(part.bytes),
        "expected {count} numbers of {width} bytes, its part has {} bytes",
        part.bytes
    );
    ensure!(
        is_row_major(&place.shape, &place.strides)?,
        "it is stored turned (shape {:?}, strides {:?}): save it with .contiguous()",
        place.shape,
        place.strides
    );
    let numbers = Stored::count(&place.shape).context("its shape is larger than any memory")?;
    let end = place.offset.checked_add(numbers).filter(|&end| place.offset >= 0 && end <= count);
    ensure!(
        end.is_some(),
        "numbers {} to {} of its storage, which has {count}",
        place.offset,
        place.offset.saturating_add(numbers)
    );
    Ok(Stored {
        name: name.to_owned(),
        kind: place.storage.kind,
        shape: place.shape.clone(),
        start: part.start + place.offset as u64 * width,
        bytes: numbers as u64 * width,
    })
}

/// Whether numbers of these strides are row by row. A side of one may have any stride, and so may what is empty.
fn is_row_major(shape: &[i64], strides: &[i64]) -> Result<bool> {
    if shape.len() != strides.len() {
        return Ok(false);
    }
    if shape.contains(&0) {
        return Ok(true);
    }
    let expected = row_major(shape)?;
    Ok(shape
        .iter()
        .zip(strides.iter().zip(&expected))
        .all(|(&side, (stride, expected))| side == 1 || stride == expected))
}

/// Strides of a tensor whose numbers are row by row.
fn row_major(shape: &[i64]) -> Result<Vec<i64>> {
    let mut strides = vec![1; shape.len()];
    for side in (1..shape.len()).rev() {
        strides[side - 1] =
            i64::checked_mul(strides[side], shape[side].max(1)).context("its shape is larger than any memory")?;
    }
    Ok(strides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_side_of_more_than_one_must_have_its_stride() {
        assert!(is_row_major(&[2, 3], &[3, 1]).unwrap());
        assert!(is_row_major(&[4, 1, 3], &[3, 77, 1]).unwrap());
        assert!(is_row_major(&[2, 0], &[9, 9]).unwrap());
        assert!(is_row_major(&[], &[]).unwrap());
        assert!(!is_row_major(&[2, 3], &[1, 2]).unwrap());
        assert!(!is_row_major(&[2, 3], &[1]).unwrap());
    }
}
