//! What the first bytes of a file say about it, read at admission without decoding anything.

use crate::InputFault;

const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Signature, then the first chunk: length, `IHDR`, width, height.
const PNG_HEADER_BYTES: usize = 24;
const JPEG_SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// A PNG or JPEG file of 1x1 to `max_side` x `max_side` pixels.
pub(crate) fn check_picture(file: &[u8], max_side: u32) -> Result<(), InputFault> {
    let (width, height) = picture_size(file).map_err(|got| InputFault::NotPicture { got })?;
    if width == 0 || height == 0 || width > max_side || height > max_side {
        return Err(InputFault::PictureSize { max_side, width, height });
    }
    Ok(())
}

/// A WAV or FLAC file, as far as its first bytes tell.
pub(crate) fn check_sound(file: &[u8]) -> Result<(), InputFault> {
    let wav = file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WAVE");
    if wav || file.starts_with(b"fLaC") {
        return Ok(());
    }
    Err(InputFault::NotSound { got: beginning(file) })
}

/// Width and height in pixels; else what the file is instead.
fn picture_size(file: &[u8]) -> Result<(u32, u32), String> {
    if file.starts_with(PNG_SIGNATURE) {
        png_size(file)
    } else if file.starts_with(JPEG_SIGNATURE) {
        jpeg_size(file).ok_or_else(|| format!("the first {} bytes of one without its size", file.len()))
    } else {
        Err(beginning(file))
    }
}

fn beginning(file: &[u8]) -> String {
    match file {
        [] => "nothing".into(),
        _ => format!("a file that begins with {:02x?}", &file[..file.len().min(8)]),
    }
}

fn png_size(file: &[u8]) -> Result<(u32, u32), String> {
    if file.len() < PNG_HEADER_BYTES {
        return Err(format!("the first {} bytes of one", file.len()));
    }
    if &file[12..16] != b"IHDR" {
        return Err("one without a header chunk".into());
    }
    let side = |at: usize| u32::from_be_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]);
    Ok((side(16), side(20)))
}

/// Walks the segments up to the frame header (ITU T.81, B.2.2): marker, length, precision, height, width.
fn jpeg_size(file: &[u8]) -> Option<(u32, u32)> {
    let short = |at: usize| Some(u16::from_be_bytes([*file.get(at)?, *file.get(at + 1)?]));
    let mut at = 2;
    loop {
        let marker = short(at)?;
        match marker {
            // a marker may be filled up with 0xff in front
            0xffff => at += 1,
            // markers without a segment
            0xff01 | 0xffd0..=0xffd7 => at += 2,
            // frames of every kind: 0xc0 to 0xcf but the tables (c4), what is reserved (c8) and conditioning (cc)
            0xffc0..=0xffcf if ![0xffc4, 0xffc8, 0xffcc].contains(&marker) => {
                return Some((short(at + 7)?.into(), short(at + 5)?.into()));
            }
            0xff02..=0xfffe => at += 2 + usize::from(short(at + 2)?.max(2)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [PNG_SIGNATURE, &13u32.to_be_bytes(), b"IHDR", &width.to_be_bytes(), &height.to_be_bytes()].concat()
    }

    /// A comment, then the header of a baseline frame.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let comment: &[u8] = b"\xff\xd8\xff\xfe\x00\x05abc";
        [comment, b"\xff\xff\xc0\x00\x11\x08", &height.to_be_bytes(), &width.to_be_bytes()].concat()
    }

    #[test]
    fn a_picture_may_be_as_large_as_the_limit_and_no_larger() {
        let size = |width, height| Err(InputFault::PictureSize { max_side: 64, width, height });
        assert_eq!(check_picture(&png(64, 1), 64), Ok(()));
        assert_eq!(check_picture(&png(65, 1), 64), size(65, 1));
        assert_eq!(check_picture(&png(1, u32::MAX), 64), size(1, u32::MAX));
        assert_eq!(check_picture(&png(0, 64), 64), size(0, 64));
        assert_eq!(check_picture(&jpeg(64, 1), 64), Ok(()));
        assert_eq!(check_picture(&jpeg(1, 65), 64), size(1, 65));
    }

    #[test]
    fn what_is_no_picture_is_told_apart() {
        let message = |file: &[u8]| check_picture(file, 64).unwrap_err().to_string();
        assert_eq!(message(b""), "expected a PNG or JPEG file, got nothing");
        assert_eq!(message(b"GIF8"), "expected a PNG or JPEG file, got a file that begins with [47, 49, 46, 38]");
        assert_eq!(message(PNG_SIGNATURE), "expected a PNG or JPEG file, got the first 8 bytes of one");
        let headless = [PNG_SIGNATURE, &[0; 16]].concat();
        assert_eq!(message(&headless), "expected a PNG or JPEG file, got one without a header chunk");
        let whole = jpeg(1, 1);
        for length in 3..whole.len() {
            let expected = format!("expected a PNG or JPEG file, got the first {length} bytes of one without its size");
            assert_eq!(message(&whole[..length]), expected);
        }
    }

    #[test]
    fn a_sound_is_a_wav_or_a_flac() {
        assert_eq!(check_sound(b"RIFF\x00\x00\x00\x00WAVEfmt "), Ok(()));
        assert_eq!(check_sound(b"fLaC\x00"), Ok(()));
        let refusal = check_sound(b"RIFF\x00\x00\x00\x00AVI ").unwrap_err().to_string();
        assert!(
            refusal.starts_with("expected a WAV or FLAC file, got a file that begins with [52, 49, 46, 46"),
            "{refusal}"
        );
    }
}
