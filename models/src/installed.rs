//! The models that this machine has: those of the zoo, and those that users have added.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::assets::Assets;
use crate::custom::{self, CustomModel};
use crate::data::Cut;
use crate::zoo::{self, Task};
use crate::{DeviceChoice, Example, Model, Part, ProfileFile, Spec, backend};

/// A folder of added models, each in a folder of its name.
#[derive(Clone, Debug)]
pub struct InstalledModels {
    folder: PathBuf,
}

/// A model of this machine, wherever it is from.
#[derive(Clone, Debug)]
pub enum InstalledModel {
    /// Of the zoo.
    Zoo(Task),
    /// Added by a user, with a `model.toml`.
    Custom(Box<CustomModel>),
    /// A published checkpoint of one of the paper's networks, added by a user.
    Published(Box<Published>),
}

/// A checkpoint's folder, checked, not loaded: see [`Backend::load_checkpoint`](crate::backend::Backend::load_checkpoint).
#[derive(Clone, Debug)]
pub struct Published {
    folder: PathBuf,
    spec: Spec,
}

/// Bytes of an added folder at most.
const MOST_BYTES: u64 = 32 << 30;
/// Files of an added folder at most.
const MOST_FILES: usize = 200_000;
/// Folders within folders at most.
const MOST_DEPTH: usize = 4;

impl InstalledModels {
    /// `$MOSEL_MODELS`, else `mosel/models` in the user's data folder (`$XDG_DATA_HOME`, else `~/.local/share`).
    pub fn standard() -> InstalledModels {
        let named = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = || named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")));
        let folder = named("MOSEL_MODELS").or_else(|| Some(data()?.join("mosel/models")));
        InstalledModels { folder: folder.unwrap_or_else(|| "mosel-models".into()) }
    }

    /// Another folder.
    pub fn at(folder: impl Into<PathBuf>) -> InstalledModels {
        InstalledModels { folder: folder.into() }
    }

    /// Where the models lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes a copy of a model's folder in under the model's name, whole or not at all: one with a `model.toml`, or a
    /// published checkpoint with a `config.json`, which is called as its folder is.
    ///
    /// The folder is read and checked, and with libtorch every network is run once. Refused: a name that the zoo or another
    /// added model has, links, and more than 32 GiB or 200,000 files.
    pub fn add(&self, folder: &Path) -> Result<InstalledModel> {
        let added = read(folder)?;
        let name = added.name().to_owned();
        ensure!(is_plain(&name), "expected a name of letters, digits, - and _, got {name:?}");
        ensure!(name.parse::<Task>().is_err(), "expected a name that no model of the zoo has, got {name:?}");
        let place = self.folder.join(&name);
        ensure!(!place.exists(), "a model {name:?} is there already: remove it first, or add this one by another name");
        added.load(DeviceChoice::Cpu)?;
        fs::create_dir_all(&self.folder).with_context(|| format!("making {}", self.folder.display()))?;
        let partial = self.folder.join(format!(".{name}.{}.partial", std::process::id()));
        let copied = self.copy(folder, &partial).and_then(|()| {
            // what is there now is what is used from here on: the folder may have changed while it was copied
            let (before, after) = (added.spec()?, read(&partial)?.spec()?);
            ensure!(before.weights_sha256 == after.weights_sha256, "{} changed while it was copied", folder.display());
            fs::rename(&partial, &place).with_context(|| format!("renaming to {}", place.display()))
        });
        if copied.is_err() {
            // best effort: what is left begins with a dot and is never listed
            let _ = fs::remove_dir_all(&partial);
        }
        copied.with_context(|| format!("adding {}", folder.display()))?;
        read(&place)
    }

    /// Every added model by its folder's name, in order; one that cannot be read any more says why.
    pub fn list(&self) -> Result<Vec<(String, Result<InstalledModel>)>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", self.folder.display())),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.with_context(|| format!("reading {}", self.folder.display()))?.file_name();
            names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort();
        Ok(names.into_iter().map(|name| (name.clone(), self.read(&name))).collect())
    }

    /// The model of this name, of the zoo or added.
    pub fn find(&self, name: &str) -> Result<InstalledModel> {
        if let Ok(task) = name.parse::<Task>() {
            return Ok(InstalledModel::Zoo(task));
        }
        match self.has(name) {
            true => self.read(name),
            false => bail!("expected one of the models {}, got {name:?}", self.names()?.join(", ")),
        }
    }

    /// Deletes an added model.
    pub fn remove(&self, name: &str) -> Result<()> {
        ensure!(name.parse::<Task>().is_err(), "{name} is of the zoo, only added models can be removed");
        ensure!(self.has(name), "expected an added model, got {name:?}");
        // out of sight first: whole or not at all
        let gone = self.folder.join(format!(".{name}.{}.partial", std::process::id()));
        let place = self.folder.join(name);
        fs::rename(&place, &gone).and_then(|()| fs::remove_dir_all(&gone)).with_context(|| format!("removing {name}"))
    }

    /// A published checkpoint is among them: to read one, a backend is needed.
    pub fn has_checkpoints(&self) -> bool {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|place| is_checkpoint(&place))
    }

    fn has(&self, name: &str) -> bool {
        let place = self.folder.join(name);
        is_plain(name) && (place.join(custom::DOCUMENT).exists() || place.join(CHECKPOINT).exists())
    }

    fn names(&self) -> Result<Vec<String>> {
        let zoo = zoo::ALL.iter().map(|task| task.name().to_owned());
        Ok(zoo.chain(self.list()?.into_iter().map(|(name, _)| name)).collect())
    }

    fn read(&self, name: &str) -> Result<InstalledModel> {
        let place = self.folder.join(name);
        let known = read(&place)?;
        let got = known.name();
        ensure!(got == name, "expected the model {name} in {}, got {got}", place.display());
        Ok(known)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let mut left = Left { bytes: MOST_BYTES, files: MOST_FILES };
        copy(from, to, MOST_DEPTH, &mut left)
    }
}

