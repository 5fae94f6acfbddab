//! Pictures of many channels to one vector: four convolutions that each halve the sides, and a mean over what is left.

use anyhow::Result;
use tch::nn::Init;
use tch::{Kind, TchError, Tensor};

use super::layers::Source;

/// The convolutions. Every clip is computed by itself, so that it is answered alike alone and in a batch.
pub(super) struct Strided {
    convs: Vec<Conv>,
}

/// Halves both sides; normalised in groups of channels.
struct Conv {
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
}

/// Numbers of the vector.
pub(super) const WIDTH: i64 = 128;
/// Channels after each convolution.
const CHANNELS: [i64; 4] = [24, 48, 96, WIDTH];
/// Channels that are normalised together.
const GROUP: i64 = 8;
const KERNEL: i64 = 3;
const EPSILON: f64 = 1e-5;

impl Strided {
    /// The convolutions for pictures of so many channels, with weights from `source`, under `name`.
    pub(super) fn new(source: &Source<'_>, name: &str, channels: i64) -> Result<Strided> {
        let (mut convs, mut inputs) = (Vec::new(), channels);
        for (number, outputs) in CHANNELS.into_iter().enumerate() {
            convs.push(Conv::new(source, &format!("{name}.{number}"), inputs, outputs)?);
            inputs = outputs;
        }
        Ok(Strided { convs })
    }

    /// Pictures `[n, channels, height, width]` to vectors `[n, 128]`.
    pub(super) fn vectors(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        let mut map = pictures.shallow_clone();
        for conv in &self.convs {
            map = conv.forward(&map)?;
        }
        map.f_mean_dim([2i64, 3].as_slice(), false, None::<Kind>)
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
