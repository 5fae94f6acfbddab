//! Convolutions of pictures, with the normalization behind them folded in where there is one.

use anyhow::Result;
use tch::nn::Init;
use tch::{Kind, TchError, Tensor};

use crate::layers::Source;

/// A convolution over the last two dimensions.
pub(super) struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

/// The size of a convolution.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) inputs: i64,
    pub(super) outputs: i64,
    pub(super) kernel: [i64; 2],
    pub(super) stride: i64,
    pub(super) padding: i64,
}

/// PyTorch's own, which the published networks were trained with.
const EPSILON: f64 = 1e-5;

impl Conv {
    /// A convolution, and nothing behind it.
    pub(super) fn new(source: &Source<'_>, name: &str, shape: &Shape, kind: Kind) -> Result<Conv> {
        let (weight, bias) = parameters(source, name, shape)?;
        Ok(Conv {
            weight: weight.f_to_kind(kind)?,
            bias: bias.f_to_kind(kind)?,
            stride: shape.stride,
            padding: shape.padding,
        })
    }

    /// A convolution with batch normalization as it is after training: a factor and a shift for each channel.
    pub(super) fn normalized(source: &Source<'_>, name: &str, shape: &Shape, kind: Kind) -> Result<Conv> {
        let (weight, bias) = parameters(source, name, shape)?;
        let channels = |part: &str, value| -> Result<Tensor> {
            let tensor = source.tensor(&format!("{name}_bn.{part}"), &[shape.outputs], Init::Const(value))?;
            Ok(tensor.f_to_kind(Kind::Float)?)
        };
        let deviation = channels("running_var", 1.0)?.f_add_scalar(EPSILON)?.f_sqrt()?;
        let factor = channels("weight", 1.0)?.f_div(&deviation)?;
        let weight = weight.f_to_kind(Kind::Float)?.f_mul(&factor.f_view([-1, 1, 1, 1])?)?;
        let bias = bias.f_to_kind(Kind::Float)?.f_sub(&channels("running_mean", 0.0)?)?.f_mul(&factor)?;
        let bias = bias.f_add(&channels("bias", 0.0)?)?;
        Ok(Conv {
            weight: weight.f_to_kind(kind)?,
            bias: bias.f_to_kind(kind)?,
            stride: shape.stride,
            padding: shape.padding,
        })
    }

    pub(super) fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        input.f_conv2d(&self.weight, Some(&self.bias), stride, padding, [1, 1], 1)
    }
}

fn parameters(source: &Source<'_>, name: &str, shape: &Shape) -> Result<(Tensor, Tensor)> {
    let [height, width] = shape.kernel;
    // keeps the spread of what goes through, with half of it cut off behind
    let bound = (6.0 / (shape.inputs * height * width) as f64).sqrt();
    let weight = Init::Uniform { lo: -bound, up: bound };
    let weight = source.tensor(&format!("{name}.weight"), &[shape.outputs, shape.inputs, height, width], weight)?;
    Ok((weight, source.tensor(&format!("{name}.bias"), &[shape.outputs], Init::Const(0.0))?))
}
