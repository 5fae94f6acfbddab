//! What `model.toml` means: every name known, every number within its bound.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use anyhow::{Context, Result, bail, ensure};
use mosel_core::{ModalitySet, Precision};
use serde::de::DeserializeOwned;

use super::document::{
    Document, MaskedTable, NetworkTable, NumberWord, PictureTable, SamplesTable, SoundTable, TextTable, VideoTable,
};
use super::preparation::{Layout, MOST_NUMBERS, Number, Pixels, Preparation, SoundTensor, Words};
use super::sound::log_mel;
use crate::prepare::{MOST_PIXELS, SOUND_RATES};
use crate::{InputKind, Modality, Spec};

/// A model as its folder declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// As clients write it.
    pub name: String,
    /// What it answers.
    pub labels: Vec<String>,
    /// What it computes with; full precision is the first.
    pub precisions: Vec<Precision>,
    /// What it expects, and what is made of it.
    pub modalities: Vec<(Modality, Preparation)>,
    /// What computes.
    pub networks: Networks,
}

/// What computes; files are names in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Networks {
    /// A file for every selection of modalities. `forward` takes the selected modalities' tensors in their order.
    PerSelection(Vec<(ModalitySet, String)>),
    /// One file. `forward` takes every modality's tensors, zeros for one that was dropped, and last `[modalities]` of
    /// booleans: which are there.
    Masked(String),
}

/// Modalities of a model at most: every selection of them is measured, planned with and served.
pub const MOST_MODALITIES: usize = 5;

const FORMAT: &str = "mosel-model/1";
const LABELS: RangeInclusive<usize> = 2..=10_000;
const SIDES: RangeInclusive<usize> = 1..=1024;
const FRAMES: RangeInclusive<usize> = 1..=64;
const MAX_SIDES: RangeInclusive<usize> = 1..=8192;
const SECONDS: usize = 60;
const TOKENS: RangeInclusive<usize> = 1..=4096;
const TEXT_BYTES: RangeInclusive<usize> = 1..=65_536;
const DIMENSIONS: RangeInclusive<usize> = 1..=6;
/// The largest whole number of an input, and the negative of the least: as 32-bit floats, all up to it are exact.
const MOST_WHOLE: i64 = 1 << 24;
impl Declaration {
    /// Reads the text of a `model.toml`.
    pub fn parse(text: &str) -> Result<Declaration> {
        check_format(text)?;
        let document: Document = toml::from_str(text)?;
        let name = name(&document.name).context("name")?;
        let labels = labels(document.labels).context("labels")?;
        let precisions = precisions(&document.precisions).context("precisions")?;
        let modalities = modalities(document.modalities)?;
        let names: Vec<&str> = modalities.iter().map(|(modality, _)| modality.name.as_str()).collect();
        let networks = networks(document.networks, document.network, &names)?;
        Ok(Declaration { name, labels, precisions, modalities, networks })
    }

    /// The files it names, each once, in order.
    pub fn files(&self) -> Vec<&str> {
        let mut files: BTreeSet<&str> = BTreeSet::new();
        match &self.networks {
            Networks::PerSelection(networks) => files.extend(networks.iter().map(|(_, file)| file.as_str())),
            Networks::Masked(file) => _ = files.insert(file),
        }
        for (_, preparation) in &self.modalities {
            if let Preparation::Words(words) = preparation {
                files.insert(&words.tokenizer);
            }
        }
        files.into_iter().collect()
    }

    pub(super) fn spec(&self, weights_sha256: &str) -> Spec {
        Spec {
            name: self.name.clone(),
            modalities: self.modalities.iter().map(|(modality, _)| modality.clone()).collect(),
            labels: self.labels.clone().into(),
            weights_sha256: weights_sha256.into(),
        }
    }
}

fn check_format(text: &str) -> Result<()> {
    let table: toml::Table = toml::from_str(text)?;
    match table.get("format").and_then(toml::Value::as_str) {
        Some(FORMAT) => Ok(()),
        Some(other) => bail!("expected format = {FORMAT:?}, got {other:?}"),
        None => bail!("expected format = {FORMAT:?}, got none"),
    }
}

/// A name that can be a folder's and a part's of a multipart body.
fn name(name: &str) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let sound = (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('-');
    ensure!(sound, "expected 1 to 64 of a-z, 0-9, - and _, not - at first, got {name:?}");
    Ok(name.into())
}

fn labels(labels: Vec<String>) -> Result<Vec<String>> {
    within("so many", labels.len(), &LABELS)?;
    let mut seen = BTreeSet::new();
    for label in &labels {
        ensure!((1..=200).contains(&label.len()), "expected 1 to 200 bytes each, got {label:?}");
        ensure!(seen.insert(label), "expected each once, got {label:?} twice");
    }
    Ok(labels)
}

