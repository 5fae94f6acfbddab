//! Strided convolutions, each halving the sides of a picture: the trained stem of spectrograms and of flow.

use anyhow::Result;
use tch::nn::Init;
use tch::{TchError, Tensor};

use super::layers::Source;

/// Convolutions one after the other.
pub(super) struct Strided {
    convs: Vec<Conv>,
}

/// Halves both sides; normalized in groups of channels, so that a clip alone and in a batch are the same.
struct Conv {
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
}

/// Channels that are normalized together.
const GROUP: i64 = 8;
const KERNEL: i64 = 3;
const EPSILON: f64 = 1e-5;

impl Strided {
    /// Convolutions with weights from `source`, under `name`; `channels` before, between and after them.
    pub(super) fn new(source: &Source<'_>, name: &str, channels: &[i64]) -> Result<Strided> {
        let conv = |(number, pair): (usize, &[i64])| Conv::new(source, &format!("{name}.{number}"), pair[0], pair[1]);
        Ok(Strided { convs: channels.windows(2).enumerate().map(conv).collect::<Result<_>>()? })
    }

    /// Pictures `[n, channels, height, width]` to smaller ones of the last number of channels.
    pub(super) fn map(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        self.convs.iter().try_fold(pictures.shallow_clone(), |map, conv| conv.forward(&map))
    }
}

impl Conv {
    fn new(source: &Source<'_>, name: &str, inputs: i64, outputs: i64) -> Result<Conv> {
        // as if ReLU halved the variance (He and others, 2015)
        let init = Init::Randn { mean: 0.0, stdev: (2.0 / (inputs * KERNEL * KERNEL) as f64).sqrt() };
        Ok(Conv {
            weight: source.tensor(&format!("{name}.weight"), &[outputs, inputs, KERNEL, KERNEL], init)?,
            scale: source.tensor(&format!("{name}.scale"), &[outputs], Init::Const(1.0))?,
            shift: source.tensor(&format!("{name}.shift"), &[outputs], Init::Const(0.0))?,
        })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let map = input.f_conv2d(&self.weight, None::<Tensor>, [2, 2], [1, 1], [1, 1], 1)?;
        let groups = map.size()[1] / GROUP;
        map.f_group_norm(groups, Some(&self.scale), Some(&self.shift), EPSILON, false)?.f_relu()
    }
}
