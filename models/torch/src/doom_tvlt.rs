//! The `doom-tvlt` model, after TVLT (Tang and others, 2022): MobileNetV2 makes tokens of eight frames, convolutions
//! make tokens of the sound's spectrogram, a joint transformer reads both. It knows no text.
//!
//! The tower is frozen. The convolutions and the joint part are trained; the frames' tokens are computed once and kept.

mod kept_clips;
mod training;

use std::path::Path;

use anyhow::{Context, Result};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::Tokens;
use super::device;
use super::joint::{Joint, Shape, Stream};
use super::layers::Source;
use super::mobilenet::{self, MobileNet};
use super::model::{Inputs, NetworkModel, Selected, Undecoded};
use super::picture;
use super::precise::Precise;
use super::spectrogram::{self, Patches};
use super::weights::Weights;
use mosel_models::assets::Assets;
use mosel_models::data::doom;
use mosel_models::prepare::{LogMel, Picture, frames_of, sound_of};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Model};

pub(crate) use training::train;

/// Positions of the modalities.
const VIDEO: usize = 0;
const AUDIO: usize = 1;

/// Height and width that frames are scaled to.
const FRAME: [i64; 2] = [doom::HEIGHT as i64, doom::WIDTH as i64];
/// Tokens of a video: the cells of the tower's last map, of every frame.
pub(super) const PLACES: i64 = doom::FRAMES as i64 * mobilenet::cells(FRAME[0], FRAME[1]);
/// The share of a video's tokens that a step of training looks at: neighbors say much the same, and a network that
/// never sees all of them learns them less by heart.
const TRAINED_SHARE: f64 = 1.0 / 3.0;

/// Everything that computes, at one precision.
pub(super) struct Network {
    tower: Tower,
    fusion: Fusion,
}

/// What decodes requests.
pub(super) struct Intake {
    device: Device,
    log_mel: LogMel,
}

/// The frozen network.
pub(super) struct Tower {
    kind: Kind,
    mobilenet: MobileNet,
}

/// What is trained.
struct Fusion {
    patches: Patches,
    joint: Joint,
}

/// A request's selected inputs, decoded.
pub(super) struct Decoded {
    /// `[1, 3, height, width]` each
    video: Option<Vec<Tensor>>,
    /// Row by row, a frequency a row.
    spectrogram: Option<Vec<f32>>,
}

/// Reads the model: what is trained from `weights`, the tower from the assets.
pub(crate) fn load(assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::DoomTvlt.spec_with(&weights.sha256);
    let (labels, tower) = (spec.labels.len() as i64, mobilenet::weights(assets, device)?);
    let networks = Precise::new(move |kind| {
        let fusion = Fusion::new(&Source::Stored(&weights.at(kind)), labels)?;
        Ok(Network { tower: Tower::new(&tower, kind)?, fusion })
    })?;
    Ok(Box::new(NetworkModel { spec, facts, inputs: Intake::new(device)?, networks }))
}

impl Inputs for Intake {
    type Network = Network;
    type Decoded = Decoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<Decoded, Undecoded> {
        let sound = selected.decoded(AUDIO, sound_of)?;
        Ok(Decoded {
            video: selected.decoded(VIDEO, frames_of)?.map(|frames| scaled(&frames)).transpose()?,
            spectrogram: sound.map(|sound| self.log_mel.of(&sound)),
        })
    }

    fn logits(&self, network: &Network, requests: &[&Decoded]) -> Result<Tensor, TchError> {
        let Network { tower, fusion } = network;
        let spectrograms = spectrograms(requests, tower.kind, self.device)?;
        fusion.logits(tower.video(requests, self.device)?, spectrograms, false)
    }
}

/// As large as the tower wants them.
fn scaled(frames: &[Picture]) -> Result<Vec<Tensor>, TchError> {
    frames.iter().map(|frame| picture::scaled(frame, FRAME)).collect()
}

impl Intake {
    pub(super) fn new(device: Device) -> Result<Intake> {
        Ok(Intake { device, log_mel: spectrogram::log_mel(doom::HERTZ)? })
    }
}

impl Tower {
    pub(super) fn new(weights: &Weights, kind: Kind) -> Result<Tower> {
        Ok(Tower { kind, mobilenet: MobileNet::new(&weights.at(kind)).context("MobileNetV2")? })
    }

    /// The frames' tokens `[n, 96, 320]`, frame by frame; `None` if the requests have no video.
    pub(super) fn video(&self, requests: &[&Decoded], device: Device) -> Result<Option<Tensor>, TchError> {
        let frames: Vec<&Tensor> = requests.iter().filter_map(|request| request.video.as_ref()).flatten().collect();
        if frames.is_empty() {
            return Ok(None);
        }
        let frames = picture::batch(&frames, device)?.f_to_kind(self.kind)?;
        let tokens = self.mobilenet.tokens(&frames)?;
        Ok(Some(tokens.f_reshape([-1, PLACES, mobilenet::WIDTH])?))
    }
}

/// The spectrograms `[n, 64, 96]`; `None` if the requests have no sound.
pub(super) fn spectrograms(requests: &[&Decoded], kind: Kind, device: Device) -> Result<Option<Tensor>, TchError> {
    spectrogram::batch(requests.iter().filter_map(|request| request.spectrogram.as_deref()), kind, device)
}

impl Fusion {
    fn new(source: &Source<'_>, labels: i64) -> Result<Fusion> {
        let shape = Shape {
            streams: vec![
                Stream { name: "video", width: mobilenet::WIDTH, places: Some(PLACES) },
                Stream { name: "audio", width: spectrogram::WIDTH, places: Some(spectrogram::PATCHES) },
            ],
            width: 128,
            layers: 3,
            heads: 4,
            labels,
        };
        let joint = Joint::new(source, &shape)?.trained_on_share(VIDEO, TRAINED_SHARE);
        Ok(Fusion { patches: Patches::new(source, "spectrogram")?, joint })
    }

    /// Logits from the tokens of the frames and the spectrograms, of which at least one is there.
    fn logits(&self, video: Option<Tensor>, sound: Option<Tensor>, train: bool) -> Result<Tensor, TchError> {
        let sound = sound.map(|sound| self.patches.tokens(&sound)).transpose()?;
        let tokens = [video, sound].map(|states| states.map(|states| Tokens { states, present: None }));
        self.joint.logits(&tokens, train)
    }
}
