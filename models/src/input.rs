//! What a client sends for one modality, and the cheap checks made before it is let in.

use std::sync::Arc;

use bytes::Bytes;

use crate::headers::{check_picture, check_sound};

/// One request's input for one modality. Cheap to clone: the content is shared.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A picture: a PNG or JPEG file.
    Picture(Bytes),
    /// A video: its frames as PNG or JPEG files, in their order.
    Frames(Arc<[Bytes]>),
    /// A WAV or FLAC file.
    Sound(Bytes),
    /// UTF-8 text; bytes, because what came over the wire may not be UTF-8.
    Text(Bytes),
    /// Numbers of a fixed shape, row by row; also a picture, a video or a sound that is decoded already.
    Samples(Arc<[f32]>),
}

/// What a model expects of one modality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A picture no wider and no higher than `max_side` pixels: a PNG or JPEG file.
    Picture {
        /// Pixels.
        max_side: u32,
        /// `[height, width, 3]`: the picture may also come as so many numbers from 0 to 255. Empty: only as a file.
        raw: Vec<usize>,
    },
    /// A video of so many frames, each a PNG or JPEG file no wider and no higher than `max_side` pixels.
    Video {
        /// Frames.
        frames: usize,
        /// Pixels.
        max_side: u32,
        /// `[frames, height, width, 3]`: the video may also come as so many numbers from 0 to 255. Empty: only as files.
        raw: Vec<usize>,
    },
    /// One channel of sound: a WAV or FLAC file of any rate and number of channels, which are mixed and resampled, or
    /// `samples` numbers from -1 to 1. What is shorter ends in silence.
    Sound {
        /// Samples a second that the model wants.
        hertz: u32,
        /// Samples that the model wants.
        samples: usize,
    },
    /// Text that is not empty and no longer than `max_bytes`.
    Text {
        /// Bytes of UTF-8.
        max_bytes: usize,
    },
    /// As many finite numbers as the shape holds.
    Samples {
        /// Rows before columns.
        shape: Vec<usize>,
    },
}

/// A modality's input that the model cannot take; only the request it belongs to fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("modality {modality}: {fault}")]
pub struct InputError {
    /// The modality's name.
    pub modality: String,
    /// What is wrong with it.
    pub fault: InputFault,
}

