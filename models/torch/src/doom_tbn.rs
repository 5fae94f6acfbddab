//! The `doom-tbn` model, after TBN (Kazakos and others, 2019): what the player does, from color, movement and sound,
//! each a stream of its own, fused late.
//!
//! Colour goes through the frozen MobileNetV2; optical flow and the sound's spectrogram through small convolutions that
//! are trained. Frames are by far the dearest, and say the least.

mod kept_frames;
mod training;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::rows;
use super::device;
use super::late::{Late, Shape};
use super::layers::{Linear, Norm, Source};
use super::mobilenet::{self, MobileNet};
use super::model::{Inputs, NetworkModel, Selected, Undecoded};
use super::picture;
use super::precise::Precise;
use super::spectrogram;
use super::strided::Strided;
use super::weights::Weights;
use mosel_models::assets::Assets;
use mosel_models::data::doom;
use mosel_models::prepare::{LogMel, Picture, frames_of, samples_of, sound_of};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Model};

pub(crate) use training::train;

/// Positions of the modalities.
pub(super) const RGB: usize = 0;
const FLOW: usize = 1;
const AUDIO: usize = 2;
const STREAMS: [&str; 3] = ["rgb", "flow", "audio"];

/// Height and width that frames are scaled to.
const FRAME: [i64; 2] = [doom::HEIGHT as i64, doom::WIDTH as i64];
/// Numbers of a frame: mean and maximum of each channel over the cells of the tower's last map.
pub(super) const FEATURES: i64 = 2 * mobilenet::WIDTH;
/// Right and down, of every frame.
const FLOW_CHANNELS: i64 = 2 * doom::FRAMES as i64;
/// The largest flow that a recording holds, in sixteenths of a pixel; what is larger is taken for this.
const LARGEST_FLOW: f64 = 127.0;
/// Flow is divided by its usual size.
const USUAL_FLOW: f64 = 40.0;
/// Width of every stream's vector.
const WIDTH: i64 = 128;

/// Everything that computes, at one precision.
pub(super) struct Network {
    tower: Tower,
    streams: Streams,
    late: Late,
}

/// What decodes requests.
pub(super) struct Intake {
    device: Device,
    log_mel: LogMel,
}

/// A request's selected inputs, decoded.
pub(super) struct Decoded {
    /// `[1, 3, height, width]` each
    rgb: Option<Vec<Tensor>>,
    flow: Option<Arc<[f32]>>,
    /// Row by row, a frequency a row.
    spectrogram: Option<Vec<f32>>,
}

/// The frozen network.
pub(super) struct Tower {
    kind: Kind,
    mobilenet: MobileNet,
}

/// A batch of clips as tensors: features `[n, 8, 640]`, flow `[n, 16, 48, 64]`, spectrograms `[n, 64, 96]`.
#[derive(Default)]
struct Clips {
    rgb: Option<Tensor>,
    flow: Option<Tensor>,
    audio: Option<Tensor>,
}

/// What is trained before the streams meet.
struct Streams {
    rgb: Frames,
    flow: Maps,
    audio: Maps,
}

/// Features of frames to one vector: each frame by itself, then their mean.
struct Frames {
    norm: Norm,
    linear: Linear,
}

/// Flow or spectrograms to one vector.
struct Maps {
    convs: Strided,
    linear: Linear,
}

/// Reads the model: what is trained from `weights`, the tower from the assets.
pub(crate) fn load(assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::DoomTbn.spec_with(&weights.sha256);
    let (labels, tower) = (spec.labels.len() as i64, mobilenet::weights(assets, device)?);
    let networks = Precise::new(move |kind| {
        let weights = weights.at(kind);
        let (streams, late) = (Streams::new(&Source::Stored(&weights))?, late(&Source::Stored(&weights), labels)?);
        Ok(Network { tower: Tower::new(&tower, kind)?, streams, late })
    })?;
    Ok(Box::new(NetworkModel { spec, facts, inputs: Intake::new(device)?, networks }))
}

fn late(source: &Source<'_>, labels: i64) -> Result<Late> {
    Late::new(source, &Shape { streams: &STREAMS, width: WIDTH, hidden: WIDTH, labels })
}

impl Inputs for Intake {
    type Network = Network;
    type Decoded = Decoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<Decoded, Undecoded> {
        Ok(Decoded {
            rgb: selected.decoded(RGB, frames_of)?.map(|frames| scaled(&frames)).transpose()?,
            flow: selected.decoded(FLOW, samples_of)?,
            spectrogram: selected.decoded(AUDIO, sound_of)?.map(|sound| self.log_mel.of(&sound)),
        })
    }

    fn logits(&self, network: &Network, requests: &[&Decoded]) -> Result<Tensor, TchError> {
        let Network { tower, streams, late } = network;
        let clips = Clips {
            rgb: tower.frames(requests, self.device)?,
            flow: flows(requests, tower.kind, self.device)?,
            audio: spectrograms(requests, tower.kind, self.device)?,
        };
        late.logits(&streams.vectors(&clips, false)?, false)
    }
}

