//! Tensors in a file: what they are called and where their numbers are, whatever the file's format.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail, ensure};
use tch::{Device, Kind, Tensor};

/// One tensor in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Vec<i64>,
    /// Where its numbers begin, row by row, in little-endian order.
    pub(super) start: u64,
    /// Bytes of its numbers.
    pub(super) bytes: u64,
}

impl Stored {
    /// How many numbers a shape holds, if that can be said.
    pub(super) fn count(shape: &[i64]) -> Option<i64> {
        shape.iter().try_fold(1i64, |count, &side| count.checked_mul(side)).filter(|&count| count >= 0)
    }
}

/// Reads the numbers of these tensors, in the order in which they lie in the file.
///
/// One tensor at a time is held twice, no more: a model may fill most of the memory.
pub(super) fn read(file: &mut File, mut tensors: Vec<Stored>, device: Device) -> Result<Vec<(String, Tensor)>> {
    let length = file.metadata()?.len();
    let total = tensors.iter().try_fold(0u64, |total, tensor| total.checked_add(tensor.bytes));
    // tensors may share numbers, tied weights do; a few bytes must not become terabytes
    ensure!(
        total.is_some_and(|total| total <= length.saturating_mul(2)),
        "expected tensors of at most twice the file's {length} bytes, they claim {}",
        total.map_or_else(|| "more than can be counted".into(), |total| total.to_string())
    );
    tensors.sort_by_key(|tensor| tensor.start);
    let mut numbers = Vec::new();
    let mut read = Vec::with_capacity(tensors.len());
    for stored in tensors {
        let name = stored.name;
        let whole = stored.start.checked_add(stored.bytes).is_some_and(|end| end <= length);
        ensure!(whole, "tensor {name} lies beyond the end of the file");
        numbers.resize(stored.bytes as usize, 0);
        file.seek(SeekFrom::Start(stored.start))?;
        file.read_exact(&mut numbers).with_context(|| format!("reading tensor {name}"))?;
        if stored.kind == Kind::Bool
            && let Some(other) = numbers.iter().find(|&&byte| byte > 1)
        {
            bail!("tensor {name}: expected booleans of 0 or 1, got {other}");
        }
        let tensor = Tensor::f_from_data_size(&numbers, &stored.shape, stored.kind)?;
        read.push((name, tensor.f_to_device(device)?));
    }
    Ok(read)
}
