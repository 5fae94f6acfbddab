//! The shelf: the policies there are, by name.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::SwapError;

/// Where components are found: those that are shipped, then NAME.wasm in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    dir: Option<PathBuf>,
}

/// A policy on the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is asked for by.
    pub name: String,
    /// It came with the server.
    pub shipped: bool,
}

impl Shelf {
    /// The shipped policies, and those of this directory if it is named.
    pub fn new(dir: &Path) -> Shelf {
        Shelf { dir: (!dir.as_os_str().is_empty()).then(|| dir.to_owned()) }
    }

    /// Every policy, by name; the directory is read anew each time.
    pub fn list(&self) -> Vec<Listed> {
        let shipped = mosel_policies::SHIPPED.iter().map(|(name, _)| Listed { name: (*name).into(), shipped: true });
        let mut listed: Vec<Listed> = shipped.collect();
        let entries = self.dir.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_str().and_then(|file| file.strip_suffix(".wasm")).map(str::to_owned);
            if let Some(name) = name.filter(|name| is_name(name) && listed.iter().all(|other| other.name != *name)) {
                listed.push(Listed { name, shipped: false });
            }
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    /// The component of this name; a shipped one wins over a file.
    pub fn component(&self, name: &str) -> Result<Cow<'static, [u8]>, SwapError> {
        if !is_name(name) {
            return Err(SwapError::BadName(name.into()));
        }
        if let Some(bytes) = mosel_policies::shipped(name) {
            return Ok(bytes.into());
        }
        let file = self.dir.as_ref().map(|dir| dir.join(format!("{name}.wasm")));
        let Some(file) = file.filter(|file| file.exists()) else {
            let known = self.list().into_iter().map(|listed| listed.name).collect::<Vec<String>>().join(", ");
            return Err(SwapError::Unknown { name: name.into(), known });
        };
        // a file that grows without end would fill the memory before the sandbox could refuse it
        let bytes = read_bounded(&file).map_err(|error| SwapError::Unreadable(name.into(), error.to_string()))?;
        Ok(bytes.into())
    }
}

/// Larger than any component the sandbox takes.
const MAX_COMPONENT_BYTES: u64 = 64 << 20;

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_COMPONENT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Nothing that could lead out of a directory.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_the_directory() {
        let shelf = Shelf::new(Path::new("/"));
        for name in ["", "../greedy", "a/b", "a.wasm", "a\0"] {
            assert_eq!(shelf.component(name), Err(SwapError::BadName(name.into())));
        }
    }

    #[test]
    fn an_unknown_policy_is_told_which_there_are() {
        let message = Shelf::new(Path::new("")).component("lazy").unwrap_err().to_string();
        assert!(message.contains("greedy") && message.contains("highest-accuracy"), "{message}");
    }
}
