//! TVLT's inputs: frames cut to squares, and the sound's spectrogram in decibels.

use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::{Device, TchError, Tensor};

use super::config::TvltConfig;
use super::pixels::{Normal, scaled_middle};
use super::tvlt::Tvlt;
use crate::model::{Inputs, Selected, Undecoded};
use mosel_models::prepare::{self, Bands, Edges, Hann, Level, LogMel, LogMelSettings, MelNorm, MelScale, Picture};
use mosel_models::{InputKind, Modality};

/// Positions of the modalities.
const VIDEO: usize = 0;
const AUDIO: usize = 1;
/// Pixels on a side of a frame that a client may send.
const MAX_SIDE: u32 = 1024;
/// Hertz: where the published filters end.
const HIGHEST: f32 = 22_050.0;
/// Decibels that count below the loudest.
const RANGE: f64 = 80.0;

/// What preprocessor_config.json says, with the published defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct TvltPreprocessor {
    /// Rows of a spectrogram: how long a sound may be.
    spectrogram_length: usize,
    feature_size: usize,
    sampling_rate: u32,
    /// Rows a second.
    hop_length_to_sampling_rate: u32,
    n_fft: usize,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

/// Makes the network's inputs.
pub(super) struct TvltInputs {
    device: Device,
    side: i64,
    normal: Normal,
    mel: LogMel,
    modalities: Vec<Modality>,
}

/// One request's.
pub(super) struct TvltDecoded {
    video: Option<Tensor>,
    spectrogram: Option<Tensor>,
}

impl TvltInputs {
    /// Of a network of these sizes.
    pub(super) fn new(config: &TvltConfig, preprocessor: &TvltPreprocessor, device: Device) -> Result<TvltInputs> {
        let settings = preprocessor.settings(config)?;
        let (frames, side) = (config.num_frames as usize, config.image_size as usize);
        let video = InputKind::Video { frames, max_side: MAX_SIDE, raw: vec![frames, side, side, 3] };
        let audio = InputKind::Sound { hertz: settings.hertz, samples: settings.hop * settings.frames };
        let percent = |numbers: [f32; 3]| numbers.map(|number| number * 255.0);
        let (mean, deviation) = (percent(preprocessor.image_mean), percent(preprocessor.image_std));
        Ok(TvltInputs {
            device,
            side: config.image_size,
            normal: Normal { mean, deviation },
            mel: LogMel::new(settings)?,
            modalities: vec![Modality::new("video", video), Modality::new("audio", audio)],
        })
    }

    /// What clients send.
    pub(super) fn modalities(&self) -> Vec<Modality> {
        self.modalities.clone()
    }

    /// `[frames, 3, side, side]`.
    fn video(&self, frames: &[Picture]) -> Result<Tensor, TchError> {
        let frame = |frame: &Picture| self.normal.of(&scaled_middle(frame, self.side, self.side)?);
        Tensor::f_stack(&frames.iter().map(frame).collect::<Result<Vec<_>, _>>()?, 0)
    }

    /// `[1, rows, bands]`, from -1 to 1.
    pub(super) fn spectrogram(&self, sound: &[f32]) -> Result<Tensor, TchError> {
        let shape = self.mel.shape().map(|side| side as i64);
        let natural = Tensor::f_from_slice(&self.mel.of(sound))?.f_view(shape)?.f_transpose(0, 1)?;
        let decibels = natural.f_mul_scalar(10.0 / std::f64::consts::LN_10)?;
        let floor = decibels.f_max()?.f_sub_scalar(RANGE)?;
        let level = decibels.f_maximum(&floor)?.f_sub_scalar(20.0)?.f_div_scalar(40.0)?;
        level.f_clamp(-2.0, 0.0)?.f_add_scalar(1.0)?.f_unsqueeze(0)
    }

    fn batch(&self, rows: &[&Tensor]) -> Result<Option<Tensor>, TchError> {
        (!rows.is_empty()).then(|| Tensor::f_stack(rows, 0)?.f_to_device(self.device)).transpose()
    }
}

