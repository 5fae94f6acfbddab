//! The transformer that TVLT and ViLT share, after ViT (Dosovitskiy and others, 2020), and the head on its class token.

use anyhow::Result;
use tch::{TchError, Tensor};

use super::config::EncoderConfig;
use crate::layers::{Linear, Norm, Source};

/// Layers of attention, each normalized before its two parts.
pub(super) struct Encoder {
    layers: Vec<Layer>,
}

struct Layer {
    heads: i64,
    norm_before: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    norm_after: Norm,
    widen: Linear,
    narrow: Linear,
}

/// Two layers from the class token to the labels.
pub(super) struct Head {
    widen: Linear,
    norm: Norm,
    classify: Linear,
}

impl Encoder {
    /// The layers below `prefix`.
    pub(super) fn new(source: &Source<'_>, prefix: &str, config: &EncoderConfig) -> Result<Encoder> {
        let layers = 0..config.num_hidden_layers;
        Ok(Encoder {
            layers: layers
                .map(|layer| Layer::new(source, &format!("{prefix}encoder.layer.{layer}"), config))
                .collect::<Result<_>>()?,
        })
    }

    /// Tokens `[n, length, width]` to tokens. `mask` is false where one may not be looked at, `[n, 1, 1, length]`.
    pub(super) fn forward(&self, tokens: Tensor, mask: Option<&Tensor>) -> Result<Tensor, TchError> {
        self.layers.iter().try_fold(tokens, |tokens, layer| layer.forward(&tokens, mask))
    }
}

impl Layer {
    fn new(source: &Source<'_>, prefix: &str, config: &EncoderConfig) -> Result<Layer> {
        let (width, hidden) = (config.hidden_size, config.intermediate_size);
        let linear = |name: &str, inputs, outputs| Linear::new(source, &format!("{prefix}.{name}"), inputs, outputs);
        let norm = |name: &str| Norm::new(source, &format!("{prefix}.{name}"), width, config.epsilon());
        // query, key and value stay apart: side by side they would be a second copy of a quarter of the weights
        Ok(Layer {
            heads: config.num_attention_heads,
            norm_before: norm("layernorm_before")?,
            query: linear("attention.attention.query", width, width)?,
            key: linear("attention.attention.key", width, width)?,
            value: linear("attention.attention.value", width, width)?,
            attended: linear("attention.output.dense", width, width)?,
            norm_after: norm("layernorm_after")?,
            widen: linear("intermediate.dense", width, hidden)?,
            narrow: linear("output.dense", hidden, width)?,
        })
    }

    fn forward(&self, tokens: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, TchError> {
        let attended = self.attend(&self.norm_before.forward(tokens)?, mask)?;
        let tokens = self.attended.forward(&attended)?.f_add(tokens)?;
        let wide = self.widen.forward(&self.norm_after.forward(&tokens)?)?.f_gelu("none")?;
        self.narrow.forward(&wide)?.f_add(&tokens)
    }

    fn attend(&self, tokens: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, TchError> {
        let (count, length, width) = tokens.size3()?;
        let heads = |linear: &Linear| {
            linear.forward(tokens)?.f_view([count, length, self.heads, width / self.heads])?.f_transpose(1, 2)
        };
        let (query, key, value) = (heads(&self.query)?, heads(&self.key)?, heads(&self.value)?);
        let mixed = Tensor::f_scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false)?;
        mixed.f_transpose(1, 2)?.f_reshape([count, length, width])
    }
}

impl Head {
    /// The head of these widths, named as the published ones are; the last is the number of labels.
    pub(super) fn new(source: &Source<'_>, [width, hidden, labels]: [i64; 3], epsilon: f64) -> Result<Head> {
        Ok(Head {
            widen: Linear::new(source, "classifier.0", width, hidden)?,
            norm: Norm::new(source, "classifier.1", hidden, epsilon)?,
            classify: Linear::new(source, "classifier.3", hidden, labels)?,
        })
    }

    pub(super) fn forward(&self, class: &Tensor) -> Result<Tensor, TchError> {
        self.classify.forward(&self.norm.forward(&self.widen.forward(class)?)?.f_gelu("none")?)
    }
}
