//! What a checkpoint's config.json says: which network it is, and its sizes.
//!
//! Fields and defaults are those of the published configurations; what is not listed here is not looked at. TBN's
//! authors have none, so this project defines one:
//!
//! | field | default | |
//! |---|---|---|
//! | `model_type` | | `"tbn"` |
//! | `id2label` | | the labels, by number from `"0"` |
//! | `head` | `"action"` | which head answers: `action`, `verb` or `noun` (`fusion_classification_net.fc_...`) |
//! | `flow_length` | 5 | pairs of flow pictures |
//! | `image_size` | 224 | pixels on a side of the picture and of flow |
//! | `spectrogram_size` | 256 | frequencies and times of the spectrogram |
//! | `sampling_rate` | 24000 | samples a second of the sound |
//! | `width_divisor` | 1 | every layer has its channels divided by this: 1, 2, 4, 8, 16 or 32 |

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Tang and others, 2022: video and audio.
    Tvlt,
    /// Kim and others, 2021: image and text.
    Vilt,
    /// Kazakos and others, 2019: rgb, flow and audio.
    Tbn,
}

/// A transformer's sizes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct EncoderConfig {
    pub(super) hidden_size: i64,
    pub(super) num_hidden_layers: i64,
    pub(super) num_attention_heads: i64,
    pub(super) intermediate_size: i64,
    layer_norm_eps: Option<f64>,
    hidden_act: String,
    qkv_bias: bool,
}

/// TVLT's.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct TvltConfig {
    #[serde(flatten)]
    pub(super) encoder: EncoderConfig,
    pub(super) image_size: i64,
    pub(super) spectrogram_length: i64,
    pub(super) frequency_length: i64,
    image_patch_size: Side,
    audio_patch_size: Side,
    pub(super) num_frames: i64,
    pub(super) use_mean_pooling: bool,
    num_image_channels: i64,
    num_audio_channels: i64,
}

/// ViLT's.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct ViltConfig {
    #[serde(flatten)]
    pub(super) encoder: EncoderConfig,
    pub(super) vocab_size: i64,
    pub(super) type_vocab_size: i64,
    pub(super) modality_type_vocab_size: i64,
    pub(super) max_position_embeddings: i64,
    pub(super) image_size: i64,
    patch_size: Side,
    num_channels: i64,
    max_image_length: i64,
    num_images: i64,
    architectures: Vec<String>,
}

/// Which of the published heads ViLT has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ViltHead {
    /// Twice as wide as the network.
    QuestionAnswering,
    /// As wide as the network.
    ImagesAndText,
}

/// TBN's; see the table above.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct TbnConfig {
    pub(super) head: String,
    pub(super) flow_length: i64,
    pub(super) image_size: i64,
    pub(super) spectrogram_size: i64,
    pub(super) sampling_rate: u32,
    pub(super) width_divisor: i64,
}

/// What every configuration has.
#[derive(Deserialize)]
pub(super) struct Common {
    model_type: Option<String>,
    #[serde(default)]
    id2label: BTreeMap<String, String>,
    num_labels: Option<usize>,
}

/// One number, or the same one twice: height and width.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Side {
    One(i64),
    Two([i64; 2]),
}

const MAX_BYTES: u64 = 4 << 20;
const MAX_LABELS: usize = 100_000;

/// A file of JSON, as a whole.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let context = || format!("reading {}", path.display());
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text)).with_context(context)?;
    ensure!(text.len() as u64 <= MAX_BYTES, "expected {} of at most {MAX_BYTES} bytes", path.display());
    serde_json::from_str(&text).with_context(context)
}

impl Common {
    pub(super) fn architecture(&self) -> Result<Architecture> {
        match self.model_type.as_deref() {
            Some("tvlt") => Ok(Architecture::Tvlt),
            Some("vilt") => Ok(Architecture::Vilt),
            Some("tbn") => Ok(Architecture::Tbn),
            Some(other) => bail!("expected model_type tvlt, vilt or tbn, got {other:?}"),
            None => bail!("expected model_type tvlt, vilt or tbn, got none"),
        }
    }