impl Inputs for TvltInputs {
    type Network = Tvlt;
    type Decoded = TvltDecoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<TvltDecoded, Undecoded> {
        let frames = selected.decoded(VIDEO, prepare::frames_of)?;
        let sound = selected.decoded(AUDIO, prepare::sound_of)?;
        Ok(TvltDecoded {
            video: frames.map(|frames| self.video(&frames)).transpose()?,
            spectrogram: sound.map(|sound| self.spectrogram(&sound)).transpose()?,
        })
    }

    fn logits(&self, network: &Tvlt, requests: &[&TvltDecoded]) -> Result<Tensor, TchError> {
        let videos: Vec<&Tensor> = requests.iter().filter_map(|request| request.video.as_ref()).collect();
        let sounds: Vec<&Tensor> = requests.iter().filter_map(|request| request.spectrogram.as_ref()).collect();
        let (video, audio) = (self.batch(&videos)?, self.batch(&sounds)?);
        network.logits(video.as_ref(), audio.as_ref())
    }
}

impl TvltPreprocessor {
    /// The published one for sounds of so many rows.
    pub(super) fn of_rows(spectrogram_length: usize) -> TvltPreprocessor {
        TvltPreprocessor { spectrogram_length, ..TvltPreprocessor::default() }
    }

    fn settings(&self, config: &TvltConfig) -> Result<LogMelSettings> {
        let (rows, bands) = (config.spectrogram_length as usize, config.frequency_length as usize);
        let patch = config.audio_patch() as usize;
        ensure!(
            (patch..=rows).contains(&self.spectrogram_length) && self.spectrogram_length.is_multiple_of(patch),
            "expected spectrogram_length in preprocessor_config.json of {patch} to {rows} in steps of {patch}, got {}",
            self.spectrogram_length
        );
        ensure!(
            self.feature_size == bands,
            "expected feature_size in preprocessor_config.json to be frequency_length {bands}, got {}",
            self.feature_size
        );
        let hop = self.sampling_rate.checked_div(self.hop_length_to_sampling_rate).unwrap_or(0);
        ensure!(
            hop > 0,
            "expected hop_length_to_sampling_rate of 1 to {}, got {}",
            self.sampling_rate,
            self.hop_length_to_sampling_rate
        );
        let (scale, norm) = (MelScale::Slaney, MelNorm::Area);
        Ok(LogMelSettings {
            hertz: self.sampling_rate,
            fft: self.n_fft,
            window: self.n_fft,
            hann: Hann::Periodic,
            hop: hop as usize,
            frames: self.spectrogram_length,
            edges: Edges::Mirror,
            squared: true,
            bands: Bands::Mel { count: bands, scale, norm, low_hertz: 0.0, high_hertz: HIGHEST },
            // far below what is cut off afterwards
            level: Level::Natural { added: 1e-10 },
        })
    }
}

impl Default for TvltPreprocessor {
    fn default() -> TvltPreprocessor {
        TvltPreprocessor {
            spectrogram_length: 2048,
            feature_size: 128,
            sampling_rate: 44_100,
            hop_length_to_sampling_rate: 86,
            n_fft: 2048,
            image_mean: [0.5; 3],
            image_std: [0.5; 3],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper::config;
    use std::path::Path;

    #[test]
    fn a_spectrogram_is_the_one_that_the_published_extractor_makes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/paper/tvlt-tiny");
        let config: TvltConfig = config::read(&folder.join("config.json")).unwrap();
        let preprocessor: TvltPreprocessor = config::read(&folder.join("preprocessor_config.json")).unwrap();
        let inputs = TvltInputs::new(&config.check().unwrap(), &preprocessor, Device::Cpu).unwrap();
        let tensor = |file: &str, name: &str| {
            let tensors = Tensor::read_safetensors(folder.join(file)).unwrap();
            tensors.into_iter().find(|(own, _)| own == name).unwrap().1
        };
        let sound = Vec::<f32>::try_from(tensor("inputs.safetensors", "sound")).unwrap();
        let expected = tensor("outputs.safetensors", "spectrogram").squeeze_dim(0);
        let got = inputs.spectrogram(&sound).unwrap();
        assert_eq!(got.size(), expected.size());
        // from -1 to 1, and not all of it is cut off
        let difference = (&got - &expected).abs().max().double_value(&[]);
        assert!(difference < 1e-3, "{difference}");
        assert!(got.std(true).double_value(&[]) > 0.05, "{got:?}");
    }
}
