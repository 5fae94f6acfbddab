//! ViLT (Kim and others, 2021), the vision-language transformer without convolutions: words and patches in a sequence.
//!
//! Names are those of the published checkpoints, as transformers' `ViltForQuestionAnswering` saves them (and
//! `ViltForImagesAndTextClassification` with one picture, whose head is narrower). A modality is left out with its
//! tokens. The answer is read from the text's class token, so a picture without text still has that one.

use anyhow::Result;
use tch::{Device, Kind, TchError, Tensor};

use super::config::{ViltConfig, ViltHead};
use super::conv::{Conv, Shape};
use super::encoder::{Encoder, Head};
use crate::batch::Tokens;
use crate::layers::{Linear, Norm, SMALL, Source};

/// The network.
pub(super) struct Vilt {
    kind: Kind,
    device: Device,
    text: Words,
    image: Patches,
    encoder: Encoder,
    norm: Norm,
    pool: Linear,
    head: Head,
}

/// Token numbers to tokens.
struct Words {
    words: Tensor,
    /// Of every place, with the type of a lone sentence: `[places, width]`.
    places: Tensor,
    norm: Norm,
    modality: Tensor,
}

/// Pictures to tokens.
struct Patches {
    conv: Conv,
    /// The picture's own class token in its place: `[1, width]`.
    class: Tensor,
    /// Of the patches of a square picture: `[1, width, rows, columns]`, in f32.
    places: Tensor,
    modality: Tensor,
}

/// PyTorch's own: the head does not take the encoder's.
const HEAD_EPSILON: f64 = 1e-5;

impl Vilt {
    /// The network with weights from `source`, computing in numbers of `kind`.
    pub(super) fn new(source: &Source<'_>, config: &ViltConfig, labels: i64, kind: Kind) -> Result<Vilt> {
        let (width, epsilon) = (config.encoder.hidden_size, config.encoder.epsilon());
        let modalities = [config.modality_type_vocab_size, width];
        let modalities = source.tensor("vilt.embeddings.token_type_embeddings.weight", &modalities, SMALL)?;
        let text = Words::new(source, config, modalities.f_get(0)?)?;
        Ok(Vilt {
            kind,
            device: modalities.device(),
            text,
            image: Patches::new(source, config, modalities.f_get(1)?, kind)?,
            encoder: Encoder::new(source, "vilt.", &config.encoder)?,
            norm: Norm::new(source, "vilt.layernorm", width, epsilon)?,
            pool: Linear::new(source, "vilt.pooler.dense", width, width)?,
            head: match config.head()? {
                ViltHead::QuestionAnswering => Head::new(source, [width, 2 * width, labels], HEAD_EPSILON)?,
                ViltHead::ImagesAndText => Head::new(source, [width, width, labels], HEAD_EPSILON)?,
            },
        })
    }

    /// Logits `[n, labels]` of texts, each of 1 or more token numbers that begin with the class token's, and of
    /// pictures, `[3, height, width]` in whole patches, one a text; none leaves the modality out.
    pub(super) fn logits(&self, texts: &[&[i64]], pictures: &[&Tensor]) -> Result<Tensor, TchError> {
        let mut parts = vec![self.text.tokens(texts, self.device)?];
        if !pictures.is_empty() {
            let tokens = pictures.iter().map(|picture| self.image.tokens(&picture.f_to_kind(self.kind)?));
            parts.push(side_by_side(&tokens.collect::<Result<Vec<_>, _>>()?)?);
        }
        let states = parts.iter().map(|part| &part.states).collect::<Vec<_>>();
        let mask = Tokens::mask(&parts)?;
        let tokens = self.encoder.forward(Tensor::f_cat(&states, 1)?, mask.as_ref())?;
        let class = self.pool.forward(&self.norm.forward(&tokens.f_select(1, 0)?)?)?.f_tanh()?;
        self.head.forward(&class)?.f_to_kind(Kind::Float)
    }
}

