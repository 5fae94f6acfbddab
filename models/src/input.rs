//! What a client sends for one modality, and the cheap checks made before it is let in.

use std::sync::Arc;

use bytes::Bytes;

use crate::InputFault;
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
            (input, kind) => Err(InputFault::WrongKind { expected: kind.describe(), got: input.describe() }),
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

fn check_frames(files: &[Bytes], frames: usize, max_side: u32) -> Result<(), InputFault> {
    if files.len() != frames {
        return Err(InputFault::FrameCount { expected: frames, got: files.len() });
    }
    files.iter().try_for_each(|file| check_picture(file, max_side))
}

fn check_text(text: &[u8], max_bytes: usize) -> Result<(), InputFault> {
    if text.is_empty() || text.len() > max_bytes {
        return Err(InputFault::TextLength { max_bytes, got: text.len() });
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(InputFault::NotUtf8 { position: error.valid_up_to() }),
    }
}

fn check_samples(samples: &[f32], shape: &[usize]) -> Result<(), InputFault> {
    let expected = shape.iter().product();
    if samples.len() != expected {
        return Err(InputFault::SampleCount { expected, shape: shape.to_vec(), got: samples.len() });
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
        assert_eq!(text("123456").check(&WORDS), Err(InputFault::TextLength { max_bytes: 5, got: 6 }));
        assert_eq!(text("").check(&WORDS), Err(InputFault::TextLength { max_bytes: 5, got: 0 }));
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
        assert_eq!(check(&[1.0]).unwrap_err().to_string(), "expected 4 numbers ([2, 2]), got 1");
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
        assert_eq!(fault.to_string(), "expected a PNG or JPEG file of at most 64x64 pixels, got text");
    }
}