fn precisions(names: &[String]) -> Result<Vec<Precision>> {
    let precisions = names.iter().map(|name| Ok(name.parse()?)).collect::<Result<Vec<Precision>>>()?;
    ensure!(precisions.first() == Some(&Precision::Fp32), "expected fp32 first, got {names:?}");
    ensure!(precisions.iter().collect::<BTreeSet<_>>().len() == names.len(), "expected each once, got {names:?}");
    Ok(precisions)
}

fn modalities(tables: Vec<toml::Table>) -> Result<Vec<(Modality, Preparation)>> {
    within("modalities", tables.len(), &(1..=MOST_MODALITIES))?;
    let mut modalities: Vec<(Modality, Preparation)> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let place = match table.get("name").and_then(toml::Value::as_str) {
            Some(name) => format!("modalities[{index}] ({name})"),
            None => format!("modalities[{index}]"),
        };
        let (modality, preparation) = modality(table).context(place.clone())?;
        let twice = modalities.iter().any(|(other, _)| other.name == modality.name);
        ensure!(!twice, "{place}: expected each name once");
        modalities.push((modality, preparation));
    }
    Ok(modalities)
}

fn modality(mut table: toml::Table) -> Result<(Modality, Preparation)> {
    let mut word = |key: &str| match table.remove(key) {
        Some(toml::Value::String(word)) => Ok(word),
        Some(other) => bail!("{key}: expected a string, got {other}"),
        None => bail!("expected the key {key}, got none"),
    };
    let name = name(&word("name")?).context("name")?;
    ensure!(name != "job", "name: expected another than job, which is a part of every multipart body");
    let (kind, preparation) = match word("kind")?.as_str() {
        "picture" => picture(&read(table)?)?,
        "video" => video(&read(table)?)?,
        "sound" => sound(&read(table)?)?,
        "text" => text(&read(table)?)?,
        "samples" => samples(&read(table)?)?,
        other => bail!("kind: expected picture, video, sound, text or samples, got {other:?}"),
    };
    Ok((Modality { name, kind }, preparation))
}

fn read<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    // as a value, it has no place in the file any more: serde's first line says which key
    table.try_into().map_err(|error: toml::de::Error| anyhow::anyhow!("{}", error.to_string().trim()))
}

fn picture(table: &PictureTable) -> Result<(InputKind, Preparation)> {
    let &PictureTable { height, width, max_side, fit, layout, mean, deviation } = table;
    let pixels =
        pixels(Pixels { frames: None, height, width, fit: fit.into(), layout: layout.into(), mean, deviation })?;
    let kind = InputKind::Picture { max_side: self::max_side(max_side, 1)?, raw: vec![height, width, 3] };
    Ok((kind, pixels))
}

fn video(table: &VideoTable) -> Result<(InputKind, Preparation)> {
    let &VideoTable { frames, height, width, max_side, fit, layout, mean, deviation } = table;
    within("frames", frames, &FRAMES)?;
    let (fit, layout) = (fit.into(), layout.into());
    let pixels = pixels(Pixels { frames: Some(frames), height, width, fit, layout, mean, deviation })?;
    let max_side = self::max_side(max_side, frames)?;
    let kind = InputKind::Video { frames, max_side, raw: vec![frames, height, width, 3] };
    Ok((kind, pixels))
}

fn pixels(pixels: Pixels) -> Result<Preparation> {
    within("height", pixels.height, &SIDES)?;
    within("width", pixels.width, &SIDES)?;
    let numbers = pixels.frames.unwrap_or(1) * pixels.height * pixels.width * 3;
    ensure!(numbers <= MOST_NUMBERS, "expected at most {MOST_NUMBERS} numbers an input, {numbers} are asked for");
    let video = pixels.frames.is_some();
    ensure!(video || pixels.layout != Layout::ChannelsTime, "layout: expected channels-time of videos only");
    ensure!(pixels.mean.iter().all(|mean| mean.is_finite()), "mean: expected finite numbers, got {:?}", pixels.mean);
    let sound = pixels.deviation.iter().all(|deviation| deviation.is_finite() && *deviation > 0.0);
    ensure!(sound, "deviation: expected numbers above 0, got {:?}", pixels.deviation);
    Ok(Preparation::Pixels(pixels))
}

/// The declared one, or else the largest up to 2,048 with which so many frames are not too many pixels.
fn max_side(max_side: Option<u32>, frames: usize) -> Result<u32> {
    let max_side = max_side.unwrap_or_else(|| (MOST_PIXELS / frames).isqrt().min(2048) as u32);
    let side = max_side as usize;
    within("max_side", side, &MAX_SIDES)?;
    let pixels = frames * side * side;
    ensure!(
        pixels <= MOST_PIXELS,
        "max_side: expected at most {MOST_PIXELS} pixels of all frames together, got {frames} of {side}x{side}"
    );
    Ok(max_side)
}

