//! MobileNetV2 (Sandler and others, 2018) with ImageNet weights, as a tower: pictures to tokens.
//!
//! Batch normalization is folded into the convolutions when the weights are read: it is a scale and a shift of their
//! outputs, and at inference both are constants. It is folded in full precision, whatever the network then computes with.

use anyhow::Result;
use tch::{Device, TchError, Tensor};

use super::weights::Weights;
use mosel_models::assets::Assets;

/// Where its weights lie among the assets.
pub(super) const FILE: &str = "towers/mobilenet_v2.safetensors";
/// Width of a token: channels before the last convolution.
pub(super) const WIDTH: i64 = 320;
/// Pixels on a side that the pictures are scaled to.
pub(super) const SIDE: i64 = 128;
/// Tokens of such a picture: the cells of the last 4x4 map.
pub(super) const CELLS: i64 = cells(SIDE, SIDE);

/// Tokens of a picture of this size: a cell of the last map covers 32x32 pixels.
pub(super) const fn cells(height: i64, width: i64) -> i64 {
    const REDUCTION: i64 = 32;
    (height / REDUCTION) * (width / REDUCTION)
}

/// The network up to the last 1x1 convolution.
pub(super) struct MobileNet {
    stem: Conv,
    blocks: Vec<Block>,
}

/// Expand, filter each channel, project; added to its input where the shapes agree.
struct Block {
    convs: Vec<Conv>,
    residual: bool,
}

/// A convolution with its batch normalization folded in.
struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
    groups: i64,
    /// ReLU6 follows.
    clipped: bool,
}

/// What a convolution looks like, before its weights are read.
#[derive(Clone, Copy)]
struct Shape {
    inputs: i64,
    outputs: i64,
    kernel: i64,
    stride: i64,
    groups: i64,
    clipped: bool,
}

/// The paper's table 2: expansion, channels, repeats, stride of the first.
const STAGES: [(i64, i64, i64, i64); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, WIDTH, 1, 1)];

/// The weights as they are stored.
pub(super) fn weights(assets: &Assets, device: Device) -> Result<Weights> {
    Weights::read_tower(&assets.path(FILE)?, device)
}

impl MobileNet {
    /// Reads the network from torchvision's names.
    pub(super) fn new(weights: &Weights) -> Result<MobileNet> {
        let shape = Shape { inputs: 3, outputs: 32, kernel: 3, stride: 2, groups: 1, clipped: true };
        let stem = Conv::new(weights, "features.0.0", "features.0.1", shape)?;
        let mut blocks = Vec::new();
        let mut inputs = 32;
        for (expansion, outputs, repeats, first_stride) in STAGES {
            for repeat in 0..repeats {
                let stride = if repeat == 0 { first_stride } else { 1 };
                let name = format!("features.{}.conv", blocks.len() + 1);
                blocks.push(Block::new(weights, &name, inputs, outputs, expansion, stride)?);
                inputs = outputs;
            }
        }
        Ok(MobileNet { stem, blocks })
    }

    /// Pictures `[n, 3, height, width]` to tokens `[n, cells, 320]`, row by row.
    pub(super) fn tokens(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        self.map(pictures)?.f_flatten(2, 3)?.f_transpose(1, 2)
    }

    /// Pictures to the last map before the 1x1 convolution.
    fn map(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        let mut map = self.stem.forward(pictures)?;
        for block in &self.blocks {
            map = block.forward(map)?;
        }
        Ok(map)
    }
}

impl Block {
    fn new(weights: &Weights, name: &str, inputs: i64, outputs: i64, expansion: i64, stride: i64) -> Result<Block> {
        let hidden = inputs * expansion;
        let expand = Shape { inputs, outputs: hidden, kernel: 1, stride: 1, groups: 1, clipped: true };
        let filter = Shape { inputs: hidden, outputs: hidden, kernel: 3, stride, groups: hidden, clipped: true };
        let project = Shape { inputs: hidden, outputs, kernel: 1, stride: 1, groups: 1, clipped: false };
        let (mut convs, mut place) = (Vec::new(), 0);
        for shape in if expansion == 1 { vec![filter] } else { vec![expand, filter] } {
            convs.push(Conv::new(weights, &format!("{name}.{place}.0"), &format!("{name}.{place}.1"), shape)?);
            place += 1;
        }
        convs.push(Conv::new(weights, &format!("{name}.{place}"), &format!("{name}.{}", place + 1), project)?);
        Ok(Block { convs, residual: stride == 1 && inputs == outputs })
    }

    fn forward(&self, input: Tensor) -> Result<Tensor, TchError> {
        let mut map = self.convs[0].forward(&input)?;
        for conv in &self.convs[1..] {
            map = conv.forward(&map)?;
        }
        if self.residual { map.f_add_(&input) } else { Ok(map) }
    }
}

impl Conv {
    fn new(weights: &Weights, name: &str, norm: &str, shape: Shape) -> Result<Conv> {
        let Shape { inputs, outputs, kernel, stride, groups, clipped } = shape;
        let weight = weights.stored(&format!("{name}.weight"), &[outputs, inputs / groups, kernel, kernel])?;
        let (weight, bias) = fold(weights, &weight, norm, outputs)?;
        let (weight, bias) = (weight.f_to_kind(weights.kind())?, bias.f_to_kind(weights.kind())?);
        Ok(Conv { weight: channels_last(&weight)?, bias, stride, padding: kernel / 2, groups, clipped })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        let mut map = input.f_conv2d(&self.weight, Some(&self.bias), stride, padding, [1, 1], self.groups)?;
        if self.clipped { map.f_clamp_(0.0, 6.0) } else { Ok(map) }
    }
}

