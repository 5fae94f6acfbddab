//! A custom model, which a user made: a folder with `model.toml`, TorchScript networks, and labeled examples to measure it with.
//!
//! Start reading at [`CustomModel::read`]. `document` is the file as it is written, `declaration` what is meant once every bound
//! holds; `examples` reads the labeled inputs. How the networks are run is in models/torch. models/export/README.md is the
//! manual, and its `export` writes such a folder from Python.

mod declaration;
mod document;
mod examples;
mod preparation;
mod sound;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

pub use declaration::{Declaration, MOST_MODALITIES, Networks};
pub use preparation::{Fit, Layout, Number, Pixels, Preparation, SoundTensor, Words};

use crate::data::Cut;
use crate::{Example, Part, Spec, files};

/// A folder that says what model it holds; checked, not loaded.
#[derive(Clone, Debug)]
pub struct CustomModel {
    folder: PathBuf,
    declaration: Declaration,
    spec: Spec,
}

/// The file that declares the model.
pub const DOCUMENT: &str = "model.toml";
/// Bytes of it at most.
const MOST_DOCUMENT_BYTES: u64 = 1 << 20;

impl CustomModel {
    /// Reads and checks `model.toml`, and hashes the files it names; loads no network.
    pub fn read(folder: &Path) -> Result<CustomModel> {
        let path = folder.join(DOCUMENT);
        let length = fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len();
        ensure!(
            length <= MOST_DOCUMENT_BYTES,
            "{}: expected at most {MOST_DOCUMENT_BYTES} bytes, got {length}",
            path.display()
        );
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let declaration = Declaration::parse(&text).with_context(|| path.display().to_string())?;
        let weights_sha256 = hash(folder, &text, &declaration).with_context(|| path.display().to_string())?;
        let spec = declaration.spec(&weights_sha256);
        Ok(CustomModel { folder: folder.into(), declaration, spec })
    }

    /// What it expects and answers.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What `model.toml` says.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The labeled inputs of a part; none is for training. An error says how to write some if there are none.
    pub fn examples(&self, part: Part) -> Result<Vec<Example>> {
        examples::read(&self.folder, &self.spec, part)
    }

    /// How its examples are cut.
    pub fn cut(&self) -> Cut {
        cut()
    }
}

/// The labeled inputs in `examples/` of a model's folder.
pub(crate) fn examples(folder: &Path, spec: &Spec, part: Part) -> Result<Vec<Example>> {
    examples::read(folder, spec, part)
}

/// How they are cut.
pub(crate) fn cut() -> Cut {
    Cut { description: examples::CUT.into(), seed: 0 }
}

/// SHA-256 of all that makes the answers: the document, the networks, the tokenizers.
fn hash(folder: &Path, document: &str, declaration: &Declaration) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(document));
    for name in declaration.files() {
        let path = folder.join(name);
        let kind = fs::symlink_metadata(&path).with_context(|| format!("it names {name}"))?;
        ensure!(kind.is_file(), "expected {name} to be a file of the folder itself");
        hash.update(files::sha256(&path)?);
    }
    Ok(hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
        format = "mosel-model/1"
        name = "toy"
        labels = ["a", "b"]
        modalities = [{ name = "x", kind = "samples", shape = [2] }]
        networks = [{ modalities = ["x"], file = "x.pt" }]
    "#;

    #[test]
    fn the_hash_is_of_all_that_makes_the_answers() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let hash = || CustomModel::read(folder.path()).unwrap().spec().weights_sha256.clone();
        write("model.toml", TOML);
        let missing = format!("{:#}", CustomModel::read(folder.path()).unwrap_err());
        assert!(missing.contains("model.toml: it names x.pt: No such file"), "{missing}");
        write("x.pt", "one");
        let first = hash();
        write("README", "not one of its files");
        assert_eq!(hash(), first);
        write("x.pt", "two");
        let second = hash();
        write("model.toml", &TOML.replace("toy", "toy2"));
        assert!(first != second && hash() != second);
    }
}