fn sound(table: &SoundTable) -> Result<(InputKind, Preparation)> {
    let &SoundTable { hertz, samples, .. } = table;
    within("hertz", hertz as usize, &(*SOUND_RATES.start() as usize..=*SOUND_RATES.end() as usize))?;
    within("samples", samples, &(1..=SECONDS * hertz as usize))?;
    let tensor = match &table.log_mel {
        None => SoundTensor::Wave,
        Some(table) => log_mel(table, hertz).context("log_mel")?,
    };
    Ok((InputKind::Sound { hertz, samples }, Preparation::Sound(tensor)))
}

fn text(table: &TextTable) -> Result<(InputKind, Preparation)> {
    let &TextTable { max_tokens, max_bytes, padding, .. } = table;
    let max_bytes = max_bytes.unwrap_or(4096);
    within("max_tokens", max_tokens, &TOKENS)?;
    within("max_bytes", max_bytes, &TEXT_BYTES)?;
    ensure!((0..=i64::from(u32::MAX)).contains(&padding), "padding: expected 0 to {}, got {padding}", u32::MAX);
    let tokenizer = file(&table.tokenizer).context("tokenizer")?;
    Ok((InputKind::Text { max_bytes }, Preparation::Words(Words { tokenizer, max_tokens, padding })))
}

fn samples(table: &SamplesTable) -> Result<(InputKind, Preparation)> {
    let SamplesTable { shape, dtype, least, most, mean, deviation } = table;
    within("dimensions of shape", shape.len(), &DIMENSIONS)?;
    let count = shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
    let bounded = count.is_some_and(|count| (1..=MOST_NUMBERS).contains(&count));
    ensure!(bounded, "shape: expected 1 to {MOST_NUMBERS} numbers, got {shape:?}");
    ensure!(mean.is_finite(), "mean: expected a finite number, got {mean}");
    ensure!(deviation.is_finite() && *deviation > 0.0, "deviation: expected a number above 0, got {deviation}");
    let number = match (dtype, *least, *most) {
        (NumberWord::Float32, None, None) => Number::Float,
        (NumberWord::Float32, ..) => bail!("expected least and most of whole numbers (dtype = \"int64\") only"),
        // zeros stand for what is not there, and the network is run on them first
        (NumberWord::Int64, Some(least), Some(most)) => {
            let bounded = (-MOST_WHOLE..=0).contains(&least) && (0..=MOST_WHOLE).contains(&most);
            ensure!(
                bounded,
                "least and most: expected {} <= least <= 0 <= most <= {MOST_WHOLE}, got {least} and {most}",
                -MOST_WHOLE
            );
            Number::Whole { least, most }
        }
        (NumberWord::Int64, ..) => bail!("expected least and most beside dtype = \"int64\", got one or none"),
    };
    ensure!(
        number == Number::Float || (*mean, *deviation) == (0.0, 1.0),
        "expected no mean and no deviation of whole numbers (dtype = \"int64\")"
    );
    let preparation = Preparation::Numbers { number, mean: *mean, deviation: *deviation };
    Ok((InputKind::Samples { shape: shape.clone() }, preparation))
}

fn networks(each: Option<Vec<NetworkTable>>, masked: Option<MaskedTable>, names: &[&str]) -> Result<Networks> {
    match (each, masked) {
        (Some(tables), None) => per_selection(&tables, names),
        (None, Some(table)) => Ok(Networks::Masked(file(&table.file).context("network.file")?)),
        (None, None) => bail!("expected [[networks]], one for every selection, or one [network] for all, got none"),
        (Some(_), Some(_)) => bail!("expected [[networks]] or [network], got both"),
    }
}

fn per_selection(tables: &[NetworkTable], names: &[&str]) -> Result<Networks> {
    let mut networks: Vec<(ModalitySet, String)> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let label = table.modalities.join("+");
        let selection = ModalitySet::parse(&label, names).map_err(|word| {
            anyhow::anyhow!("networks[{index}].modalities: expected some of {}, got {word:?}", names.join(", "))
        })?;
        ensure!(
            networks.iter().all(|(other, _)| *other != selection),
            "networks[{index}]: expected one network for {label}, got another"
        );
        networks.push((selection, file(&table.file).with_context(|| format!("networks[{index}].file"))?));
    }
    for selection in ModalitySet::selections(names.len()) {
        ensure!(
            networks.iter().any(|(other, _)| *other == selection),
            "networks: expected one for every selection of modalities, none is for {}",
            selection.label(names)
        );
    }
    Ok(Networks::PerSelection(networks))
}

/// The name of a file that lies in the folder itself.
fn file(name: &str) -> Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let sound = (1..=128).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.');
    ensure!(sound, "expected the name of a file beside model.toml, of letters, digits and - _ . +, got {name:?}");
    Ok(name.into())
}

fn within(what: &str, got: usize, expected: &RangeInclusive<usize>) -> Result<()> {
    ensure!(expected.contains(&got), "{what}: expected {} to {}, got {got}", expected.start(), expected.end());
    Ok(())
}

#[cfg(test)]
mod tests;