    /// The labels in their order. Two without names if nothing is said, as transformers has it.
    pub(super) fn labels(&self) -> Result<Arc<[String]>> {
        if self.id2label.is_empty() {
            let count = self.num_labels.unwrap_or(2);
            ensure!((1..=MAX_LABELS).contains(&count), "expected num_labels of 1 to {MAX_LABELS}, got {count}");
            return Ok((0..count).map(|number| format!("LABEL_{number}")).collect());
        }
        ensure!(self.id2label.len() <= MAX_LABELS, "expected at most {MAX_LABELS} labels, got {}", self.id2label.len());
        let label = |number: usize| {
            let label = self.id2label.get(&number.to_string());
            label
                .cloned()
                .with_context(|| format!("expected id2label to name every number from 0, {number} is missing"))
        };
        (0..self.id2label.len()).map(label).collect()
    }
}

impl Side {
    fn square(self, name: &str) -> Result<i64> {
        match self {
            Side::One(side) => Ok(side),
            Side::Two([height, width]) if height == width => Ok(height),
            Side::Two(sides) => bail!("expected {name} of equal sides, got {sides:?}"),
        }
    }
}

/// A number that sizes tensors: no file may ask for more than can be meant.
fn within(name: &str, value: i64, most: i64) -> Result<()> {
    ensure!((1..=most).contains(&value), "expected {name} of 1 to {most}, got {value}");
    Ok(())
}

fn multiple(name: &str, value: i64, of: &str, part: i64) -> Result<()> {
    ensure!(value % part == 0, "expected {name} to be a multiple of {of}, got {value} and {part}");
    Ok(())
}

fn only<T: PartialEq + std::fmt::Debug>(name: &str, value: &T, known: &T) -> Result<()> {
    ensure!(value == known, "expected {name} to be {known:?}, which is what is implemented, got {value:?}");
    Ok(())
}

impl EncoderConfig {
    /// What layer normalization adds to the variance.
    pub(super) fn epsilon(&self) -> f64 {
        self.layer_norm_eps.unwrap_or(1e-12)
    }

    fn check(&self) -> Result<()> {
        within("hidden_size", self.hidden_size, 8192)?;
        within("num_hidden_layers", self.num_hidden_layers, 128)?;
        within("num_attention_heads", self.num_attention_heads, 128)?;
        within("intermediate_size", self.intermediate_size, 65_536)?;
        multiple("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)?;
        only("hidden_act", &self.hidden_act.as_str(), &"gelu")?;
        only("qkv_bias", &self.qkv_bias, &true)
    }
}

impl TvltConfig {
    pub(super) fn check(mut self) -> Result<TvltConfig> {
        self.encoder.check()?;
        self.encoder.layer_norm_eps.get_or_insert(1e-6);
        within("num_frames", self.num_frames, 256)?;
        within("image_size", self.image_size, 4096)?;
        within("spectrogram_length", self.spectrogram_length, 16_384)?;
        within("frequency_length", self.frequency_length, 512)?;
        let (image, audio) =
            (self.image_patch_size.square("image_patch_size")?, self.audio_patch_size.square("audio_patch_size")?);
        within("image_patch_size", image, self.image_size)?;
        within("audio_patch_size", audio, self.spectrogram_length)?;
        multiple("image_size", self.image_size, "image_patch_size", image)?;
        multiple("frequency_length", self.frequency_length, "audio_patch_size", audio)?;
        multiple("spectrogram_length", self.spectrogram_length, "audio_patch_size", audio)?;
        only("num_image_channels", &self.num_image_channels, &3)?;
        only("num_audio_channels", &self.num_audio_channels, &1)?;
        Ok(self)
    }

    /// Pixels on a side of a picture's patch.
    pub(super) fn image_patch(&self) -> i64 {
        self.image_patch_size.side()
    }

    /// Rows and bands of a spectrogram's patch.
    pub(super) fn audio_patch(&self) -> i64 {
        self.audio_patch_size.side()
    }

    pub(super) fn patches_of_a_frame(&self) -> i64 {
        (self.image_size / self.image_patch()).pow(2)
    }

