//! How what towers make of training examples is named when it is kept.

use std::fs;

use anyhow::Result;
use sha2::{Digest, Sha256};

use mosel_models::Input;
use mosel_models::assets::Assets;

/// Names what is kept by what it depends on: the version of the code, the towers' files and the inputs, in order.
pub(super) fn key<'a>(
    assets: &Assets,
    version: &str,
    towers: &[&str],
    inputs: impl Iterator<Item = &'a Input>,
) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(version);
    for tower in towers {
        hash.update(fs::read(assets.path(tower)?)?);
    }
    for input in inputs {
        hash.update((input.len_bytes() as u64).to_le_bytes());
        input.for_each_part(|part| hash.update(part));
    }
    Ok(hex::encode(hash.finalize())[..16].to_owned())
}
