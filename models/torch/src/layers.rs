//! The layers that the networks are made of, and where their weights come from.

use anyhow::Result;
use tch::nn::{Init, Path, VarStore};
use tch::{Kind, TchError, Tensor};

use super::weights::Weights;

/// Where weights come from: fresh ones to be trained, or stored ones.
pub(super) enum Source<'a> {
    /// Drawn from libtorch's generator, known to the store by their names.
    Fresh(&'a VarStore),
    /// Read from a file.
    Stored(&'a Weights),
}

/// A matrix product and a shift.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

/// Layer normalization over the last dimension.
pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

/// What small embeddings start as.
pub(super) const SMALL: Init = Init::Randn { mean: 0.0, stdev: 0.02 };

impl Source<'_> {
    /// A tensor that training moves. The name's parts are separated by dots.
    pub(super) fn tensor(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        match self {
            Source::Stored(weights) => weights.get(name, shape),
            Source::Fresh(store) => {
                let (path, last) = place(store, name);
                Ok(path.f_var(last, shape, init)?)
            }
        }
    }

    /// A tensor that training leaves alone: zero if fresh.
    pub(super) fn constant(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        match self {
            Source::Stored(weights) => weights.get(name, shape),
            Source::Fresh(store) => {
                let (path, last) = place(store, name);
                Ok(path.f_zeros_no_train(last, shape)?)
            }
        }
    }

    /// The same, never cast: what raw inputs are standardized with.
    pub(super) fn exact_constant(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        match self {
            Source::Stored(weights) => weights.stored(name, shape),
            Source::Fresh(_) => self.constant(name, shape),
        }
    }
}

/// The folder of the store that a dotted name lies in, and its last part.
fn place<'a, 'n>(store: &'a VarStore, name: &'n str) -> (Path<'a>, &'n str) {
    let (folder, last) = name.rsplit_once('.').unwrap_or(("", name));
    let folders = folder.split('.').filter(|part| !part.is_empty());
    (folders.fold(store.root(), |path, part| path.sub(part)), last)
}

impl Linear {
    /// A layer from `inputs` numbers to `outputs`.
    pub(super) fn new(source: &Source<'_>, name: &str, inputs: i64, outputs: i64) -> Result<Linear> {
        let bound = 1.0 / (inputs as f64).sqrt();
        let init = Init::Uniform { lo: -bound, up: bound };
        Ok(Linear {
            weight: source.tensor(&format!("{name}.weight"), &[outputs, inputs], init)?,
            bias: source.tensor(&format!("{name}.bias"), &[outputs], init)?,
        })
    }

    /// Several layers of the same inputs as one, their outputs side by side.
    pub(super) fn side_by_side(layers: &[Linear]) -> Result<Linear> {
        let cat = |part: fn(&Linear) -> &Tensor| Tensor::f_cat(&layers.iter().map(part).collect::<Vec<_>>(), 0);
        Ok(Linear { weight: cat(|layer| &layer.weight)?, bias: cat(|layer| &layer.bias)? })
    }

    /// The same layer in numbers of another kind.
    pub(super) fn at(&self, kind: Kind) -> Result<Linear> {
        Ok(Linear { weight: self.weight.f_to_kind(kind)?, bias: self.bias.f_to_kind(kind)? })
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input.f_linear(&self.weight, Some(&self.bias))
    }
}

impl Norm {
    /// A normalization of `width` numbers.
    pub(super) fn new(source: &Source<'_>, name: &str, width: i64, epsilon: f64) -> Result<Norm> {
        Ok(Norm {
            weight: source.tensor(&format!("{name}.weight"), &[width], Init::Const(1.0))?,
            bias: source.tensor(&format!("{name}.bias"), &[width], Init::Const(0.0))?,
            epsilon,
        })
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        input.f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, false)
    }
}

/// Attention of tokens among each other: `qkv` holds every token's query, key and value side by side.
///
/// `mask` is false where a token may not be looked at, broadcast to `[n, heads, length, length]`.
pub(super) fn attention(qkv: &Tensor, heads: i64, mask: Option<&Tensor>) -> Result<Tensor, TchError> {
    let (count, length, triple) = qkv.size3()?;
    let width = triple / 3;
    let parts = qkv.f_view([count, length, 3, heads, width / heads])?.f_permute([2, 0, 3, 1, 4])?;
    let (query, key, value) = (parts.f_get(0)?, parts.f_get(1)?, parts.f_get(2)?);
    let mixed = Tensor::f_scaled_dot_product_attention(&query, &key, &value, mask, 0.0, false, None, false)?;
    mixed.f_transpose(1, 2)?.f_reshape([count, length, width])
}
