//! Reads what set-up wrote: tensors of a safetensors file as rows and integers.

use anyhow::{Result, ensure};
use safetensors::{Dtype, SafeTensors};

/// A matrix of f32 with `N` columns, row by row.
pub(super) fn rows<const N: usize>(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<[f32; N]>> {
    let tensor = tensors.tensor(name)?;
    let (dtype, shape) = (tensor.dtype(), tensor.shape());
    ensure!(
        dtype == Dtype::F32 && shape.len() == 2 && shape[1] == N,
        "expected {name} as f32 [n, {N}], got {dtype:?} {shape:?}"
    );
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks of four bytes"));
    let row = |bytes: &[u8]| std::array::from_fn(|column| number(&bytes[column * 4..column * 4 + 4]));
    Ok(tensor.data().chunks_exact(N * size_of::<f32>()).map(row).collect())
}

/// Numbers of i64.
pub(super) fn integers(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<i64>> {
    let tensor = tensors.tensor(name)?;
    ensure!(tensor.dtype() == Dtype::I64, "expected {name} as i64, got {:?}", tensor.dtype());
    let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
    Ok(tensor.data().chunks_exact(size_of::<i64>()).map(number).collect())
}
