//! What a modality of sound is turned into: the settings of its spectrogram, out of their table.

use anyhow::{Result, ensure};

use super::document::{EdgesWord, HannWord, LevelWord, LogMelTable, NormWord, ScaleWord};
use super::preparation::{MOST_NUMBERS, SoundTensor};
use crate::prepare::{Bands, Edges, Hann, Level, LogMel, LogMelSettings, MelNorm, MelScale};

/// Reads the table for sounds of this rate; the settings are checked to make a spectrogram.
pub(super) fn log_mel(table: &LogMelTable, hertz: u32) -> Result<SoundTensor> {
    let settings = LogMelSettings {
        hertz,
        fft: table.fft,
        window: table.window.unwrap_or(table.fft),
        hann: match table.hann {
            HannWord::Periodic => Hann::Periodic,
            HannWord::Symmetric => Hann::Symmetric,
        },
        hop: table.hop,
        frames: table.frames,
        edges: match table.edges {
            EdgesWord::Start => Edges::Start,
            EdgesWord::Silence => Edges::Silence,
            EdgesWord::Mirror => Edges::Mirror,
        },
        squared: table.squared,
        bands: bands(table, hertz)?,
        level: level(table)?,
    };
    let LogMelTable { mean, deviation, .. } = *table;
    ensure!(mean.is_finite(), "expected a mean that is finite, got {mean}");
    ensure!(deviation.is_finite() && deviation > 0.0, "expected a deviation above 0, got {deviation}");
    let [bands, frames] = LogMel::new(settings.clone())?.shape();
    ensure!(
        bands * frames <= MOST_NUMBERS,
        "expected at most {MOST_NUMBERS} numbers, got {bands} bands of {frames} frames"
    );
    Ok(SoundTensor::Spectrogram { settings, mean, deviation })
}

fn bands(table: &LogMelTable, hertz: u32) -> Result<Bands> {
    let Some(count) = table.bands else {
        let mel = table.scale.is_some() || table.norm.is_some() || table.low_hertz.or(table.high_hertz).is_some();
        ensure!(!mel, "expected bands beside scale, norm, low_hertz and high_hertz, which are of mel bands");
        return Ok(Bands::Linear);
    };
    Ok(Bands::Mel {
        count,
        scale: match table.scale {
            Some(ScaleWord::Htk) => MelScale::Htk,
            Some(ScaleWord::Slaney) | None => MelScale::Slaney,
        },
        norm: match table.norm {
            Some(NormWord::Peak) => MelNorm::Peak,
            Some(NormWord::Sum) => MelNorm::Sum,
            Some(NormWord::Area) | None => MelNorm::Area,
        },
        low_hertz: table.low_hertz.unwrap_or(0.0),
        high_hertz: table.high_hertz.unwrap_or(hertz as f32 / 2.0),
    })
}

fn level(table: &LogMelTable) -> Result<Level> {
    match table.level {
        LevelWord::Natural => {
            ensure!(table.least.or(table.range).is_none(), r#"expected least and range with level = "decibels" only"#);
            Ok(Level::Natural { added: table.added.unwrap_or(1e-6) })
        }
        LevelWord::Decibels => {
            ensure!(table.added.is_none(), r#"expected added with level = "natural" only"#);
            Ok(Level::Decibels { least: table.least.unwrap_or(1e-10), range: table.range.unwrap_or(80.0) })
        }
    }
}
