//! A joint transformer, after ViLT (Kim and others, 2021): the tokens of all modalities in one sequence behind a class
//! token. A modality is absent when its tokens are left out: nothing is computed for it.

use anyhow::Result;
use tch::{Kind, TchError, Tensor};

use super::batch::Tokens;
use super::layers::{Linear, Norm, SMALL, Source, attention};

/// The size of a joint transformer.
pub(super) struct Shape {
    /// One a modality, in the model's order.
    pub(super) streams: Vec<Stream>,
    /// Width of its tokens.
    pub(super) width: i64,
    /// Layers of attention.
    pub(super) layers: usize,
    /// Attention heads; divides the width.
    pub(super) heads: i64,
    /// Labels to tell apart.
    pub(super) labels: i64,
}

/// One modality's tokens as they come.
pub(super) struct Stream {
    /// The modality's name; its weights are under it.
    pub(super) name: &'static str,
    /// Width of its tokens.
    pub(super) width: i64,
    /// Tokens if there are always as many: then each place has an embedding. `None` if they know their places.
    pub(super) places: Option<i64>,
}

/// The network. Trained and served by the same code; only training drops anything out.
pub(super) struct Joint {
    streams: Vec<Projection>,
    class: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
}

struct Projection {
    /// The share of the tokens that training looks at.
    trained_share: f64,
    norm: Norm,
    linear: Linear,
    /// Which modality, and which place where places are fixed.
    embedding: Tensor,
}

/// Pre-norm: more stable to train than the original.
struct Layer {
    heads: i64,
    attention_norm: Norm,
    qkv: Linear,
    attended: Linear,
    norm: Norm,
    widen: Linear,
    narrow: Linear,
}

const INPUT_DROPOUT: f64 = 0.3;
const DROPOUT: f64 = 0.2;
const EPSILON: f64 = 1e-5;

impl Joint {
    /// The network with weights from `source`.
    pub(super) fn new(source: &Source<'_>, shape: &Shape) -> Result<Joint> {
        let width = shape.width;
        Ok(Joint {
            streams: shape
                .streams
                .iter()
                .map(|stream| Projection::new(source, stream, width))
                .collect::<Result<_>>()?,
            class: source.tensor("class", &[1, 1, width], SMALL)?,
            layers: (0..shape.layers).map(|layer| Layer::new(source, layer, shape)).collect::<Result<_>>()?,
            norm: Norm::new(source, "norm", width, EPSILON)?,
            head: Linear::new(source, "head", width, shape.labels)?,
        })
    }

    /// In training, only this share of the tokens of the modality at this position is looked at, drawn anew each time.
    pub(super) fn trained_on_share(mut self, modality: usize, share: f64) -> Joint {
        self.streams[modality].trained_share = share;
        self
    }

    /// Logits `[n, labels]` from the tokens of the modalities that are there: at least one is.
    pub(super) fn logits(&self, tokens: &[Option<Tokens>], train: bool) -> Result<Tensor, TchError> {
        let count = tokens.iter().flatten().next().map_or(0, |tokens| tokens.states.size()[0]);
        let projected = self.streams.iter().zip(tokens).filter_map(|(stream, tokens)| Some((stream, tokens.as_ref()?)));
        let projected: Vec<Tokens> =
            projected.map(|(stream, tokens)| stream.forward(tokens, train)).collect::<Result<_, _>>()?;
        let mask = mask(&projected)?;
        let class = self.class.f_expand([count, -1, -1], false)?;
        let mut sequence = vec![&class];
        sequence.extend(projected.iter().map(|tokens| &tokens.states));
        let mut states = Tensor::f_cat(&sequence, 1)?;
        for layer in &self.layers {
            states = layer.forward(&states, mask.as_ref(), train)?;
        }
        let class = self.norm.forward(&states.f_select(1, 0)?)?.f_dropout(DROPOUT, train)?;
        self.head.forward(&class)
    }
}

/// Which tokens may be looked at, `[n, 1, 1, length]`; `None` if all may.
fn mask(tokens: &[Tokens]) -> Result<Option<Tensor>, TchError> {
    let Some(padded) = tokens.iter().find_map(|tokens| tokens.present.as_ref()) else { return Ok(None) };
    let all = |length: i64| Tensor::f_ones([padded.size()[0], length], (Kind::Bool, padded.device()));
    let mut parts = vec![all(1)?];
    for tokens in tokens {
        let part = tokens.present.as_ref().map(|present| Ok(present.shallow_clone()));
        parts.push(part.unwrap_or_else(|| all(tokens.states.size()[1]))?);
    }
    Ok(Some(Tensor::f_cat(&parts, 1)?.f_unsqueeze(1)?.f_unsqueeze(1)?))
}

