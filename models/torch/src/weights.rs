//! Weight files: safetensors or PyTorch's own, read as a whole and checked by name and shape.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::shared::Shared;
use super::stored::{self, Stored};
use super::{safetensors_file, state_file};

/// The tensors of one file, on one device.
///
/// Lanes share them, and memory with them: a tensor is never changed in place.
pub(super) struct Weights {
    content: Arc<Content>,
    /// What floating-point tensors are given out as.
    kind: Kind,
    /// SHA-256 of the file, in hex; empty for a tower.
    pub(super) sha256: String,
}

/// What is shared. A tensor may go to another thread but not be used by two, so each takes a handle of its own.
struct Content {
    tensors: Mutex<BTreeMap<String, Tensor>>,
    path: String,
    sha256: String,
}

impl Weights {
    /// Reads a file, unless another lane has it already. What it is, its first bytes say.
    pub(super) fn read(path: &Path, device: Device) -> Result<Weights> {
        static FILES: Shared<Content> = Shared::new();
        // the hash of half a gigabyte takes as long as reading it
        let read = || {
            let (sha256, content) = thread::scope(|scope| {
                let sha256 = scope.spawn(|| sha256_of(path).with_context(|| format!("reading {}", path.display())));
                let content = Content::read(path, device);
                (sha256.join().unwrap_or_else(|_| Err(anyhow!("hashing {} failed", path.display()))), content)
            });
            Ok(Content { sha256: sha256?, ..content? })
        };
        Ok(Weights::of(FILES.get(path, device, read)?))
    }

    /// The same without its hash: for towers, whose hash set-up has checked.
    pub(super) fn read_tower(path: &Path, device: Device) -> Result<Weights> {
        static TOWERS: Shared<Content> = Shared::new();
        Ok(Weights::of(TOWERS.get(path, device, || Content::read(path, device))?))
    }

    /// Weights that come from no file; `origin` is what messages call them.
    pub(super) fn made(tensors: BTreeMap<String, Tensor>, origin: &str) -> Weights {
        let content = Content { tensors: Mutex::new(tensors), path: origin.to_owned(), sha256: String::new() };
        Weights::of(Arc::new(content))
    }

    fn of(content: Arc<Content>) -> Weights {
        let sha256 = content.sha256.clone();
        Weights { content, kind: Kind::Float, sha256 }
    }

    /// The same tensors, to be given out as another kind of number; they are shared, not copied.
    pub(super) fn at(&self, kind: Kind) -> Weights {
        Weights { content: self.content.clone(), kind, sha256: self.sha256.clone() }
    }

    /// How many floating-point numbers there are.
    pub(super) fn parameters(&self) -> Result<u64> {
        let tensors = self.content.tensors();
        let floating = tensors.values().filter(|tensor| tensor.is_floating_point());
        Ok(floating.map(|tensor| tensor.numel() as u64).sum())
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
        let (tensors, path) = (self.content.tensors(), &self.content.path);
        let tensor = tensors.get(name).with_context(|| format!("{path} has no tensor {name}"))?;
        let got = tensor.size();
        ensure!(got == shape, "{path}: expected {name} of shape {shape:?}, got {got:?}");
        Ok(tensor.shallow_clone())
    }
}

impl Content {
    /// Reads a file without its hash.
    fn read(path: &Path, device: Device) -> Result<Content> {
        let name = path.display().to_string();
        let tensors = || -> Result<BTreeMap<String, Tensor>> {
            let mut file = File::open(path)?;
            let tensors = without_prefix(list(&mut file)?);
            Ok(stored::read(&mut file, tensors, device)?.into_iter().collect())
        };
        let tensors = tensors().with_context(|| format!("reading {name}"))?;
        Ok(Content { tensors: Mutex::new(tensors), path: name, sha256: String::new() })
    }

