//! `model.toml` as it is written; unknown keys are refused, nothing else is checked.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// Checked before anything else is read.
    #[serde(rename = "format")]
    pub(super) _format: String,
    pub(super) name: String,
    pub(super) labels: Vec<String>,
    #[serde(default = "full_precision")]
    pub(super) precisions: Vec<String>,
    /// One table a modality; which keys it may have depends on its `kind`.
    pub(super) modalities: Vec<toml::Table>,
    /// One network for every selection of modalities.
    pub(super) networks: Option<Vec<NetworkTable>>,
    /// One network for all of them, which is told what is there.
    pub(super) network: Option<MaskedTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkTable {
    pub(super) modalities: Vec<String>,
    pub(super) file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaskedTable {
    pub(super) file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PictureTable {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) max_side: Option<u32>,
    #[serde(default)]
    pub(super) fit: FitWord,
    #[serde(default)]
    pub(super) layout: LayoutWord,
    #[serde(default = "zeros")]
    pub(super) mean: [f32; 3],
    #[serde(default = "ones")]
    pub(super) deviation: [f32; 3],
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VideoTable {
    pub(super) frames: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) max_side: Option<u32>,
    #[serde(default)]
    pub(super) fit: FitWord,
    #[serde(default)]
    pub(super) layout: LayoutWord,
    #[serde(default = "zeros")]
    pub(super) mean: [f32; 3],
    #[serde(default = "ones")]
    pub(super) deviation: [f32; 3],
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FitWord {
    #[default]
    Stretch,
    Crop,
    Pad,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::enum_variant_names, reason = "the words of model.toml")]
pub(super) enum LayoutWord {
    #[default]
    ChannelsFirst,
    ChannelsLast,
    ChannelsTime,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SoundTable {
    pub(super) hertz: u32,
    pub(super) samples: usize,
    pub(super) log_mel: Option<LogMelTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogMelTable {
    pub(super) fft: usize,
    pub(super) window: Option<usize>,
    #[serde(default)]
    pub(super) hann: HannWord,
    pub(super) hop: usize,
    pub(super) frames: usize,
    #[serde(default)]
    pub(super) edges: EdgesWord,
    #[serde(default = "yes")]
    pub(super) squared: bool,
    pub(super) bands: Option<usize>,
    pub(super) scale: Option<ScaleWord>,
    pub(super) norm: Option<NormWord>,
    pub(super) low_hertz: Option<f32>,
    pub(super) high_hertz: Option<f32>,
    #[serde(default)]
    pub(super) level: LevelWord,
    pub(super) added: Option<f32>,
    pub(super) least: Option<f32>,
    pub(super) range: Option<f32>,
    #[serde(default)]
    pub(super) mean: f32,
    #[serde(default = "one")]
    pub(super) deviation: f32,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HannWord {
    #[default]
    Periodic,
    Symmetric,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EdgesWord {
    #[default]
    Start,
    Silence,
    Mirror,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScaleWord {
    Htk,
    Slaney,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NormWord {
    Peak,
    Area,
    Sum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LevelWord {
    #[default]
    Natural,
    Decibels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TextTable {
    pub(super) tokenizer: String,
    pub(super) max_tokens: usize,
    pub(super) max_bytes: Option<usize>,
    #[serde(default)]
    pub(super) padding: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SamplesTable {
    pub(super) shape: Vec<usize>,
    #[serde(default)]
    pub(super) dtype: NumberWord,
    pub(super) least: Option<i64>,
    pub(super) most: Option<i64>,
    #[serde(default)]
    pub(super) mean: f32,
    #[serde(default = "one")]
    pub(super) deviation: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NumberWord {
    #[default]
    Float32,
    Int64,
}

fn full_precision() -> Vec<String> {
    vec!["fp32".into()]
}

fn zeros() -> [f32; 3] {
    [0.0; 3]
}

fn ones() -> [f32; 3] {
    [1.0; 3]
}

fn one() -> f32 {
    1.0
}

fn yes() -> bool {
    true
}
