//! TBN's inputs: a picture and pairs of flow pictures cut to squares, and the sound's spectrogram.
//!
//! One short clip is one request: the paper's averaging over many clips of a long video is the client's.

use anyhow::Result;
use tch::{Device, Kind, TchError, Tensor};

use super::config::TbnConfig;
use super::pixels::{Normal, scaled_middle};
use super::tbn::Tbn;
use crate::model::{Inputs, Selected, Undecoded};
use mosel_models::prepare::{self, Bands, Edges, Hann, Level, LogMel, LogMelSettings, Picture};
use mosel_models::{InputKind, Modality};

/// Positions of the modalities.
const RGB: usize = 0;
const FLOW: usize = 1;
const AUDIO: usize = 2;
/// Pixels on a side of a picture that a client may send.
const MAX_SIDE: u32 = 1024;
/// Blue, green, red, as the published BN-Inception wants them; nothing is divided.
const NORMAL: Normal = Normal { mean: [104.0, 117.0, 128.0], deviation: [1.0; 3] };
/// Flow pictures show no motion as this.
const STILL: f64 = 128.0;
/// Milliseconds of sound under the window, and from one to the next.
const WINDOW_MS: u32 = 10;
const HOP_MS: u32 = 5;

/// Makes the network's inputs.
pub(super) struct TbnInputs {
    device: Device,
    side: i64,
    flows: i64,
    mel: LogMel,
    modalities: Vec<Modality>,
}

/// One request's.
pub(super) struct TbnDecoded {
    picture: Option<Tensor>,
    flow: Option<Tensor>,
    spectrogram: Option<Tensor>,
}

impl TbnInputs {
    /// Of a network of these sizes.
    pub(super) fn new(config: &TbnConfig, device: Device) -> Result<TbnInputs> {
        let (side, size) = (config.image_size as usize, config.spectrogram_size as usize);
        let flows = 2 * config.flow_length as usize;
        let [window, hop] = [WINDOW_MS, HOP_MS].map(|ms| (config.sampling_rate * ms / 1000) as usize);
        let settings = LogMelSettings {
            hertz: config.sampling_rate,
            fft: 2 * size - 1,
            window,
            hann: Hann::Periodic,
            hop,
            frames: size,
            edges: Edges::Silence,
            squared: true,
            bands: Bands::Linear,
            level: Level::Natural { added: 1e-6 },
        };
        // 1.279 seconds for the published 256 times
        let samples = (size - 1) * hop + window * 2 / 5;
        let picture = InputKind::Picture { max_side: MAX_SIDE, raw: vec![side, side, 3] };
        let flow = InputKind::Samples { shape: vec![flows, side, side] };
        let audio = InputKind::Sound { hertz: config.sampling_rate, samples };
        Ok(TbnInputs {
            device,
            side: config.image_size,
            flows: flows as i64,
            mel: LogMel::new(settings)?,
            modalities: vec![Modality::new("rgb", picture), Modality::new("flow", flow), Modality::new("audio", audio)],
        })
    }

    /// What clients send.
    pub(super) fn modalities(&self) -> Vec<Modality> {
        self.modalities.clone()
    }

    /// `[3, side, side]`. Raw pixels are of that size already; a file is scaled to an eighth more and cut.
    fn picture(&self, picture: &Picture) -> Result<Tensor, TchError> {
        let exact = [picture.height, picture.width] == [self.side as usize; 2];
        let side = if exact { self.side } else { self.side * 256 / 224 };
        NORMAL.of(&scaled_middle(picture, side, self.side)?.f_flip([0])?)
    }

    /// `[pairs, side, side]`.
    fn flow(&self, numbers: &[f32]) -> Result<Tensor, TchError> {
        Tensor::f_from_slice(numbers)?.f_view([self.flows, self.side, self.side])?.f_sub_scalar(STILL)
    }

    /// `[1, frequencies, times]`.
    fn spectrogram(&self, sound: &[f32]) -> Result<Tensor, TchError> {
        let shape = self.mel.shape().map(|side| side as i64);
        Tensor::f_from_slice(&self.mel.of(sound))?.f_view(shape)?.f_unsqueeze(0)
    }

    fn batch(&self, rows: &[&Tensor]) -> Result<Option<Tensor>, TchError> {
        (!rows.is_empty())
            .then(|| Tensor::f_stack(rows, 0)?.f_to_kind(Kind::Float)?.f_to_device(self.device))
            .transpose()
    }
}

impl Inputs for TbnInputs {
    type Network = Tbn;
    type Decoded = TbnDecoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<TbnDecoded, Undecoded> {
        let picture = selected.decoded(RGB, prepare::picture_of)?;
        let flow = selected.decoded(FLOW, prepare::samples_of)?;
        let sound = selected.decoded(AUDIO, prepare::sound_of)?;
        Ok(TbnDecoded {
            picture: picture.map(|picture| self.picture(&picture)).transpose()?,
            flow: flow.map(|flow| self.flow(&flow)).transpose()?,
            spectrogram: sound.map(|sound| self.spectrogram(&sound)).transpose()?,
        })
    }

    fn logits(&self, network: &Tbn, requests: &[&TbnDecoded]) -> Result<Tensor, TchError> {
        let batch = |of: fn(&TbnDecoded) -> Option<&Tensor>| {
            self.batch(&requests.iter().filter_map(|request| of(request)).collect::<Vec<_>>())
        };
        network.logits(&[
            batch(|request| request.picture.as_ref())?,
            batch(|request| request.flow.as_ref())?,
            batch(|request| request.spectrogram.as_ref())?,
        ])
    }
}