    fn tensors(&self) -> MutexGuard<'_, BTreeMap<String, Tensor>> {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Zip files begin with these: `torch.save` writes such ones.
const ZIP: &[u8] = b"PK\x03\x04";
/// Pickles begin with these: older files of PyTorch are several, one after the other.
const PICKLE: u8 = 0x80;

fn list(file: &mut File) -> Result<Vec<Stored>> {
    let mut first = Vec::new();
    file.by_ref().take(10).read_to_end(&mut first)?;
    if first.starts_with(ZIP) {
        return state_file::list(file);
    }
    if first.first() == Some(&PICKLE) && first.get(8) != Some(&b'{') {
        bail!("it is in the format that PyTorch wrote before 1.6: load it in Python with torch.load and save it again");
    }
    if first.get(8) == Some(&b'{') {
        return safetensors_file::list(file);
    }
    bail!("expected a safetensors file or one that torch.save wrote, got one that begins with {first:02x?}")
}

/// Parallel training puts a word before every name.
fn without_prefix(mut tensors: Vec<Stored>) -> Vec<Stored> {
    const PARALLEL: &str = "module.";
    if tensors.iter().all(|tensor| tensor.name.starts_with(PARALLEL)) {
        tensors.iter_mut().for_each(|tensor| drop(tensor.name.drain(..PARALLEL.len())));
    }
    tensors
}

fn sha256_of(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hex::encode(hash.finalize())),
            Ok(bytes) => hash.update(&block[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A file of these tensors, half-precision ones as they are and others as f32; the same tensors and note give the same
/// bytes.
pub(super) fn write(tensors: &BTreeMap<String, Tensor>, note: &str) -> Result<Vec<u8>> {
    let mut contents = Vec::new();
    for (name, tensor) in tensors {
        let (kind, dtype, width) = match tensor.kind() {
            Kind::Half => (Kind::Half, Dtype::F16, 2),
            _ => (Kind::Float, Dtype::F32, 4),
        };
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_to_kind(kind)?.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * width];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape: Vec<usize> = tensor.size().into_iter().map(|side| side as usize).collect();
        contents.push((name, dtype, shape, bytes));
    }
    let views =
        contents.iter().map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)));
    // one key only: a map of several would be written in another order each time
    let note = HashMap::from([("mosel".to_owned(), note.to_owned())]);
    Ok(safetensors::serialize(views.collect::<Result<Vec<_>>>()?, Some(note))?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_shapes_are_checked() {
        let tensors = BTreeMap::from([("a".to_owned(), Tensor::from_slice(&[1.5f32, -2.0]).view([1, 2]))]);
        let file = write(&tensors, "note").unwrap();
        assert_eq!(file, write(&tensors, "note").unwrap());
        let path = std::env::temp_dir().join(format!("mosel-weights-{}.safetensors", std::process::id()));
        fs::write(&path, &file).unwrap();
        let weights = Weights::read(&path, Device::Cpu).unwrap();
        let lane = Weights::read(&path, Device::Cpu).unwrap();
        let tower = Weights::read_tower(&path, Device::Cpu).unwrap();
        assert!(Arc::ptr_eq(&weights.content, &lane.content));
        assert_eq!((lane.sha256.as_str(), tower.sha256.as_str()), (sha256_of(&path).unwrap().as_str(), ""));
        fs::remove_file(&path).unwrap();
        assert_eq!(weights.get("a", &[1, 2]).unwrap().double_value(&[0, 0]), 1.5);
        assert!(weights.get("a", &[2]).unwrap_err().to_string().ends_with("expected a of shape [2], got [1, 2]"));
        assert!(weights.get("b", &[2]).unwrap_err().to_string().ends_with("has no tensor b"));
    }

    fn state_file(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/paper/state-files").join(name)
    }

    fn refusal(name: &str) -> String {
        format!("{:#}", Weights::read(&state_file(name), Device::Cpu).err().expect("refused"))
    }

    #[test]
    fn a_state_dict_is_read_whatever_its_numbers_are() {
        let weights = Weights::read(&state_file("kinds.pt"), Device::Cpu).unwrap();
        let kinds = [("fp32", Kind::Float), ("fp16", Kind::Half), ("bf16", Kind::BFloat16), ("int64", Kind::Int64)];
        for (name, kind) in kinds {
            let tensor = weights.stored(name, &[2, 3]).unwrap();
            assert_eq!(tensor.kind(), kind, "{name}");
            let numbers = Vec::<f32>::try_from(tensor.to_kind(Kind::Float).flatten(0, -1)).unwrap();
            assert_eq!(numbers, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "{name}");
        }
        assert_eq!(weights.get("bf16", &[2, 3]).unwrap().kind(), Kind::Float);
    }

    #[test]
    fn a_state_dict_is_found_among_what_a_training_script_saves() {
        let weights = Weights::read(&state_file("nested.pth.tar"), Device::Cpu).unwrap();
        let numbers = |name: &str, shape: &[i64]| {
            Vec::<f32>::try_from(weights.get(name, shape).unwrap().to_kind(Kind::Float).flatten(0, -1)).unwrap()
        };
        assert_eq!(numbers("first", &[4]), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(numbers("rest", &[2, 4]), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(numbers("count", &[]), [9.0]);
    }

    #[test]
    fn what_is_no_plain_state_dict_is_refused_with_the_reason() {
        let said = refusal("forbidden.pt");
        assert!(said.contains("it names __builtin__.print, and only tensors and plain values are read"), "{said}");
        assert!(refusal("old.pt").ends_with("wrote before 1.6: load it in Python with torch.load and save it again"));
        assert!(
            refusal("turned.pt").ends_with("stored turned (shape [3, 2], strides [1, 3]): save it with .contiguous()")
        );
        assert!(refusal("tensor.pt").ends_with("expected a dictionary of tensors by name, got something else"));
    }

    #[test]
    fn a_file_cut_short_is_refused_wherever_it_is_cut() {
        for name in ["kinds.pt", "../tvlt-tiny/outputs.safetensors"] {
            let whole = fs::read(state_file(name)).unwrap();
            let path = std::env::temp_dir().join(format!("mosel-cut-{}", std::process::id()));
            for length in (0..whole.len()).step_by(whole.len() / 50) {
                fs::write(&path, &whole[..length]).unwrap();
                assert!(Weights::read(&path, Device::Cpu).is_err(), "{name} at {length} of {}", whole.len());
            }
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn every_byte_of_a_header_may_be_wrong_without_harm() {
        let whole = fs::read(state_file("kinds.pt")).unwrap();
        let path = std::env::temp_dir().join(format!("mosel-flipped-{}", std::process::id()));
        for position in 0..whole.len() {
            let mut file = whole.clone();
            file[position] ^= 0x55;
            fs::write(&path, &file).unwrap();
            // read or refused: both are fine, a panic or a terabyte is not
            let _ = Weights::read(&path, Device::Cpu);
        }
        fs::remove_file(&path).unwrap();
    }
}