    /// Patches down and across: times and frequencies.
    pub(super) fn patches_of_a_spectrogram(&self) -> (i64, i64) {
        (self.spectrogram_length / self.audio_patch(), self.frequency_length / self.audio_patch())
    }
}

impl Side {
    fn side(self) -> i64 {
        match self {
            Side::One(side) | Side::Two([side, _]) => side,
        }
    }
}

impl ViltConfig {
    pub(super) fn check(self) -> Result<ViltConfig> {
        self.encoder.check()?;
        within("vocab_size", self.vocab_size, 1_000_000)?;
        within("type_vocab_size", self.type_vocab_size, 16)?;
        within("max_position_embeddings", self.max_position_embeddings, 4096)?;
        within("image_size", self.image_size, 4096)?;
        ensure!(
            (2..=16).contains(&self.modality_type_vocab_size),
            "expected modality_type_vocab_size of 2 to 16, got {}",
            self.modality_type_vocab_size
        );
        within("patch_size", self.patch_size.square("patch_size")?, self.image_size)?;
        multiple("image_size", self.image_size, "patch_size", self.patch())?;
        only("num_channels", &self.num_channels, &3)?;
        // a positive one draws some of the patches at random
        only("max_image_length", &self.max_image_length, &-1)?;
        self.head()?;
        Ok(self)
    }

    /// Pixels on a side of a patch.
    pub(super) fn patch(&self) -> i64 {
        self.patch_size.side()
    }

    pub(super) fn head(&self) -> Result<ViltHead> {
        match self.architectures.first().map(String::as_str) {
            None | Some("ViltForQuestionAnswering") => Ok(ViltHead::QuestionAnswering),
            Some("ViltForImagesAndTextClassification") if self.num_images <= 1 => Ok(ViltHead::ImagesAndText),
            Some("ViltForImagesAndTextClassification") => {
                bail!("expected a ViLT of one picture, got one of {}", self.num_images)
            }
            Some(other) => bail!(
                "expected a ViLT that tells labels (ViltForQuestionAnswering, ViltForImagesAndTextClassification), got {other}"
            ),
        }
    }
}

impl TbnConfig {
    pub(super) fn check(self) -> Result<TbnConfig> {
        ensure!(
            ["action", "verb", "noun"].contains(&self.head.as_str()),
            "expected head action, verb or noun, got {:?}",
            self.head
        );
        within("flow_length", self.flow_length, 64)?;
        for (name, value) in [("image_size", self.image_size), ("spectrogram_size", self.spectrogram_size)] {
            within(name, value, 2048)?;
            multiple(name, value, "the network's steps", 32)?;
        }
        ensure!(
            (1_000..=192_000).contains(&self.sampling_rate),
            "expected sampling_rate of 1000 to 192000, got {}",
            self.sampling_rate
        );
        ensure!(
            [1, 2, 4, 8, 16, 32].contains(&self.width_divisor),
            "expected width_divisor 1, 2, 4, 8, 16 or 32, got {}",
            self.width_divisor
        );
        Ok(self)
    }
}

impl Default for EncoderConfig {
    fn default() -> EncoderConfig {
        EncoderConfig {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            layer_norm_eps: None,
            hidden_act: "gelu".into(),
            qkv_bias: true,
        }
    }
}

impl Default for TvltConfig {
    fn default() -> TvltConfig {
        TvltConfig {
            encoder: EncoderConfig::default(),
            image_size: 224,
            spectrogram_length: 2048,
            frequency_length: 128,
            image_patch_size: Side::One(16),
            audio_patch_size: Side::One(16),
            num_frames: 8,
            use_mean_pooling: false,
            num_image_channels: 3,
            num_audio_channels: 1,
        }
    }
}

impl Default for ViltConfig {
    fn default() -> ViltConfig {
        ViltConfig {
            encoder: EncoderConfig::default(),
            vocab_size: 30_522,
            type_vocab_size: 2,
            modality_type_vocab_size: 2,
            max_position_embeddings: 40,
            image_size: 384,
            patch_size: Side::One(32),
            num_channels: 3,
            max_image_length: -1,
            num_images: 1,
            architectures: vec![],
        }
    }
}

impl Default for TbnConfig {
    fn default() -> TbnConfig {
        TbnConfig {
            head: "action".into(),
            flow_length: 5,
            image_size: 224,
            spectrogram_size: 256,
            sampling_rate: 24_000,
            width_divisor: 1,
        }
    }
}
