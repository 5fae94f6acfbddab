//! The `emoji` model: MobileNetV2 and MiniLM make tokens of the picture and the name, a joint transformer reads both.
//!
//! The towers are frozen. Only the joint part is trained, on tokens that are computed once and kept.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mosel_core::{ModalitySet, Precision};
use tch::nn::VarStore;
use tch::{Device, Kind, TchError, Tensor};

use super::batch::{Tokens, answers};
use super::device;
use super::fit::{fit, seeded, weights_of};
use super::guard::Forward;
use super::joint::{Joint, Shape, Stream};
use super::layers::Source;
use super::minilm::{self, MiniLm};
use super::mobilenet::{self, MobileNet};
use super::picture;
use super::precise::Precise;
use super::tokens::KeptTokens;
use super::weights::{self, Weights};
use crate::assets::Assets;
use crate::prepare::{Picture, picture_of, text_of};
use crate::training::{Progress, Recipe};
use crate::zoo::Task;
use crate::{DeviceChoice, DeviceFacts, Example, InputError, Model, ModelError, Output, Request, Spec};

/// Positions of the modalities.
const IMAGE: usize = 0;
const TEXT: usize = 1;

struct Emoji {
    spec: Spec,
    facts: DeviceFacts,
    networks: Precise<Network>,
}

/// Everything that computes, at one precision.
struct Network {
    towers: Towers,
    joint: Joint,
}

/// The frozen networks.
pub(super) struct Towers {
    device: Device,
    kind: Kind,
    mobilenet: MobileNet,
    minilm: MiniLm,
}

/// A request's selected inputs, decoded.
pub(super) struct Decoded {
    picture: Option<Picture>,
    text: Option<Vec<i64>>,
}

/// Reads the model: the joint part from `weights`, the towers from the assets.
pub(crate) fn load(assets: &Assets, weights: &Path, device: DeviceChoice) -> Result<Box<dyn Model>> {
    let (device, facts) = device::open(device)?;
    let weights = Weights::read(weights, device)?;
    let spec = Task::Emoji.spec_with(&weights.sha256);
    let (shape, towers) = (shape(&spec), TowerFiles::read(assets, device)?);
    let networks = Precise::new(move |kind| {
        let joint = Joint::new(&Source::Stored(&weights.at(kind)), &shape)?;
        Ok(Network { towers: towers.at(kind)?, joint })
    })?;
    Ok(Box::new(Emoji { spec, facts, networks }))
}

/// Trains the joint part and returns its weight file.
pub(crate) fn train(
    assets: &Assets,
    examples: &[Example],
    recipe: &Recipe,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>> {
    let (device, _) = device::open(DeviceChoice::Cpu)?;
    let spec = Task::Emoji.spec_with("");
    let kept = KeptTokens::of(assets, &spec, examples, progress)?;
    let labels: Vec<i64> = examples.iter().map(|example| example.label as i64).collect();
    let _generator = seeded(recipe.seed);
    let store = VarStore::new(device);
    let joint = Joint::new(&Source::Fresh(&store), &shape(&spec))?;
    let logits = |rows: &Tensor, selection| Ok(joint.logits(&kept.select(rows, selection)?, true)?);
    fit(&store, &Tensor::f_from_slice(&labels)?, spec.modalities.len(), recipe, logits, progress)?;
    weights::write(&weights_of(&store), &recipe.note())
}

fn shape(spec: &Spec) -> Shape {
    Shape {
        streams: vec![
            Stream { name: "image", width: mobilenet::WIDTH, places: Some(mobilenet::CELLS) },
            Stream { name: "text", width: minilm::WIDTH, places: None },
        ],
        width: 128,
        layers: 2,
        heads: 4,
        labels: spec.labels.len() as i64,
    }
}

impl Model for Emoji {
    fn spec(&self) -> &Spec {
        &self.spec
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
        self.spec.check_batch(requests, modalities)?;
        let _forward = Forward::begin()?;
        let Network { towers, joint } = self.networks.at(precision)?;
        let inputs: Vec<Result<Decoded, InputError>> =
            requests.iter().map(|request| towers.decode(&self.spec, request, modalities)).collect();
        Ok(answers(&self.spec, inputs, |sound| joint.logits(&towers.tokens(sound)?, false))?)
    }
}

/// The towers' files, read once for every precision.
struct TowerFiles {
    device: Device,
    pictures: Weights,
    texts: Weights,
    tokenizer: PathBuf,
}

impl TowerFiles {
    fn read(assets: &Assets, device: Device) -> Result<TowerFiles> {
        Ok(TowerFiles {
            device,
            pictures: Weights::read_tower(&assets.path("towers/mobilenet_v2.safetensors")?, device)?,
            texts: Weights::read_tower(&assets.path("towers/minilm.safetensors")?, device)?,
            tokenizer: assets.path("towers/minilm-tokenizer.json")?,
        })
    }

    fn at(&self, kind: Kind) -> Result<Towers> {
        Ok(Towers {
            device: self.device,
            kind,
            mobilenet: MobileNet::new(&self.pictures.at(kind)).context("MobileNetV2")?,
            minilm: MiniLm::new(&self.texts.at(kind), &self.tokenizer).context("MiniLM")?,
        })
    }
}

impl Towers {
    /// Reads both towers, in full precision.
    pub(super) fn new(assets: &Assets, device: Device) -> Result<Towers> {
        TowerFiles::read(assets, device)?.at(Kind::Float)
    }

    /// Decodes the selected inputs of a request and leaves the others alone.
    pub(super) fn decode(&self, spec: &Spec, request: &Request, selected: ModalitySet) -> Result<Decoded, InputError> {
        let of = |index: usize| selected.contains(index).then(|| (&request.inputs()[index], &spec.modalities[index]));
        let picture = of(IMAGE).map(|(input, modality)| {
            let picture = picture_of(input, &modality.kind).map(Picture::on_white_square);
            picture.map_err(|fault| modality.error(fault))
        });
        let text = of(TEXT).map(|(input, modality)| {
            let numbers = text_of(input, &modality.kind).and_then(|text| self.minilm.tokenize(text));
            numbers.map_err(|fault| modality.error(fault))
        });
        Ok(Decoded { picture: picture.transpose()?, text: text.transpose()? })
    }

    /// The tokens of every modality; all requests have the same ones.
    pub(super) fn tokens(&self, requests: &[&Decoded]) -> Result<Vec<Option<Tokens>>, TchError> {
        let pictures: Vec<&Picture> = requests.iter().filter_map(|request| request.picture.as_ref()).collect();
        let texts: Vec<&[i64]> = requests.iter().filter_map(|request| request.text.as_deref()).collect();
        let image = (!pictures.is_empty()).then(|| self.image_tokens(&pictures)).transpose()?;
        let text = (!texts.is_empty()).then(|| self.minilm.tokens(&texts, self.device)).transpose()?;
        Ok(vec![image, text])
    }

    fn image_tokens(&self, pictures: &[&Picture]) -> Result<Tokens, TchError> {
        let batch = picture::batch(pictures, [mobilenet::SIDE; 2], self.device)?.f_to_kind(self.kind)?;
        Ok(Tokens { states: self.mobilenet.tokens(&batch)?, present: None })
    }
}
