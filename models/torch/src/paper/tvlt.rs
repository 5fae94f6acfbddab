//! TVLT (Tang and others, 2022), the textless vision-language transformer: video and sound as patches in one sequence.
//!
//! Names are those of the published checkpoints, as transformers' `TvltForAudioVisualClassification` saves them. A
//! modality is left out with its tokens; the class token stays.

use anyhow::Result;
use tch::{Kind, TchError, Tensor};

use super::config::TvltConfig;
use super::conv::{Conv, Shape};
use super::encoder::{Encoder, Head};
use crate::layers::{Norm, SMALL, Source};

/// The network.
pub(super) struct Tvlt {
    kind: Kind,
    class: Tensor,
    video: Patches,
    audio: Patches,
    encoder: Encoder,
    norm: Option<Norm>,
    head: Head,
}

/// One modality's pictures to tokens.
struct Patches {
    conv: Conv,
    /// Which modality, and which place: `[1, longest, width]`.
    places: Tensor,
}

impl Tvlt {
    /// The network with weights from `source`, computing in numbers of `kind`.
    pub(super) fn new(source: &Source<'_>, config: &TvltConfig, labels: i64, kind: Kind) -> Result<Tvlt> {
        let width = config.encoder.hidden_size;
        let norm = || Norm::new(source, "tvlt.layernorm", width, config.encoder.epsilon());
        Ok(Tvlt {
            kind,
            class: source.tensor("tvlt.cls_embedding", &[1, 1, width], SMALL)?,
            video: Patches::of_video(source, config, kind)?,
            audio: Patches::of_audio(source, config, kind)?,
            encoder: Encoder::new(source, "tvlt.", &config.encoder)?,
            norm: (!config.use_mean_pooling).then(norm).transpose()?,
            head: Head::new(source, [width, 2 * width, labels], config.encoder.epsilon())?,
        })
    }

    /// Logits `[n, labels]` of `video`, `[n, frames, 3, side, side]`, and `audio`, `[n, 1, rows, bands]`: one at least.
    pub(super) fn logits(&self, video: Option<&Tensor>, audio: Option<&Tensor>) -> Result<Tensor, TchError> {
        let count = video.or(audio).map_or(0, |input| input.size()[0]);
        let mut sequence = vec![self.class.f_expand([count, -1, -1], false)?];
        if let Some(video) = video {
            sequence.push(self.video_tokens(&video.f_to_kind(self.kind)?)?);
        }
        if let Some(audio) = audio {
            sequence.push(self.audio.tokens(&audio.f_to_kind(self.kind)?)?);
        }
        let tokens = self.encoder.forward(Tensor::f_cat(&sequence, 1)?, None)?.f_select(1, 0)?;
        let class = self.norm.as_ref().map(|norm| norm.forward(&tokens)).transpose()?.unwrap_or(tokens);
        self.head.forward(&class)?.f_to_kind(Kind::Float)
    }

    fn video_tokens(&self, video: &Tensor) -> Result<Tensor, TchError> {
        let (count, frames, channels, height, width) = video.size5()?;
        let patches = self.video.conv.forward(&video.f_reshape([count * frames, channels, height, width])?)?;
        let patches = patches.f_flatten(2, -1)?.f_transpose(1, 2)?;
        let length = frames * patches.size()[1];
        self.video.placed(&patches.f_reshape([count, length, -1])?)
    }
}

impl Patches {
    fn of_video(source: &Source<'_>, config: &TvltConfig, kind: Kind) -> Result<Patches> {
        let (width, name) = (config.encoder.hidden_size, "tvlt.pixel_embeddings");
        let small = |part: &str, length| source.tensor(&format!("{name}.{part}"), &[1, length, width], SMALL);
        let frames = small("temporal_embed", config.num_frames)?.f_unsqueeze(2)?;
        let places = frames.f_add(&small("pos_embed_v", config.patches_of_a_frame())?.f_unsqueeze(1)?)?;
        Ok(Patches {
            conv: patch(source, name, 3, config.image_patch(), width, kind)?,
            places: places.f_flatten(1, 2)?.f_add(&small("type_embed_v", 1)?)?,
        })
    }

    fn of_audio(source: &Source<'_>, config: &TvltConfig, kind: Kind) -> Result<Patches> {
        let (width, name) = (config.encoder.hidden_size, "tvlt.audio_embeddings");
        let small = |part: &str, length| source.tensor(&format!("{name}.{part}"), &[1, length, width], SMALL);
        let (rows, bands) = config.patches_of_a_spectrogram();
        let places = small("pos_embed_a", rows)?.f_unsqueeze(2)?.f_add(&small("freq_embed", bands)?.f_unsqueeze(1)?)?;
        Ok(Patches {
            conv: patch(source, name, 1, config.audio_patch(), width, kind)?,
            places: places.f_flatten(1, 2)?.f_add(&small("type_embed_a", 1)?)?,
        })
    }

    fn tokens(&self, pictures: &Tensor) -> Result<Tensor, TchError> {
        self.placed(&self.conv.forward(pictures)?.f_flatten(2, -1)?.f_transpose(1, 2)?)
    }

    /// Tokens that know their places. Fewer than the most have the first ones.
    fn placed(&self, tokens: &Tensor) -> Result<Tensor, TchError> {
        tokens.f_add(&self.places.f_narrow(1, 0, tokens.size()[1])?)
    }
}

/// A convolution whose windows lie side by side.
fn patch(source: &Source<'_>, name: &str, inputs: i64, side: i64, outputs: i64, kind: Kind) -> Result<Conv> {
    let shape = Shape { inputs, outputs, kernel: [side; 2], stride: side, padding: 0 };
    Conv::new(source, &format!("{name}.patch_embeddings.projection"), &shape, kind)
}