/// The batch normalization `norm` as a scaled weight and a bias.
fn fold(weights: &Weights, weight: &Tensor, norm: &str, outputs: i64) -> Result<(Tensor, Tensor)> {
    let of = |part: &str| weights.stored(&format!("{norm}.{part}"), &[outputs]);
    let scale = of("weight")? / (of("running_var")? + EPSILON).sqrt();
    let bias = of("bias")? - of("running_mean")? * &scale;
    Ok((weight * scale.view([outputs, 1, 1, 1]), bias))
}

/// torchvision's batch normalization.
const EPSILON: f64 = 1e-5;

/// The same numbers with the channels of a pixel side by side in memory.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture;
    use mosel_models::assets::Assets;
    use mosel_models::prepare::decode_picture;
    use tch::{Device, Kind};

    fn weights() -> Weights {
        tch::set_num_threads(1);
        let path = Assets::standard().path("towers/mobilenet_v2.safetensors").expect("run `make setup` first");
        Weights::read(&path, Device::Cpu).unwrap()
    }

    /// Numbers that look random without touching libtorch's generator, which training tests own.
    fn noise(shape: &[i64]) -> Tensor {
        let count: i64 = shape.iter().product();
        (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 12.9898).sin().view(shape)
    }

    #[test]
    fn a_folded_convolution_equals_the_convolution_and_its_normalisation() {
        let weights = weights();
        let cases = [
            (
                "features.0.0",
                "features.0.1",
                Shape { inputs: 3, outputs: 32, kernel: 3, stride: 2, groups: 1, clipped: true },
            ),
            (
                "features.4.conv.1.0",
                "features.4.conv.1.1",
                Shape { inputs: 144, outputs: 144, kernel: 3, stride: 2, groups: 144, clipped: true },
            ),
            (
                "features.17.conv.2",
                "features.17.conv.3",
                Shape { inputs: 960, outputs: 320, kernel: 1, stride: 1, groups: 1, clipped: false },
            ),
        ];
        for (name, norm, shape) in cases {
            let input = noise(&[2, shape.inputs, 16, 16]);
            let folded = Conv::new(&weights, name, norm, shape).unwrap().forward(&input).unwrap();
            let weight = weights.get(
                &format!("{name}.weight"),
                &[shape.outputs, shape.inputs / shape.groups, shape.kernel, shape.kernel],
            );
            let plain = input.conv2d(
                &weight.unwrap(),
                None::<Tensor>,
                [shape.stride; 2],
                [shape.kernel / 2; 2],
                [1, 1],
                shape.groups,
            );
            let of = |part: &str| Some(weights.get(&format!("{norm}.{part}"), &[shape.outputs]).unwrap());
            let normal = plain.batch_norm(
                of("weight"),
                of("bias"),
                of("running_mean"),
                of("running_var"),
                false,
                0.1,
                EPSILON,
                false,
            );
            let expected = if shape.clipped { normal.clamp(0.0, 6.0) } else { normal };
            let difference = (folded - &expected).abs().max().double_value(&[]);
            assert!(difference < 1e-4, "{name}: {difference}");
            assert!(expected.abs().max().double_value(&[]) > 0.1, "{name} answers nothing");
        }
    }

    #[test]
    fn pictures_of_things_look_like_them_to_imagenet() {
        // the classifier behind the tower, which serving never needs, at the size it was trained with
        let weights = weights();
        let network = MobileNet::new(&weights).unwrap();
        let last = Shape { inputs: WIDTH, outputs: 1280, kernel: 1, stride: 1, groups: 1, clipped: true };
        let last = Conv::new(&weights, "features.18.0", "features.18.1", last).unwrap();
        let matrix = weights.get("classifier.1.weight", &[1000, 1280]).unwrap();
        let bias = weights.get("classifier.1.bias", &[1000]).unwrap();
        let class_of = |code: &str| {
            let file = Assets::standard().path(&format!("emoji/google/64/{code}.png")).unwrap();
            let picture = decode_picture(&std::fs::read(file).unwrap(), 64).unwrap().on_white_square();
            let map = network
                .map(&picture::batch(&[&picture::scaled(&picture, [224; 2]).unwrap()], Device::Cpu).unwrap())
                .unwrap();
            let pooled = last.forward(&map).unwrap().mean_dim([2i64, 3].as_slice(), false, Kind::Float);
            pooled.linear(&matrix, Some(&bias)).argmax(1, false).int64_value(&[0])
        };
        let things = [
            ("1f691", 407, "ambulance"),
            ("1f550", 409, "analog clock"),
            ("26be", 429, "baseball"),
            ("1f3c0", 430, "basketball"),
            ("26bd", 805, "soccer ball"),
            ("1f4fa", 851, "television"),
        ];
        for (code, class, what) in things {
            assert_eq!(class_of(code), class, "{what}");
        }
    }

    #[test]
    fn tokens_are_the_cells_of_the_last_map() {
        let network = MobileNet::new(&weights()).unwrap();
        for (height, width, expected) in [(SIDE, SIDE, 16), (96, 128, 12)] {
            let tokens = network.tokens(&noise(&[2, 3, height, width])).unwrap();
            assert_eq!(tokens.size(), [2, expected, WIDTH]);
            assert_eq!(cells(height, width), expected);
        }
    }
}
