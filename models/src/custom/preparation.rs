//! How the inputs of a custom model become the tensors that its networks take.

use super::document::{FitWord, LayoutWord};
use crate::prepare::LogMelSettings;

/// Numbers of one input, whatever it is.
pub(super) const MOST_NUMBERS: usize = 1 << 24;

/// How an input becomes the tensors that a network takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Preparation {
    /// A picture, or the frames of a video.
    Pixels(Pixels),
    /// A sound.
    Sound(SoundTensor),
    /// Text; two tensors.
    Words(Words),
    /// Numbers as they come.
    Numbers {
        /// What they are given out as.
        number: Number,
        /// Subtracted first.
        mean: f32,
        /// Divided by then.
        deviation: f32,
    },
}

/// Pictures become `(pixel / 255 - mean) / deviation`, one number a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// Frames of a video.
    pub frames: Option<usize>,
    /// Pixels down.
    pub height: usize,
    /// Pixels across.
    pub width: usize,
    /// What is done with a picture of another shape.
    pub fit: Fit,
    /// The order of the tensor's dimensions.
    pub layout: Layout,
    /// Of red, green, blue.
    pub mean: [f32; 3],
    /// Of red, green, blue.
    pub deviation: [f32; 3],
}

/// What is done with a picture of another shape. All are scaled with an antialiased bilinear filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Nothing: it is squeezed.
    Stretch,
    /// What is too much of its longer side is cut off at both ends.
    Crop,
    /// White is added to its shorter side at both ends.
    Pad,
}

/// The order of dimensions behind the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[3, height, width]`, `[frames, 3, height, width]`
    ChannelsFirst,
    /// `[height, width, 3]`, `[frames, height, width, 3]`
    ChannelsLast,
    /// `[3, frames, height, width]`, of videos only.
    ChannelsTime,
}

/// What a sound becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum SoundTensor {
    /// `[samples]` numbers from -1 to 1.
    Wave,
    /// `[bands, frames]` numbers, `(level - mean) / deviation`.
    Spectrogram {
        /// Which.
        settings: LogMelSettings,
        /// Subtracted first.
        mean: f32,
        /// Divided by then.
        deviation: f32,
    },
}

/// Text becomes token numbers `[max_tokens]` and a mask `[max_tokens]`, 1 where there is a token, both 64-bit integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// A `tokenizer.json` in the folder.
    pub tokenizer: String,
    /// Tokens kept, those that mark the ends included.
    pub max_tokens: usize,
    /// The token number where there is none.
    pub padding: i64,
}

/// What numbers are given out as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// 32-bit floats, or the precision's.
    Float,
    /// 64-bit integers; what is not whole, or outside the bounds, is refused. Both bounds are exact as 32-bit floats.
    Whole {
        /// The least that is taken: 0 or less.
        least: i64,
        /// The most that is taken: 0 or more.
        most: i64,
    },
}

impl From<FitWord> for Fit {
    fn from(word: FitWord) -> Fit {
        match word {
            FitWord::Stretch => Fit::Stretch,
            FitWord::Crop => Fit::Crop,
            FitWord::Pad => Fit::Pad,
        }
    }
}

impl From<LayoutWord> for Layout {
    fn from(word: LayoutWord) -> Layout {
        match word {
            LayoutWord::ChannelsFirst => Layout::ChannelsFirst,
            LayoutWord::ChannelsLast => Layout::ChannelsLast,
            LayoutWord::ChannelsTime => Layout::ChannelsTime,
        }
    }
}