/// What is wrong with an input. Every message says what was expected and what came.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputFault {
    /// The request has no input for a modality of the model.
    #[error("expected {expected}, none came")]
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
    #[error("expected {expected}, {came} came")]
    WrongKind {
        /// What the model wants there.
        expected: String,
        /// What came.
        came: &'static str,
    },
    /// Not a PNG or JPEG file, or only the beginning of one.
    #[error("expected a PNG or JPEG file, {came} came")]
    NotPicture {
        /// What was found instead.
        came: String,
    },
    /// Another number of frames.
    #[error("expected {expected} frames, {came} came")]
    FrameCount {
        /// Frames expected.
        expected: usize,
        /// Frames that came.
        came: usize,
    },
    /// Not a WAV or FLAC file, or only the beginning of one.
    #[error("expected a WAV or FLAC file, {came} came")]
    NotSound {
        /// What was found instead.
        came: String,
    },
    /// The header was sound and the rest was not.
    #[error("expected a sound that decodes, this one does not: {reason}")]
    BrokenSound {
        /// The decoder's words.
        reason: String,
    },
    /// It lasts too long.
    #[error("expected a sound of at most {longest_ms} ms, a longer one came")]
    SoundLength {
        /// Milliseconds allowed.
        longest_ms: u64,
    },
    /// The picture has no pixels, or too many.
    #[error("expected a picture of 1x1 to {max_side}x{max_side} pixels, {width}x{height} came")]
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
    #[error("expected text of 1 to {max_bytes} bytes, {came} came")]
    TextLength {
        /// Bytes allowed.
        max_bytes: usize,
        /// Bytes that came.
        came: usize,
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
    #[error("expected {expected} numbers ({shape:?}), {came} came")]
    SampleCount {
        /// Numbers expected.
        expected: usize,
        /// The shape they fill.
        shape: Vec<usize>,
        /// Numbers that came.
        came: usize,
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

impl Input {
    /// Checks what can be checked without decoding. A few microseconds; called at admission.
    pub fn check(&self, kind: &InputKind) -> Result<(), InputFault> {
        match (self, kind) {
            (Input::Picture(file), InputKind::Picture { max_side, .. }) => check_picture(file, *max_side),
            (Input::Frames(files), InputKind::Video { frames, max_side, .. }) => {
                check_frames(files, *frames, *max_side)
            }
            (Input::Sound(file), InputKind::Sound { .. }) => check_sound(file),
            (Input::Samples(samples), InputKind::Sound { samples: count, .. }) => {
                check_samples(samples, &[*count]).and_then(|()| check_range(samples, -1.0, 1.0))
            }
            (Input::Samples(samples), InputKind::Picture { raw, .. } | InputKind::Video { raw, .. })
                if !raw.is_empty() =>
            {
                check_samples(samples, raw).and_then(|()| check_range(samples, 0.0, 255.0))
            }
            (Input::Text(text), InputKind::Text { max_bytes }) => check_text(text, *max_bytes),
            (Input::Samples(samples), InputKind::Samples { shape }) => check_samples(samples, shape),
            (input, kind) => Err(InputFault::WrongKind { expected: kind.describe(), came: input.describe() }),
        }
    }

    /// Bytes of content, for limits on what is kept in memory.
    pub fn len_bytes(&self) -> usize {
        match self {
            Input::Picture(bytes) | Input::Sound(bytes) | Input::Text(bytes) => bytes.len(),
            Input::Frames(files) => files.iter().map(Bytes::len).sum(),
            Input::Samples(samples) => samples.len() * size_of::<f32>(),
        }
    }

    /// Shows every byte of the content to `see`, in order: for hashes.
    pub fn for_each_part(&self, mut see: impl FnMut(&[u8])) {
        match self {
            Input::Picture(bytes) | Input::Sound(bytes) | Input::Text(bytes) => see(bytes),
            Input::Frames(files) => files.iter().for_each(|file| {
                see(&(file.len() as u64).to_le_bytes());
                see(file);
            }),
            Input::Samples(samples) => samples.iter().for_each(|sample| see(&sample.to_le_bytes())),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Input::Picture(_) => "a file",
            Input::Frames(_) => "several files",
            Input::Sound(_) => "a sound",
            Input::Text(_) => "text",
            Input::Samples(_) => "a list of numbers",
        }
    }
}

impl InputKind {
    /// What is expected, in words: `a PNG or JPEG file of at most 512x512 pixels`.
    pub fn describe(&self) -> String {
        match self {
            InputKind::Picture { max_side, .. } => {
                format!("a PNG or JPEG file of at most {max_side}x{max_side} pixels")
            }
            InputKind::Video { frames, max_side, .. } => {
                format!("{frames} PNG or JPEG files of at most {max_side}x{max_side} pixels")
            }
            InputKind::Sound { .. } => "a WAV or FLAC file".into(),
            InputKind::Text { max_bytes } => format!("text of at most {max_bytes} bytes"),
            InputKind::Samples { shape } => format!("{} numbers ({shape:?})", shape.iter().product::<usize>()),
        }
    }
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

fn check_frames(files: &[Bytes], frames: usize, max_side: u32) -> Result<(), InputFault> {
    if files.len() != frames {
        return Err(InputFault::FrameCount { expected: frames, came: files.len() });
    }
    files.iter().try_for_each(|file| check_picture(file, max_side))
}

fn check_text(text: &[u8], max_bytes: usize) -> Result<(), InputFault> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(InputFault::TextLength { max_bytes, came: text.len() });
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(InputFault::NotUtf8 { position: error.valid_up_to() }),
    }
}

fn check_samples(samples: &[f32], shape: &[usize]) -> Result<(), InputFault> {
    let expected = shape.iter().product();
    if samples.len() != expected {
        return Err(InputFault::SampleCount { expected, shape: shape.to_vec(), came: samples.len() });
    }
    match samples.iter().position(|sample| !sample.is_finite()) {
        None => Ok(()),
        Some(position) => Err(InputFault::NotFinite { position, value: samples[position] }),
    }
}

/// Numbers of an input that are all between two bounds; else which is not.
pub fn check_range(samples: &[f32], least: f32, most: f32) -> Result<(), InputFault> {
    match samples.iter().position(|sample| !(least..=most).contains(sample)) {
        None => Ok(()),
        Some(position) => Err(InputFault::OutOfRange { least, most, position, value: samples[position] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: impl Into<Bytes>) -> Input {
        Input::Text(text.into())
    }

    const PICTURE: InputKind = InputKind::Picture { max_side: 64, raw: Vec::new() };
    const WORDS: InputKind = InputKind::Text { max_bytes: 5 };

    #[test]
    fn a_video_has_as_many_frames_as_the_model_wants_each_a_picture() {
        let kind = InputKind::Video { frames: 2, max_side: 64, raw: vec![2, 1, 1, 3] };
        let code = |frames: &[&'static [u8]]| {
            let files = frames.iter().map(|file| Bytes::from_static(file)).collect();
            Input::Frames(files).check(&kind).unwrap_err().code()
        };
        assert_eq!(code(&[b"GIF8"]), "input_frame_count");
        assert_eq!(code(&[b"GIF8", b"GIF8"]), "input_not_picture");
        assert_eq!(Input::Samples(vec![0.0, 1.0, 255.0, 0.5, 2.0, 3.0].into()).check(&kind), Ok(()));
        let fault = Input::Samples(vec![0.0, 1.0, 256.0, 0.5, 2.0, 3.0].into()).check(&kind).unwrap_err();
        assert_eq!(fault.to_string(), "expected numbers from 0 to 255, number 2 is 256");
    }

    #[test]
    fn a_sound_may_come_as_numbers() {
        let kind = InputKind::Sound { hertz: 8000, samples: 3 };
        assert_eq!(Input::Samples(vec![0.0, 1.0, -1.0].into()).check(&kind), Ok(()));
        assert_eq!(Input::Samples(vec![0.0; 4].into()).check(&kind).unwrap_err().code(), "input_sample_count");
        assert_eq!(Input::Samples(vec![0.0, 1.5, 0.0].into()).check(&kind).unwrap_err().code(), "input_out_of_range");
        assert_eq!(Input::Sound("mp3".into()).check(&kind).unwrap_err().code(), "input_not_sound");
    }

    #[test]
    fn text_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(text("12345").check(&WORDS), Ok(()));
        assert_eq!(text("123456").check(&WORDS), Err(InputFault::TextLength { max_bytes: 5, came: 6 }));
        assert_eq!(text("").check(&WORDS), Err(InputFault::TextLength { max_bytes: 5, came: 0 }));
    }

    #[test]
    fn text_that_is_not_utf8_says_where() {
        assert_eq!(text("aé").check(&WORDS), Ok(()));
        assert_eq!(text(&b"ab\xff"[..]).check(&WORDS), Err(InputFault::NotUtf8 { position: 2 }));
    }

    #[test]
    fn samples_fill_the_shape_exactly_and_are_finite() {
        let kind = InputKind::Samples { shape: vec![2, 2] };
        let check = |samples: &[f32]| Input::Samples(samples.into()).check(&kind);
        assert_eq!(check(&[1.0, 2.0, 3.0, -4.0]), Ok(()));
        assert_eq!(check(&[1.0]).unwrap_err().to_string(), "expected 4 numbers ([2, 2]), 1 came");
        assert_eq!(check(&[0.0; 5]).unwrap_err().code(), "input_sample_count");
        assert_eq!(
            check(&[1.0, f32::NAN, 3.0, 4.0]).unwrap_err().to_string(),
            "expected finite numbers, number 1 is NaN"
        );
        assert_eq!(check(&[1.0, 2.0, f32::INFINITY, 4.0]).unwrap_err().code(), "input_not_finite");
    }

    #[test]
    fn the_wrong_kind_says_what_was_wanted() {
        let fault = text("a cat").check(&PICTURE).unwrap_err();
        assert_eq!(fault.to_string(), "expected a PNG or JPEG file of at most 64x64 pixels, text came");
    }
}
