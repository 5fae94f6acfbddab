//! The `doom-tvlt` model, after TVLT (Tang and others, 2022): MobileNetV2 makes tokens of eight frames, convolutions
//! make tokens of the sound's spectrogram, a joint transformer reads both. It knows no text.
//!
//! The tower is frozen. The convolutions and the joint part are trained; the frames' tokens are computed once and kept.

use std::path::Path;

use anyhow::{Context, Result};
use mosel_core::{ModalitySet, Precision};
use tch::nn::VarStore;
use tch::{Device, Kind, TchError, Tensor};

use super::batch::{Tokens, answers};
use super::device;
use super::fit::{fit, seeded, weights_of};
use super::guard::Forward;
use super::joint::{Joint, Shape, Stream};
use super::kept_clips::KeptClips;
use super::layers::Source;
use super::mobilenet::{self, MobileNet};
use super::picture;
use super::precise::Precise;
use super::spectrogram::{self, Patches};
use super::weights::{self, Weights};
use crate::assets::Assets;
use crate::data::doom;
use crate::prepare::{LogMel, Picture, frames_of, sound_of};
use crate::training::{Progress, Recipe};
use crate::zoo::Task;
use crate::{DeviceChoice, DeviceFacts, Example, InputError, Model, ModelError, Output, Request, Spec};

/// Positions of the modalities.
const VIDEO: usize = 0;
const AUDIO: usize = 1;

/// Height and width that frames are scaled to.
const FRAME: [i64; 2] = [doom::HEIGHT as i64, doom::WIDTH as i64];
/// Tokens of a video: the cells of the tower's last map, of every frame.
pub(super) const PLACES: i64 = doom::FRAMES as i64 * mobilenet::cells(FRAME[0], FRAME[1]);
/// The share of a video's tokens that a step of training looks at: neighbours say much the same, and a network that
/// never sees all of them learns them less by heart.
const TRAINED_SHARE: f64 = 1.0 / 3.0;

struct DoomTvlt {
    intake: Intake,
    facts: DeviceFacts,
    device: Device,
    networks: Precise<Network>,
}

/// Everything that computes, at one precision.
struct Network {
    tower: Tower,
    fusion: Fusion,
}

/// What decodes requests.
pub(super) struct Intake {
    spec: Spec,
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
    video: Option<Vec<Picture>>,
    /// Row by row, a frequency a row.
    spectrogram: Option<Vec<f32>>,
}

/// Reads the model: what is trained from `weights`, the tower from the assets.
pub(crate) fn load(assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::DoomTvlt.spec_with(&weights.sha256);
    let (labels, tower) = (spec.labels.len() as i64, tower_weights(assets, device)?);
    let networks = Precise::new(move |kind| {
        let fusion = Fusion::new(&Source::Stored(&weights.at(kind)), labels)?;
        Ok(Network { tower: Tower::new(&tower, kind)?, fusion })
    })?;
    Ok(Box::new(DoomTvlt { intake: Intake::new(spec)?, facts, device, networks }))
}