impl Words {
    fn new(source: &Source<'_>, config: &ViltConfig, modality: Tensor) -> Result<Words> {
        let width = config.encoder.hidden_size;
        let name = |part: &str| format!("vilt.embeddings.text_embeddings.{part}");
        let table = |part: &str, rows| source.tensor(&name(&format!("{part}.weight")), &[rows, width], SMALL);
        let types = table("token_type_embeddings", config.type_vocab_size)?;
        Ok(Words {
            words: table("word_embeddings", config.vocab_size)?,
            places: table("position_embeddings", config.max_position_embeddings)?.f_add(&types.f_get(0)?)?,
            norm: Norm::new(source, &name("LayerNorm"), width, config.encoder.epsilon())?,
            modality,
        })
    }

    fn tokens(&self, texts: &[&[i64]], device: Device) -> Result<Tokens, TchError> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let mut numbers = vec![0i64; texts.len() * longest];
        let mut present = vec![false; numbers.len()];
        for (row, text) in texts.iter().enumerate() {
            let start = row * longest;
            numbers[start..start + text.len()].copy_from_slice(text);
            present[start..start + text.len()].fill(true);
        }
        let shape = [texts.len() as i64, longest as i64];
        let numbers = Tensor::f_from_slice(&numbers)?.f_view(shape)?.f_to_device(device)?;
        let padded = present.contains(&false);
        let present = Tensor::f_from_slice(&present)?.f_view(shape)?.f_to_device(device)?;
        let words = Tensor::f_embedding(&self.words, &numbers, -1, false, false)?;
        let states = self.norm.forward(&words.f_add(&self.places.f_narrow(0, 0, longest as i64)?)?)?;
        Ok(Tokens { states: states.f_add(&self.modality)?, present: padded.then_some(present) })
    }
}

impl Patches {
    fn new(source: &Source<'_>, config: &ViltConfig, modality: Tensor, kind: Kind) -> Result<Patches> {
        let (width, side) = (config.encoder.hidden_size, config.image_size / config.patch());
        let places = source.tensor("vilt.embeddings.position_embeddings", &[1, side * side + 1, width], SMALL)?;
        let shape =
            Shape { inputs: 3, outputs: width, kernel: [config.patch(); 2], stride: config.patch(), padding: 0 };
        let class = source.tensor("vilt.embeddings.cls_token", &[1, 1, width], SMALL)?;
        let patches = places.f_narrow(1, 1, side * side)?.f_transpose(1, 2)?;
        Ok(Patches {
            conv: Conv::new(source, "vilt.embeddings.patch_embeddings.projection", &shape, kind)?,
            class: class.f_add(&places.f_narrow(1, 0, 1)?)?.f_squeeze_dim(0)?,
            places: patches.f_reshape([1, width, side, side])?.f_to_kind(Kind::Float)?,
            modality,
        })
    }

    /// One picture as `[1 + patches, width]`.
    fn tokens(&self, picture: &Tensor) -> Result<Tensor, TchError> {
        let patches = self.conv.forward(&picture.f_unsqueeze(0)?)?;
        let size = [patches.size()[2], patches.size()[3]];
        // a picture of another shape has the square one's places stretched over it
        let places = self.places.f_upsample_bilinear2d(size, true, None, None)?.f_to_kind(patches.kind())?;
        let patches = patches.f_add(&places)?.f_squeeze_dim(0)?.f_flatten(1, -1)?.f_transpose(0, 1)?;
        Tensor::f_cat(&[&self.class, &patches], 0)?.f_add(&self.modality)
    }
}

/// Rows of tokens as one batch, the shorter ones padded.
fn side_by_side(rows: &[Tensor]) -> Result<Tokens, TchError> {
    let longest = rows.iter().map(|row| row.size()[0]).max().unwrap_or(0);
    if rows.iter().all(|row| row.size()[0] == longest) {
        return Ok(Tokens { states: Tensor::f_stack(rows, 0)?, present: None });
    }
    let states = rows.iter().map(|row| row.f_constant_pad_nd([0, 0, 0, longest - row.size()[0]]));
    let present = rows.iter().map(|row| {
        let there = Tensor::f_ones([row.size()[0]], (Kind::Bool, row.device()))?;
        there.f_constant_pad_nd([0, longest - row.size()[0]])
    });
    Ok(Tokens {
        states: Tensor::f_stack(&states.collect::<Result<Vec<_>, _>>()?, 0)?,
        present: Some(Tensor::f_stack(&present.collect::<Result<Vec<_>, _>>()?, 0)?),
    })
}
