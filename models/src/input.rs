//! What a client sends for one modality, and the cheap checks made before it is let in.

use std::sync::Arc;

use bytes::Bytes;

/// One request's input for one modality. Cheap to clone: the content is shared.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A PNG file.
    Png(Bytes),
    /// UTF-8 text; bytes, because what came over the wire may not be UTF-8.
    Text(Bytes),
    /// Numbers of a fixed shape, row by row.
    Samples(Arc<[f32]>),
}

/// What a model expects of one modality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// A PNG picture no wider and no higher than `max_side` pixels.
    Png {
        /// Pixels.
        max_side: u32,
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
    /// Not a PNG file, or only the beginning of one.
    #[error("expected a PNG file, {came} came")]
    NotPng {
        /// What was found instead.
        came: String,
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
    #[error("expected a PNG file that decodes, this one does not: {reason}")]
    BrokenPng {
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
}

impl Input {
    /// Checks what can be checked without decoding. A few microseconds; called at admission.
    pub fn check(&self, kind: &InputKind) -> Result<(), InputFault> {
        match (self, kind) {
            (Input::Png(file), InputKind::Png { max_side }) => check_png(file, *max_side),
            (Input::Text(text), InputKind::Text { max_bytes }) => check_text(text, *max_bytes),
            (Input::Samples(samples), InputKind::Samples { shape }) => check_samples(samples, shape),
            (input, kind) => Err(InputFault::WrongKind { expected: kind.describe(), came: input.describe() }),
        }
    }

    /// Bytes of content, for limits on what is kept in memory.
    pub fn len_bytes(&self) -> usize {
        match self {
            Input::Png(bytes) | Input::Text(bytes) => bytes.len(),
            Input::Samples(samples) => samples.len() * size_of::<f32>(),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Input::Png(_) => "a PNG file",
            Input::Text(_) => "text",
            Input::Samples(_) => "a list of numbers",
        }
    }
}

impl InputKind {
    /// What is expected, in words: `a PNG file of at most 512x512 pixels`.
    pub fn describe(&self) -> String {
        match self {
            InputKind::Png { max_side } => format!("a PNG file of at most {max_side}x{max_side} pixels"),
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
            InputFault::NotPng { .. } => "input_not_png",
            InputFault::PictureSize { .. } => "input_picture_size",
            InputFault::BrokenPng { .. } => "input_broken_png",
            InputFault::TextLength { .. } => "input_text_length",
            InputFault::NotUtf8 { .. } => "input_not_utf8",
            InputFault::Untokenizable { .. } => "input_untokenizable",
            InputFault::SampleCount { .. } => "input_sample_count",
            InputFault::NotFinite { .. } => "input_not_finite",
        }
    }
}

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Signature, then the first chunk: length, `IHDR`, width, height.
const PNG_HEADER_BYTES: usize = 24;

fn check_png(file: &[u8], max_side: u32) -> Result<(), InputFault> {
    let not_png = |came: String| Err(InputFault::NotPng { came });
    if file.is_empty() {
        return not_png("nothing".into());
    }
    if !file.starts_with(PNG_SIGNATURE) {
        return not_png(format!("a file that begins with {:02x?}", &file[..file.len().min(8)]));
    }
    if file.len() < PNG_HEADER_BYTES {
        return not_png(format!("the first {} bytes of one", file.len()));
    }
    if &file[12..16] != b"IHDR" {
        return not_png("one without a header chunk".into());
    }
    let side = |at: usize| u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    let (width, height) = (side(16), side(20));
    if width == 0 || height == 0 || width > max_side || height > max_side {
        return Err(InputFault::PictureSize { max_side, width, height });
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Input {
        let mut file = PNG_SIGNATURE.to_vec();
        file.extend_from_slice(&13u32.to_be_bytes());
        file.extend_from_slice(b"IHDR");
        file.extend_from_slice(&width.to_be_bytes());
        file.extend_from_slice(&height.to_be_bytes());
        Input::Png(file.into())
    }

    fn text(text: impl Into<Bytes>) -> Input {
        Input::Text(text.into())
    }

    const PICTURE: InputKind = InputKind::Png { max_side: 64 };
    const WORDS: InputKind = InputKind::Text { max_bytes: 5 };

    #[test]
    fn a_picture_may_be_as_large_as_the_limit_and_no_larger() {
        assert_eq!(png(64, 1).check(&PICTURE), Ok(()));
        let size = |width, height| InputFault::PictureSize { max_side: 64, width, height };
        assert_eq!(png(65, 1).check(&PICTURE), Err(size(65, 1)));
        assert_eq!(png(1, u32::MAX).check(&PICTURE), Err(size(1, u32::MAX)));
        assert_eq!(png(0, 64).check(&PICTURE), Err(size(0, 64)));
    }

    #[test]
    fn what_is_not_a_png_is_told_apart() {
        let message = |file: &[u8]| Input::Png(Bytes::copy_from_slice(file)).check(&PICTURE).unwrap_err().to_string();
        assert_eq!(message(b""), "expected a PNG file, nothing came");
        assert_eq!(message(b"GIF8"), "expected a PNG file, a file that begins with [47, 49, 46, 38] came");
        assert_eq!(message(PNG_SIGNATURE), "expected a PNG file, the first 8 bytes of one came");
        let mut headless = PNG_SIGNATURE.to_vec();
        headless.extend_from_slice(&[0; 16]);
        assert_eq!(message(&headless), "expected a PNG file, one without a header chunk came");
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
        assert_eq!(fault.to_string(), "expected a PNG file of at most 64x64 pixels, text came");
    }
}
