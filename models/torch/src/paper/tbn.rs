//! TBN (Kazakos and others, 2019), the temporal binding network: a BN-Inception for the picture, one for optical flow
//! and one for the sound's spectrogram, fused by a fully connected layer.
//!
//! Names are those of the published checkpoints (`rgb`, `flow`, `spec`, `fusion_classification_net`). The paper has a
//! network for every set of modalities. This one serves them all: a stream that is left out counts as features of zero,
//! and since zeros do not change a sum, neither the stream nor its share of the fusion is computed.

use anyhow::Result;
use tch::nn::Init;
use tch::{Kind, TchError, Tensor};

use super::config::TbnConfig;
use super::inception::{FEATURES, Inception};
use crate::layers::{Linear, SMALL, Source};

/// Streams in the order of their features.
pub(super) const STREAMS: [&str; 3] = ["rgb", "flow", "spec"];
/// Width of the fused features, at full width.
const FUSED: i64 = 512;

/// The network.
pub(super) struct Tbn {
    kind: Kind,
    streams: Vec<Stream>,
    bias: Tensor,
    head: Linear,
}

struct Stream {
    inception: Inception,
    /// Its columns of the fusion: `[fused, features]`.
    fusion: Tensor,
}

impl Tbn {
    /// The network with weights from `source`, computing in numbers of `kind`.
    pub(super) fn new(source: &Source<'_>, config: &TbnConfig, labels: i64, kind: Kind) -> Result<Tbn> {
        let (features, fused) = (FEATURES / config.width_divisor, FUSED / config.width_divisor);
        let (weight, bias) = ("fusion_classification_net.fc1.weight", "fusion_classification_net.fc1.bias");
        let weight = source.tensor(weight, &[fused, STREAMS.len() as i64 * features], SMALL)?;
        let channels = [3, 2 * config.flow_length, 1];
        let stream = |(index, channels): (usize, i64)| -> Result<Stream> {
            Ok(Stream {
                inception: Inception::new(source, STREAMS[index], channels, config.width_divisor, kind)?,
                fusion: weight.f_narrow(1, index as i64 * features, features)?.f_to_kind(kind)?,
            })
        };
        let head = format!("fusion_classification_net.fc_{}", config.head);
        Ok(Tbn {
            kind,
            streams: channels.into_iter().enumerate().map(stream).collect::<Result<_>>()?,
            bias: source.tensor(bias, &[fused], Init::Const(0.0))?.f_to_kind(kind)?,
            head: Linear::new(source, &head, fused, labels)?.at(kind)?,
        })
    }

    /// Logits `[n, labels]` of pictures `[n, channels, side, side]` in the order of [`STREAMS`]: at least one is there.
    pub(super) fn logits(&self, inputs: &[Option<Tensor>; 3]) -> Result<Tensor, TchError> {
        let mut fused = self.bias.f_unsqueeze(0)?;
        for (stream, input) in self.streams.iter().zip(inputs) {
            if let Some(input) = input {
                let features = stream.inception.features(&input.f_to_kind(self.kind)?)?;
                fused = fused.f_add(&features.f_linear(&stream.fusion, None::<&Tensor>)?)?;
            }
        }
        self.head.forward(&fused.f_relu()?)?.f_to_kind(Kind::Float)
    }
}
