//! What towers make of training examples is kept: how it is named, and how an example is decoded for it.

use std::fs;

use anyhow::{Context, Result};
use mosel_core::ModalitySet;
use sha2::{Digest, Sha256};

use super::model::{Inputs, Selected};
use mosel_models::assets::Assets;
use mosel_models::{Example, Input, Spec};

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

/// An example's selected inputs, decoded; an error names the example.
pub(super) fn decoded<I: Inputs>(
    inputs: &I,
    spec: &Spec,
    example: &Example,
    modalities: ModalitySet,
) -> Result<I::Decoded> {
    let selected = Selected { spec, request: &example.request, modalities };
    inputs.decode(&selected).with_context(|| format!("decoding {}", example.name))
}
