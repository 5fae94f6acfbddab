//! An input that a model cannot take, and what is wrong with it.

/// A modality's input that the model cannot take; only the request it belongs to fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("modality {modality}: {fault}")]
pub struct InputError {
    /// The modality's name.
    pub modality: String,
    /// What is wrong with it.
    pub fault: InputFault,
}

/// What is wrong with an input. Every message says what was expected and what was given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputFault {
    /// The request has no input for a modality of the model.
    #[error("expected {expected}, got none")]
    Missing {
        /// What the model wants there.
        expected: String,
    },
    /// The model has no such modality.
    #[error("expected one of {expected}, and each once")]
    Unknown {
        /// The model's modalities.
        expected: String,
    },
    /// Text where a picture should be, or the like.
    #[error("expected {expected}, got {got}")]
    WrongKind {
        /// What the model wants there.
        expected: String,
        /// What was given.
        got: &'static str,
    },
    /// Not a PNG or JPEG file, or only the beginning of one.
    #[error("expected a PNG or JPEG file, got {got}")]
    NotPicture {
        /// What was found instead.
        got: String,
    },
    /// Another number of frames.
    #[error("expected {expected} frames, got {got}")]
    FrameCount {
        /// Frames expected.
        expected: usize,
        /// Frames that came.
        got: usize,
    },
    /// Not a WAV or FLAC file, or only the beginning of one.
    #[error("expected a WAV or FLAC file, got {got}")]
    NotSound {
        /// What was found instead.
        got: String,
    },
    /// The header was sound and the rest was not.
    #[error("expected a sound that decodes, this one does not: {reason}")]
    BrokenSound {
        /// The decoder's words.
        reason: String,
    },
    /// It lasts too long.
    #[error("expected a sound of at most {longest_ms} ms, got a longer one")]
    SoundLength {
        /// Milliseconds allowed.
        longest_ms: u64,
    },
    /// The picture has no pixels, or too many.
    #[error("expected a picture of 1x1 to {max_side}x{max_side} pixels, got {width}x{height}")]
    PictureSize {
        /// Pixels allowed on a side.
        max_side: u32,
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The header was sound and the rest was not; found when the picture was decoded.
    #[error("expected a picture that decodes, this one does not: {reason}")]
    BrokenPicture {
        /// The decoder's words.
        reason: String,
    },
    /// Empty or too long.
    #[error("expected text of 1 to {max_bytes} bytes, got {got}")]
    TextLength {
        /// Bytes allowed.
        max_bytes: usize,
        /// Bytes that came.
        got: usize,
    },
    /// Not UTF-8.
    #[error("expected UTF-8 text, byte {position} does not continue it")]
    NotUtf8 {
        /// Where it stops to be UTF-8, from 0.
        position: usize,
    },
    /// The tokenizer failed.
    #[error("expected text that can be cut into tokens: {reason}")]
    Untokenizable {
        /// The tokenizer's words.
        reason: String,
    },
    /// Too few or too many numbers.
    #[error("expected {expected} numbers ({shape:?}), got {got}")]
    SampleCount {
        /// Numbers expected.
        expected: usize,
        /// The shape they fill.
        shape: Vec<usize>,
        /// Numbers that came.
        got: usize,
    },
    /// NaN or infinite.
    #[error("expected finite numbers, number {position} is {value}")]
    NotFinite {
        /// The first such number, from 0.
        position: usize,
        /// The number.
        value: f32,
    },
    /// Has a fraction, where the model counts something.
    #[error("expected whole numbers, number {position} is {value}")]
    NotWhole {
        /// The first such number, from 0.
        position: usize,
        /// The number.
        value: f32,
    },
    /// Smaller or larger than a sample can be.
    #[error("expected numbers from {least} to {most}, number {position} is {value}")]
    OutOfRange {
        /// The least that is taken.
        least: f32,
        /// The most that is taken.
        most: f32,
        /// The first such number, from 0.
        position: usize,
        /// The number.
        value: f32,
    },
}

impl InputFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            InputFault::Missing { .. } => "modality_missing",
            InputFault::Unknown { .. } => "modality_unknown",
            InputFault::WrongKind { .. } => "input_kind",
            InputFault::NotPicture { .. } => "input_not_picture",
            InputFault::FrameCount { .. } => "input_frame_count",
            InputFault::NotSound { .. } => "input_not_sound",
            InputFault::BrokenSound { .. } => "input_broken_sound",
            InputFault::SoundLength { .. } => "input_sound_length",
            InputFault::PictureSize { .. } => "input_picture_size",
            InputFault::BrokenPicture { .. } => "input_broken_picture",
            InputFault::TextLength { .. } => "input_text_length",
            InputFault::NotUtf8 { .. } => "input_not_utf8",
            InputFault::Untokenizable { .. } => "input_untokenizable",
            InputFault::SampleCount { .. } => "input_sample_count",
            InputFault::NotFinite { .. } => "input_not_finite",
            InputFault::NotWhole { .. } => "input_not_whole",
            InputFault::OutOfRange { .. } => "input_out_of_range",
        }
    }
}
