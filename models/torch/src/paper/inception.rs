//! BN-Inception (Ioffe and Szegedy, 2015) up to its last pooling: a picture to a row of features.
//!
//! Names are those of the published checkpoints (`conv1_7x7_s2.weight`, `inception_3a_1x1_bn.running_var`). Batch
//! normalization is folded into the convolutions when the network is made.

use anyhow::Result;
use tch::{Kind, TchError, Tensor};

use super::conv::{Conv, Shape};
use crate::layers::Source;

/// Features of a picture, at full width.
pub(super) const FEATURES: i64 = 1024;

/// The network.
pub(super) struct Inception {
    first: Conv,
    reduce: Conv,
    second: Conv,
    blocks: Vec<Block>,
}

/// Up to four paths beside each other, their channels one behind the other.
struct Block {
    /// 1x1; a block that halves the picture has none.
    plain: Option<Conv>,
    /// 1x1, then 3x3.
    single: [Conv; 2],
    /// 1x1, then twice 3x3.
    double: [Conv; 3],
    pool: Pool,
    /// 1x1 behind the pooling; a block that halves the picture has none.
    projected: Option<Conv>,
}

/// Pooling over 3x3.
#[derive(Clone, Copy)]
enum Pool {
    Mean,
    Max,
    /// The largest number, in every second place: the block halves the picture.
    Half,
}

/// Channels of one block. `plain` and `projected` are 0 in one that halves the picture.
struct Channels {
    name: &'static str,
    plain: i64,
    single: [i64; 2],
    double: [i64; 2],
    pool: Pool,
    projected: i64,
}

const fn block(
    name: &'static str,
    plain: i64,
    single: [i64; 2],
    double: [i64; 2],
    pool: Pool,
    projected: i64,
) -> Channels {
    Channels { name, plain, single, double, pool, projected }
}

const BLOCKS: [Channels; 10] = [
    block("3a", 64, [64, 64], [64, 96], Pool::Mean, 32),
    block("3b", 64, [64, 96], [64, 96], Pool::Mean, 64),
    block("3c", 0, [128, 160], [64, 96], Pool::Half, 0),
    block("4a", 224, [64, 96], [96, 128], Pool::Mean, 128),
    block("4b", 192, [96, 128], [96, 128], Pool::Mean, 128),
    block("4c", 160, [128, 160], [128, 160], Pool::Mean, 128),
    block("4d", 96, [128, 192], [160, 192], Pool::Mean, 128),
    block("4e", 0, [128, 192], [192, 256], Pool::Half, 0),
    block("5a", 352, [192, 320], [160, 224], Pool::Mean, 128),
    block("5b", 352, [192, 320], [192, 224], Pool::Max, 128),
];

impl Inception {
    /// The network below `prefix` for pictures of so many channels; every layer has its channels by `divisor`.
    pub(super) fn new(source: &Source<'_>, prefix: &str, channels: i64, divisor: i64, kind: Kind) -> Result<Inception> {
        let conv = |name: &str, inputs, outputs, kernel: i64, stride| {
            let shape = Shape { inputs, outputs, kernel: [kernel; 2], stride, padding: kernel / 2 };
            Conv::normalized(source, &format!("{prefix}.{name}"), &shape, kind)
        };
        let (stem, mut inputs) = (64 / divisor, 192 / divisor);
        let mut blocks = Vec::with_capacity(BLOCKS.len());
        for channels in &BLOCKS {
            blocks.push(Block::new(&conv, channels, inputs, divisor)?);
            inputs = channels.outputs(inputs, divisor);
        }
        Ok(Inception {
            first: conv("conv1_7x7_s2", channels, stem, 7, 2)?,
            reduce: conv("conv2_3x3_reduce", stem, stem, 1, 1)?,
            second: conv("conv2_3x3", stem, 192 / divisor, 3, 1)?,
            blocks,
        })
    }

    /// Pictures `[n, channels, side, side]` to features `[n, FEATURES / divisor]`.
    pub(super) fn features(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        // pixel by pixel in memory, which the convolutions are fastest on
        let pictures = pictures.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        let half = Pool::Half.forward(&rectified(&self.first, &pictures)?)?;
        let second = rectified(&self.second, &rectified(&self.reduce, &half)?)?;
        let mut states = Pool::Half.forward(&second)?;
        for block in &self.blocks {
            states = block.forward(&states)?;
        }
        states.f_mean_dim([2i64, 3].as_slice(), false, states.kind())
    }
}

impl Channels {
    fn outputs(&self, inputs: i64, divisor: i64) -> i64 {
        let pooled = if self.projected == 0 { inputs } else { self.projected / divisor };
        (self.plain + self.single[1] + self.double[1]) / divisor + pooled
    }
}

impl Block {
    fn new(
        conv: &impl Fn(&str, i64, i64, i64, i64) -> Result<Conv>,
        channels: &Channels,
        inputs: i64,
        divisor: i64,
    ) -> Result<Block> {
        let name = |part: &str| format!("inception_{}_{part}", channels.name);
        let [single, single_wide] = channels.single.map(|count| count / divisor);
        let [double, double_wide] = channels.double.map(|count| count / divisor);
        let stride = if matches!(channels.pool, Pool::Half) { 2 } else { 1 };
        let optional = |part: &str, outputs: i64| {
            (outputs > 0).then(|| conv(&name(part), inputs, outputs / divisor, 1, 1)).transpose()
        };
        Ok(Block {
            plain: optional("1x1", channels.plain)?,
            single: [
                conv(&name("3x3_reduce"), inputs, single, 1, 1)?,
                conv(&name("3x3"), single, single_wide, 3, stride)?,
            ],
            double: [
                conv(&name("double_3x3_reduce"), inputs, double, 1, 1)?,
                conv(&name("double_3x3_1"), double, double_wide, 3, 1)?,
                conv(&name("double_3x3_2"), double_wide, double_wide, 3, stride)?,
            ],
            pool: channels.pool,
            projected: optional("pool_proj", channels.projected)?,
        })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor, TchError> {
        let path =
            |convs: &[Conv]| convs.iter().try_fold(states.shallow_clone(), |states, conv| rectified(conv, &states));
        let pooled = self.pool.forward(states)?;
        let pooled = self.projected.as_ref().map_or(Ok(pooled.shallow_clone()), |conv| rectified(conv, &pooled))?;
        let mut paths =
            self.plain.as_ref().map(|conv| rectified(conv, states)).transpose()?.into_iter().collect::<Vec<_>>();
        paths.extend([path(&self.single)?, path(&self.double)?, pooled]);
        Tensor::f_cat(&paths, 1)
    }
}

impl Pool {
    fn forward(self, states: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Pool::Mean => states.f_avg_pool2d([3, 3], [1, 1], [1, 1], true, true, None),
            Pool::Max => states.f_max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], true),
            Pool::Half => states.f_max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], true),
        }
    }
}

fn rectified(conv: &Conv, states: &Tensor) -> Result<Tensor, TchError> {
    conv.forward(states)?.f_relu_()
}
