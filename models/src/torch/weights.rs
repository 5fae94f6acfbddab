//! Weight files: safetensors, read as a whole and checked by name and shape.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::files;

/// The tensors of one file, on one device.
pub(super) struct Weights {
    tensors: BTreeMap<String, Tensor>,
    path: String,
    /// What floating-point tensors are given out as.
    kind: Kind,
    /// SHA-256 of the file, in hex.
    pub(super) sha256: String,
}

impl Weights {
    /// Reads a file of f32 and i64 tensors.
    pub(super) fn read(path: &Path, device: Device) -> Result<Weights> {
        let name = path.display().to_string();
        let file = fs::read(path).with_context(|| format!("reading {name}"))?;
        Weights::parse(&file, name, device)
    }

    fn parse(file: &[u8], name: String, device: Device) -> Result<Weights> {
        let views = SafeTensors::deserialize(file).with_context(|| format!("{name} is not a safetensors file"))?;
        let mut tensors = BTreeMap::new();
        for (tensor_name, view) in views.tensors() {
            let tensor = tensor(&view).with_context(|| format!("{tensor_name} in {name}"))?;
            tensors.insert(tensor_name, tensor.f_to_device(device)?);
        }
        Ok(Weights { tensors, path: name, kind: Kind::Float, sha256: sha256_hex(file) })
    }

    /// The same tensors, to be given out as another kind of number; they are shared, not copied.
    pub(super) fn at(&self, kind: Kind) -> Weights {
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        Weights { tensors, path: self.path.clone(), kind, sha256: self.sha256.clone() }
    }

    /// What [`Weights::get`] makes of floating-point numbers.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The tensor of this name, which must have this shape; floating-point numbers as [`Weights::kind`].
    pub(super) fn get(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let tensor = self.stored(name, shape)?;
        Ok(if tensor.is_floating_point() { tensor.f_to_kind(self.kind)? } else { tensor })
    }

    /// The tensor of this name as it is stored, to compute with before it is cast.
    pub(super) fn stored(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let tensor = self.tensors.get(name).with_context(|| format!("{} has no tensor {name}", self.path))?;
        let came = tensor.size();
        ensure!(came == shape, "{}: expected {name} of shape {shape:?}, {came:?} came", self.path);
        Ok(tensor.shallow_clone())
    }
}

/// A file of these tensors; the same tensors and note give the same bytes.
pub(super) fn write(tensors: &BTreeMap<String, Tensor>, note: &str) -> Result<Vec<u8>> {
    let mut contents = Vec::new();
    for (name, tensor) in tensors {
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape: Vec<usize> = tensor.size().into_iter().map(|side| side as usize).collect();
        contents.push((name, shape, bytes));
    }
    let views =
        contents.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    // one key only: a map of several would be written in another order each time
    let note = HashMap::from([("mosel".to_owned(), note.to_owned())]);
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>>>()?, Some(note))?)
}

/// SHA-256 in hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    files::hex(&Sha256::digest(bytes))
}

fn tensor(view: &TensorView<'_>) -> Result<Tensor> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::I64 => Kind::Int64,
        other => anyhow::bail!("expected numbers of f32, f16 or i64, {other:?} came"),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_shapes_are_checked() {
        let tensors = BTreeMap::from([("a".to_owned(), Tensor::from_slice(&[1.5f32, -2.0]).view([1, 2]))]);
        let file = write(&tensors, "note").unwrap();
        assert_eq!(file, write(&tensors, "note").unwrap());
        let path = std::env::temp_dir().join(format!("mosel-weights-{}.safetensors", std::process::id()));
        fs::write(&path, &file).unwrap();
        let weights = Weights::read(&path, Device::Cpu).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(weights.get("a", &[1, 2]).unwrap().double_value(&[0, 0]), 1.5);
        assert!(weights.get("a", &[2]).unwrap_err().to_string().ends_with("expected a of shape [2], [1, 2] came"));
        assert!(weights.get("b", &[2]).unwrap_err().to_string().ends_with("has no tensor b"));
    }
}