/// As large as the tower wants them.
fn scaled(frames: &[Picture]) -> Result<Vec<Tensor>, TchError> {
    frames.iter().map(|frame| picture::scaled(frame, FRAME)).collect()
}

impl Intake {
    fn new(device: Device) -> Result<Intake> {
        Ok(Intake { device, log_mel: spectrogram::log_mel(doom::HERTZ)? })
    }
}

impl Tower {
    pub(super) fn new(weights: &Weights, kind: Kind) -> Result<Tower> {
        Ok(Tower { kind, mobilenet: MobileNet::new(&weights.at(kind)).context("MobileNetV2")? })
    }

    /// Features of the frames `[n, 8, 640]`; `None` if the requests have no frames.
    pub(super) fn frames(&self, requests: &[&Decoded], device: Device) -> Result<Option<Tensor>, TchError> {
        let frames: Vec<&Tensor> = requests.iter().filter_map(|request| request.rgb.as_ref()).flatten().collect();
        if frames.is_empty() {
            return Ok(None);
        }
        let frames = picture::batch(&frames, device)?.f_to_kind(self.kind)?;
        let cells = self.mobilenet.tokens(&frames)?;
        let over = [1i64];
        let (mean, most) = (cells.f_mean_dim(over.as_slice(), false, None::<Kind>)?, cells.f_amax(over, false)?);
        Ok(Some(Tensor::f_cat(&[mean, most], 1)?.f_view([-1, doom::FRAMES as i64, FEATURES])?))
    }
}

/// Flow `[n, 16, 48, 64]`, a channel for each frame and direction; `None` if the requests have no flow.
fn flows(requests: &[&Decoded], kind: Kind, device: Device) -> Result<Option<Tensor>, TchError> {
    let flows = requests.iter().filter_map(|request| request.flow.as_deref());
    let (height, width) = (doom::FLOW_HEIGHT as i64, doom::FLOW_WIDTH as i64);
    let Some(rows) = rows(flows, &[doom::FRAMES as i64, height, width, 2])? else {
        return Ok(None);
    };
    let flow = rows.f_clamp(-LARGEST_FLOW, LARGEST_FLOW)?.f_div_scalar(USUAL_FLOW)?;
    let channels = flow.f_permute([0, 1, 4, 2, 3])?.f_reshape([-1, FLOW_CHANNELS, height, width])?;
    Ok(Some(channels.f_to_device(device)?.f_to_kind(kind)?))
}

/// Spectrograms `[n, 64, 96]`; `None` if the requests have no sound.
fn spectrograms(requests: &[&Decoded], kind: Kind, device: Device) -> Result<Option<Tensor>, TchError> {
    spectrogram::batch(requests.iter().filter_map(|request| request.spectrogram.as_deref()), kind, device)
}

impl Streams {
    fn new(source: &Source<'_>) -> Result<Streams> {
        Ok(Streams {
            rgb: Frames::new(source, STREAMS[RGB])?,
            flow: Maps::new(source, STREAMS[FLOW], FLOW_CHANNELS)?,
            audio: Maps::new(source, STREAMS[AUDIO], 1)?,
        })
    }

    /// The vectors `[n, 128]` of the streams that are there.
    fn vectors(&self, clips: &Clips, train: bool) -> Result<Vec<Option<Tensor>>, TchError> {
        let rgb = clips.rgb.as_ref().map(|frames| self.rgb.vectors(frames, train));
        let flow = clips.flow.as_ref().map(|flow| self.flow.vectors(flow, train));
        let audio = clips.audio.as_ref().map(|audio| self.audio.vectors(&spectrogram::normal(audio)?, train));
        [rgb, flow, audio].into_iter().map(Option::transpose).collect()
    }
}

impl Frames {
    const DROPOUT: f64 = 0.4;

    fn new(source: &Source<'_>, name: &str) -> Result<Frames> {
        Ok(Frames {
            norm: Norm::new(source, &format!("{name}.norm"), FEATURES, 1e-5)?,
            linear: Linear::new(source, &format!("{name}.linear"), FEATURES, WIDTH)?,
        })
    }

    fn vectors(&self, features: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let features = self.norm.forward(features)?.f_dropout(Self::DROPOUT, train)?;
        self.linear.forward(&features)?.f_gelu("none")?.f_mean_dim([1i64].as_slice(), false, None::<Kind>)
    }
}

impl Maps {
    const DROPOUT: f64 = 0.3;

    fn new(source: &Source<'_>, name: &str, channels: i64) -> Result<Maps> {
        Ok(Maps {
            convs: Strided::new(source, &format!("{name}.convs"), &[channels, 24, 48, 96, WIDTH])?,
            linear: Linear::new(source, &format!("{name}.linear"), WIDTH, WIDTH)?,
        })
    }

    fn vectors(&self, maps: &Tensor, train: bool) -> Result<Tensor, TchError> {
        let map = self.convs.map(maps)?;
        let vectors = map.f_mean_dim([2i64, 3].as_slice(), false, None::<Kind>)?;
        self.linear.forward(&vectors.f_dropout(Self::DROPOUT, train)?)?.f_gelu("none")
    }
}