/// The model in a folder, by what it holds.
fn read(folder: &Path) -> Result<InstalledModel> {
    if is_checkpoint(folder) {
        let spec = backend::installed()?.checkpoint_spec(folder)?;
        return Ok(InstalledModel::Published(Box::new(Published { folder: folder.into(), spec })));
    }
    Ok(InstalledModel::Custom(Box::new(CustomModel::read(folder)?)))
}

fn is_checkpoint(folder: &Path) -> bool {
    !folder.join(custom::DOCUMENT).exists() && folder.join(CHECKPOINT).exists()
}

/// The file that says which network a published checkpoint is of.
const CHECKPOINT: &str = "config.json";

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain)
}

/// What may still be copied.
struct Left {
    bytes: u64,
    files: usize,
}

fn copy(from: &Path, to: &Path, depth: usize, left: &mut Left) -> Result<()> {
    fs::create_dir(to).with_context(|| format!("making {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry.with_context(|| format!("reading {}", from.display()))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let facts = entry.metadata().with_context(|| format!("reading {}", from.display()))?;
        ensure!(left.files > 0, "expected at most {MOST_FILES} files");
        left.files -= 1;
        if facts.is_dir() {
            ensure!(depth > 0, "expected at most {MOST_DEPTH} folders within each other, got {}", from.display());
            copy(&from, &to, depth - 1, left)?;
        } else {
            ensure!(facts.is_file(), "expected files and folders, {} is something else (a link?)", from.display());
            let fits = left.bytes.checked_sub(facts.len());
            left.bytes = fits.with_context(|| format!("expected at most {MOST_BYTES} bytes in all"))?;
            fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
    }
    Ok(())
}

impl InstalledModel {
    /// As clients write it.
    pub fn name(&self) -> &str {
        match self {
            InstalledModel::Zoo(task) => task.name(),
            InstalledModel::Custom(custom) => &custom.spec().name,
            InstalledModel::Published(published) => &published.spec.name,
        }
    }

    /// What it expects and answers.
    pub fn spec(&self) -> Result<Spec> {
        match self {
            InstalledModel::Zoo(task) => task.spec(),
            InstalledModel::Custom(custom) => Ok(custom.spec().clone()),
            InstalledModel::Published(published) => Ok(published.spec.clone()),
        }
    }

    /// The labeled inputs of a part; a zoo model's are among the assets.
    pub fn examples(&self, assets: &Assets, part: Part) -> Result<Vec<Example>> {
        match self {
            InstalledModel::Zoo(task) => task.examples(assets, part),
            InstalledModel::Custom(custom) => custom.examples(part),
            InstalledModel::Published(published) => custom::examples(&published.folder, &published.spec, part),
        }
    }

    /// Numbers in its weight files, pretrained towers included. TorchScript files are not counted.
    pub fn parameters(&self, assets: &Assets) -> Result<u64> {
        match self {
            InstalledModel::Zoo(task) => task.parameters(assets),
            InstalledModel::Custom(custom) => {
                bail!("{}: the parameters of TorchScript files are not counted", custom.spec().name)
            }
            InstalledModel::Published(published) => backend::installed()?.checkpoint_parameters(&published.folder),
        }
    }

    /// How its examples are cut.
    pub fn cut(&self) -> Cut {
        match self {
            InstalledModel::Zoo(task) => task.cut(),
            InstalledModel::Custom(custom) => custom.cut(),
            InstalledModel::Published(_) => custom::cut(),
        }
    }

    /// Where its profile on a kind of device (`cpu`, `cuda`) is.
    pub fn profile_path_on(&self, kind: &str) -> PathBuf {
        let folder = match self {
            InstalledModel::Zoo(task) => zoo::folder().join(task.name()),
            InstalledModel::Custom(custom) => custom.folder().to_owned(),
            InstalledModel::Published(published) => published.folder.clone(),
        };
        folder.join(if kind == "cpu" { "profile.json".into() } else { format!("profile-{kind}.json") })
    }

    /// Its profile on a kind of device, checked to be of the weights that are there.
    pub fn profile_on(&self, kind: &str) -> Result<ProfileFile> {
        let name = self.name();
        let profile = ProfileFile::read(&self.profile_path_on(kind));
        let profile =
            profile.with_context(|| format!("{name} on {kind} has no profile: `mosel profile {name}` measures it"))?;
        profile.check_model(&self.spec()?)?;
        Ok(profile)
    }

    /// Loads it, a zoo model with the standard assets; see [`backend::load_zoo`].
    pub fn load(&self, device: DeviceChoice) -> Result<Box<dyn Model>> {
        match self {
            InstalledModel::Zoo(task) => backend::load_zoo(*task, device),
            InstalledModel::Custom(custom) => backend::installed()?.load_custom(custom, device),
            InstalledModel::Published(published) => backend::installed()?.load_checkpoint(&published.folder, device),
        }
    }
}