/// Trains what is not frozen and returns its weight file.
pub(crate) fn train(
    assets: &Assets,
    examples: &[Example],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::DoomTvlt.spec_with("");
    let modalities = spec.modalities.len();
    let labels_known = spec.labels.len() as i64;
    let kept = KeptClips::of(assets, &Intake::new(spec)?, examples, progress)?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let fusion = Fusion::new(&Source::Fresh(&store), labels_known)?;
    let logits = |rows: &Tensor, selection: ModalitySet| {
        let video = selection.contains(VIDEO).then(|| kept.video(rows)).transpose()?;
        let sound = selection.contains(AUDIO).then(|| spectrogram::vary(&kept.spectrograms(rows)?)).transpose()?;
        Ok(fusion.logits(video, sound, true)?)
    };
    fit(&store, &Tensor::f_from_slice(&labels)?, modalities, recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

impl Model for DoomTvlt {
    fn spec(&self) -> &Spec {
        &self.intake.spec
    }

    fn device(&self) -> &DeviceFacts {
        &self.facts
    }

    fn precisions(&self) -> &[Precision] {
        &Precision::ALL
    }

    fn forward(
        &mut self,
        requests: &[&Request],
        modalities: ModalitySet,
        precision: Precision,
    ) -> Result<Vec<Result<Output, InputError>>, ModelError> {
        self.intake.spec.check_batch(requests, modalities)?;
        let _forward = Forward::begin()?;
        let Network { tower, fusion } = self.networks.at(precision)?;
        let inputs: Vec<Result<Decoded, InputError>> =
            requests.iter().map(|request| self.intake.decode(request, modalities)).collect();
        let logits = |sound: &[&Decoded]| {
            fusion.logits(tower.video(sound, self.device)?, spectrograms(sound, tower.kind, self.device)?, false)
        };
        Ok(answers(&self.intake.spec, inputs, logits)?)
    }
}

impl Intake {
    pub(super) fn new(spec: Spec) -> Result<Intake> {
        Ok(Intake { spec, log_mel: spectrogram::log_mel(doom::HERTZ)? })
    }

    /// The model's name.
    pub(super) fn model(&self) -> &str {
        &self.spec.name
    }

    /// Decodes the selected inputs of a request and leaves the others alone.
    pub(super) fn decode(&self, request: &Request, selected: ModalitySet) -> Result<Decoded, InputError> {
        let of =
            |index: usize| selected.contains(index).then(|| (&request.inputs()[index], &self.spec.modalities[index]));
        let video =
            of(VIDEO).map(|(input, modality)| frames_of(input, &modality.kind).map_err(|fault| modality.error(fault)));
        let spectrogram = of(AUDIO).map(|(input, modality)| {
            let sound = sound_of(input, &modality.kind).map_err(|fault| modality.error(fault))?;
            Ok(self.log_mel.of(&sound))
        });
        Ok(Decoded { video: video.transpose()?, spectrogram: spectrogram.transpose()? })
    }
}

/// The weights of the tower, as they are stored.
pub(super) fn tower_weights(assets: &Assets, device: Device) -> Result<Weights> {
    Weights::read_tower(&assets.path("towers/mobilenet_v2.safetensors")?, device)
}

impl Tower {
    pub(super) fn new(weights: &Weights, kind: Kind) -> Result<Tower> {
        Ok(Tower { kind, mobilenet: MobileNet::new(&weights.at(kind)).context("MobileNetV2")? })
    }

    /// The frames' tokens `[n, 96, 320]`, frame by frame; `None` if the requests have no video.
    pub(super) fn video(&self, requests: &[&Decoded], device: Device) -> Result<Option<Tensor>, TchError> {
        let frames: Vec<&Picture> = requests.iter().filter_map(|request| request.video.as_ref()).flatten().collect();
        if frames.is_empty() {
            return Ok(None);
        }
        let frames = picture::batch(&frames, FRAME, device)?.f_to_kind(self.kind)?;
        let tokens = self.mobilenet.tokens(&frames)?;
        Ok(Some(tokens.f_reshape([-1, PLACES, mobilenet::WIDTH])?))
    }
}

/// The spectrograms `[n, 64, 96]`; `None` if the requests have no sound.
pub(super) fn spectrograms(requests: &[&Decoded], kind: Kind, device: Device) -> Result<Option<Tensor>, TchError> {
    let sounds: Vec<&[f32]> = requests.iter().filter_map(|request| request.spectrogram.as_deref()).collect();
    if sounds.is_empty() {
        return Ok(None);
    }
    let shape = [sounds.len() as i64, spectrogram::MELS, spectrogram::MOMENTS];
    let numbers = Tensor::f_from_slice(&sounds.concat())?.f_view(shape)?;
    Ok(Some(numbers.f_to_device(device)?.f_to_kind(kind)?))
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