impl Projection {
    fn new(source: &Source<'_>, stream: &Stream, width: i64) -> Result<Projection> {
        let name = |part: &str| format!("{}.{part}", stream.name);
        Ok(Projection {
            trained_share: 1.0,
            norm: Norm::new(source, &name("norm"), stream.width, EPSILON)?,
            linear: Linear::new(source, &name("linear"), stream.width, width)?,
            embedding: source.tensor(&name("embedding"), &[1, stream.places.unwrap_or(1), width], SMALL)?,
        })
    }

    fn forward(&self, tokens: &Tokens, train: bool) -> Result<Tokens, TchError> {
        let mut present = tokens.present.as_ref().map(Tensor::shallow_clone);
        let (mut states, mut embedding) = (tokens.states.shallow_clone(), self.embedding.shallow_clone());
        if train && self.trained_share < 1.0 {
            let drawn = self.draw(&states)?;
            let some = |tensor: &Tensor| tensor.f_index_select(1, &drawn);
            (states, present) = (some(&states)?, present.as_ref().map(some).transpose()?);
            embedding = if embedding.size()[1] == 1 { embedding } else { some(&embedding)? };
        }
        let states = self.norm.forward(&states)?.f_dropout(INPUT_DROPOUT, train)?;
        Ok(Tokens { states: self.linear.forward(&states)?.f_add(&embedding)?, present })
    }

    /// Places of the tokens that this step of training looks at, the same for the whole batch.
    fn draw(&self, states: &Tensor) -> Result<Tensor, TchError> {
        let length = states.size()[1];
        let kept = ((length as f64 * self.trained_share).round() as i64).max(1);
        Tensor::f_randperm(length, (Kind::Int64, states.device()))?.f_narrow(0, 0, kept)
    }
}

impl Layer {
    fn new(source: &Source<'_>, number: usize, shape: &Shape) -> Result<Layer> {
        let width = shape.width;
        let name = |part: &str| format!("layer.{number}.{part}");
        let linear = |part: &str, inputs, outputs| Linear::new(source, &name(part), inputs, outputs);
        Ok(Layer {
            heads: shape.heads,
            attention_norm: Norm::new(source, &name("attention_norm"), width, EPSILON)?,
            qkv: linear("qkv", width, 3 * width)?,
            attended: linear("attended", width, width)?,
            norm: Norm::new(source, &name("norm"), width, EPSILON)?,
            widen: linear("widen", width, 2 * width)?,
            narrow: linear("narrow", 2 * width, width)?,
        })
    }

    fn forward(&self, states: &Tensor, mask: Option<&Tensor>, train: bool) -> Result<Tensor, TchError> {
        let qkv = self.qkv.forward(&self.attention_norm.forward(states)?)?;
        let attended = self.attended.forward(&attention(&qkv, self.heads, mask)?)?;
        let states = states.f_add(&attended.f_dropout(DROPOUT, train)?)?;
        let wide = self.widen.forward(&self.norm.forward(&states)?)?.f_gelu("none")?;
        let narrow = self.narrow.forward(&wide.f_dropout(DROPOUT, train)?)?;
        states.f_add(&narrow.f_dropout(DROPOUT, train)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::seeded;
    use tch::Device;
    use tch::nn::VarStore;

    #[test]
    fn a_share_of_the_tokens_is_looked_at_in_training_and_all_of_them_when_serving() {
        let _generator = seeded(1);
        let store = VarStore::new(Device::Cpu);
        let streams = vec![Stream { name: "video", width: 8, places: Some(12) }];
        let shape = Shape { streams, width: 16, layers: 1, heads: 2, labels: 3 };
        let joint = Joint::new(&Source::Fresh(&store), &shape).unwrap().trained_on_share(0, 0.25);
        let states = Tensor::ones([2, 12, 8], (Kind::Float, Device::Cpu));
        let tokens = Tokens { present: Some(states.select(2, 0).to_kind(Kind::Bool)), states };
        let lengths = |train| {
            let Tokens { states, present } = joint.streams[0].forward(&tokens, train).unwrap();
            (states.size()[1], present.unwrap().size()[1])
        };
        assert_eq!((lengths(true), lengths(false)), ((3, 3), (12, 12)));
        assert_eq!(joint.logits(&[Some(tokens)], true).unwrap().size(), [2, 3]);
    }
}
