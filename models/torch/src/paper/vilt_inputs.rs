//! ViLT's inputs: a picture of whole patches that keeps its shape, and a text's token numbers.

use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::{Device, TchError, Tensor};

use super::config::ViltConfig;
use super::pixels::{Filter, Normal, scaled};
use super::vilt::Vilt;
use super::words::Words;
use crate::model::{Inputs, Selected, Undecoded};
use mosel_models::prepare::{self, Picture};
use mosel_models::{InputFault, InputKind, Modality};

/// Positions of the modalities.
const IMAGE: usize = 0;
const TEXT: usize = 1;
/// Pixels on a side of a picture that a client may send.
const MAX_SIDE: u32 = 2048;
const MAX_TEXT_BYTES: usize = 1024;

/// What preprocessor_config.json says, with the published defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct ViltPreprocessor {
    size: Option<Size>,
    size_divisor: Option<i64>,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

/// Older files have the number alone.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Shorter { shortest_edge: i64 },
    Number(i64),
}

/// Makes the network's inputs.
pub(super) struct ViltInputs {
    device: Device,
    shorter: i64,
    divisor: i64,
    normal: Normal,
    words: Words,
    modalities: Vec<Modality>,
}

/// One request's.
pub(super) struct ViltDecoded {
    picture: Option<Tensor>,
    text: Option<Vec<i64>>,
}

impl ViltInputs {
    /// Of a network of these sizes.
    pub(super) fn new(
        config: &ViltConfig,
        preprocessor: &ViltPreprocessor,
        words: Words,
        device: Device,
    ) -> Result<ViltInputs> {
        let shorter = match preprocessor.size {
            Some(Size::Shorter { shortest_edge }) => shortest_edge,
            Some(Size::Number(size)) => size,
            None => config.image_size,
        };
        let divisor = preprocessor.size_divisor.unwrap_or(config.patch());
        ensure!(
            divisor > 0 && divisor % config.patch() == 0 && (divisor..=4096).contains(&shorter),
            "expected preprocessor_config.json to scale to whole patches of {}, got size {shorter} and size_divisor {divisor}",
            config.patch()
        );
        let side = config.image_size as usize;
        let image = InputKind::Picture { max_side: MAX_SIDE, raw: vec![side, side, 3] };
        let percent = |numbers: [f32; 3]| numbers.map(|number| number * 255.0);
        let (mean, deviation) = (percent(preprocessor.image_mean), percent(preprocessor.image_std));
        let text = InputKind::Text { max_bytes: MAX_TEXT_BYTES };
        Ok(ViltInputs {
            device,
            shorter,
            divisor,
            normal: Normal { mean, deviation },
            words,
            modalities: vec![Modality::new("image", image), Modality::new("text", text)],
        })
    }

    /// What clients send.
    pub(super) fn modalities(&self) -> Vec<Modality> {
        self.modalities.clone()
    }

    fn picture(&self, picture: &Picture) -> Result<Tensor, TchError> {
        let size = scaled_size([picture.height, picture.width], self.shorter, self.divisor);
        self.normal.of(&scaled(picture, size, Filter::Bicubic)?)
    }
}

impl Inputs for ViltInputs {
    type Network = Vilt;
    type Decoded = ViltDecoded;

    fn decode(&self, selected: &Selected<'_>) -> Result<ViltDecoded, Undecoded> {
        let text = selected.decoded(TEXT, |input, kind| {
            let text = prepare::text_of(input, kind)?;
            self.words.tokenize(text).map_err(|reason| InputFault::Untokenizable { reason })
        });
        let picture = selected.decoded(IMAGE, prepare::picture_of)?;
        Ok(ViltDecoded { picture: picture.map(|picture| self.picture(&picture)).transpose()?, text: text? })
    }

    fn logits(&self, network: &Vilt, requests: &[&ViltDecoded]) -> Result<Tensor, TchError> {
        let alone = [self.words.class];
        let texts = requests.iter().map(|request| request.text.as_deref().unwrap_or(&alone));
        let pictures = requests.iter().filter_map(|request| request.picture.as_ref());
        let pictures = pictures.map(|picture| picture.f_to_device(self.device));
        let pictures = pictures.collect::<Result<Vec<_>, _>>()?;
        network.logits(&texts.collect::<Vec<_>>(), &pictures.iter().collect::<Vec<_>>())
    }
}

/// Height and width of a picture for the network: its shorter side `shorter`, unless the longer one would be more than
/// 1333/800 of it; both rounded down to multiples of `divisor`, and no less than one.
fn scaled_size(own: [usize; 2], shorter: i64, divisor: i64) -> [i64; 2] {
    let longer = (1333.0 / 800.0 * shorter as f64).floor();
    let own = own.map(|side| side as f64);
    let scale = (shorter as f64 / own[0].min(own[1])).min(longer / own[0].max(own[1]));
    own.map(|side| ((scale * side + 0.5) as i64 / divisor).max(1) * divisor)
}

impl Default for ViltPreprocessor {
    fn default() -> ViltPreprocessor {
        ViltPreprocessor { size: None, size_divisor: None, image_mean: [0.5; 3], image_std: [0.5; 3] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_shape_in_whole_patches() {
        assert_eq!(scaled_size([480, 640], 384, 32), [384, 512]);
        assert_eq!(scaled_size([640, 480], 384, 32), [512, 384]);
        assert_eq!(scaled_size([384, 384], 384, 32), [384, 384]);
        assert_eq!(scaled_size([200, 2000], 384, 32), [64, 608]);
        assert_eq!(scaled_size([1, 2048], 384, 32), [32, 608]);
    }
}
