//! The `emoji` model: MobileNetV2 and MiniLM make tokens of the picture and the name, a joint transformer reads both.
//!
//! The towers are frozen. Only the joint part is trained, on tokens that are computed once and kept.

mod kept_tokens;
mod training;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::Tokens;
use super::device;
use super::joint::{Joint, Shape, Stream};
use super::layers::Source;
use super::minilm::{self, MiniLm};
use super::mobilenet::{self, MobileNet};
use super::model::{Inputs, NetworkModel, Selected, Undecoded};
use super::picture;
use super::precise::Precise;
use super::weights::Weights;
use mosel_models::assets::Assets;
use mosel_models::prepare::{Picture, Tokenizer, picture_of, text_of};
use mosel_models::zoo::Task;
use mosel_models::{DeviceChoice, Model, Spec};

pub(crate) use training::train;

/// Positions of the modalities.
const IMAGE: usize = 0;
const TEXT: usize = 1;

/// What decodes requests.
pub(super) struct Intake {
    tokenizer: Arc<Tokenizer>,
}

/// Everything that computes, at one precision.
pub(super) struct Network {
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
    /// `[1, 3, side, side]`
    picture: Option<Tensor>,
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
    Ok(Box::new(NetworkModel { spec, facts, inputs: Intake::new(assets)?, networks }))
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

impl Inputs for Intake {
    type Network = Network;
    type Decoded = Decoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<Decoded, Undecoded> {
        let picture = selected.decoded(IMAGE, picture_of)?;
        Ok(Decoded {
            picture: picture.map(scaled).transpose()?,
            text: selected.decoded(TEXT, |input, kind| self.tokenizer.tokenize(text_of(input, kind)?))?,
        })
    }

    fn logits(&self, network: &Network, requests: &[&Decoded]) -> Result<Tensor, TchError> {
        network.joint.logits(&network.towers.tokens(requests)?, false)
    }
}

/// On a white square, as large as the tower wants it.
fn scaled(picture: Picture) -> Result<Tensor, TchError> {
    picture::scaled(&picture.on_white_square(), [mobilenet::SIDE; 2])
}

impl Intake {
    pub(super) fn new(assets: &Assets) -> Result<Intake> {
        Ok(Intake { tokenizer: minilm::tokenizer(&assets.path(minilm::TOKENIZER)?)? })
    }
}

/// The towers' files, read once for every precision.
struct TowerFiles {
    device: Device,
    pictures: Weights,
    texts: Weights,
}

impl TowerFiles {
    fn read(assets: &Assets, device: Device) -> Result<TowerFiles> {
        Ok(TowerFiles {
            device,
            pictures: mobilenet::weights(assets, device)?,
            texts: Weights::read_tower(&assets.path(minilm::FILE)?, device)?,
        })
    }

    fn at(&self, kind: Kind) -> Result<Towers> {
        Ok(Towers {
            device: self.device,
            kind,
            mobilenet: MobileNet::new(&self.pictures.at(kind)).context("MobileNetV2")?,
            minilm: MiniLm::new(&self.texts.at(kind)).context("MiniLM")?,
        })
    }
}

impl Towers {
    /// Reads both towers, in full precision.
    pub(super) fn new(assets: &Assets, device: Device) -> Result<Towers> {
        TowerFiles::read(assets, device)?.at(Kind::Float)
    }

    /// The tokens of every modality; all requests have the same ones.
    pub(super) fn tokens(&self, requests: &[&Decoded]) -> Result<Vec<Option<Tokens>>, TchError> {
        let pictures: Vec<&Tensor> = requests.iter().filter_map(|request| request.picture.as_ref()).collect();
        let texts: Vec<&[i64]> = requests.iter().filter_map(|request| request.text.as_deref()).collect();
        let image = (!pictures.is_empty()).then(|| self.image_tokens(&pictures)).transpose()?;
        let text = (!texts.is_empty()).then(|| self.minilm.tokens(&texts, self.device)).transpose()?;
        Ok(vec![image, text])
    }

    fn image_tokens(&self, pictures: &[&Tensor]) -> Result<Tokens, TchError> {
        let batch = picture::batch(pictures, self.device)?.f_to_kind(self.kind)?;
        Ok(Tokens { states: self.mobilenet.tokens(&batch)?, present: None })
    }
}
