//! PNG and JPEG files to pixels.

use bytes::Bytes;

use super::picture::Picture;
use super::{contained, jpeg_file, png_file};
use crate::headers::check_picture;
use crate::{Input, InputFault, InputKind};

/// Pixels of one input at most, all frames of a video together: 192 MiB.
pub const MOST_PIXELS: usize = 1 << 26;

/// The picture that came for a modality of kind [`InputKind::Picture`], from a file or from raw numbers.
pub fn picture_of(input: &Input, kind: &InputKind) -> Result<Picture, InputFault> {
    input.check(kind)?;
    match (input, kind) {
        (Input::Picture(file), InputKind::Picture { max_side, .. }) => decode_picture(file, *max_side),
        (Input::Samples(numbers), InputKind::Picture { raw, .. }) => match **raw {
            [height, width, 3] => Ok(Picture::from_numbers(numbers, width, height)),
            _ => Err(not_a(kind)),
        },
        _ => Err(not_a(kind)),
    }
}

/// The frames that came for a modality of kind [`InputKind::Video`], from files or from raw numbers.
///
/// Frames that come as files may differ in size.
pub fn frames_of(input: &Input, kind: &InputKind) -> Result<Vec<Picture>, InputFault> {
    input.check(kind)?;
    match (input, kind) {
        (Input::Frames(files), InputKind::Video { max_side, .. }) => {
            files.iter().map(|file: &Bytes| decode_picture(file, *max_side)).collect()
        }
        (Input::Samples(numbers), InputKind::Video { raw, .. }) => match **raw {
            [_, height, width, 3] if height * width > 0 => {
                let frames = numbers.chunks_exact(height * width * 3);
                Ok(frames.map(|numbers| Picture::from_numbers(numbers, width, height)).collect())
            }
            _ => Err(not_a(kind)),
        },
        _ => Err(not_a(kind)),
    }
}

/// Decodes a PNG or JPEG file of any kind. Grey becomes color; what is transparent is blended over white; CMYK is
/// converted without a color profile. An orientation in EXIF is not looked at.
///
/// A file that claims more than `max_side` pixels on a side is refused before memory is taken for it.
pub fn decode_picture(file: &[u8], max_side: u32) -> Result<Picture, InputFault> {
    check_picture(file, max_side)?;
    let decode = || if png_file::is_png(file) { png_file::decode(file) } else { jpeg_file::decode(file, max_side) };
    contained(decode).map_err(|reason| InputFault::BrokenPicture { reason })
}

/// The input has passed the check, so only a kind that is not decoded here, or has a strange raw shape, is left.
fn not_a(kind: &InputKind) -> InputFault {
    InputFault::WrongKind { expected: kind.describe(), got: "something that is not decoded to pixels" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        file
    }

    /// 16x12 pixels, red on the left and blue on the right, written by libjpeg; models/tests/fixtures says how.
    const JPEGS: [(&str, &[u8]); 5] = [
        ("baseline", include_bytes!("../../tests/fixtures/red-blue.jpg")),
        ("progressive", include_bytes!("../../tests/fixtures/red-blue-progressive.jpg")),
        ("no subsampling", include_bytes!("../../tests/fixtures/red-blue-444.jpg")),
        ("CMYK", include_bytes!("../../tests/fixtures/red-blue-cmyk.jpg")),
        ("gray", include_bytes!("../../tests/fixtures/red-blue-gray.jpg")),
    ];

    #[test]
    fn what_is_transparent_becomes_white() {
        let rgba = png(png::ColorType::Rgba, 2, 1, &[255, 0, 0, 255, 0, 0, 0, 0]);
        assert_eq!(decode_picture(&rgba, 64).unwrap().pixels, [255, 0, 0, 255, 255, 255]);
        let half_black = png(png::ColorType::GrayscaleAlpha, 1, 1, &[0, 128]);
        assert_eq!(decode_picture(&half_black, 64).unwrap().pixels, [127; 3]);
    }

    #[test]
    fn jpeg_files_of_every_kind_show_what_is_in_them() {
        for (kind, file) in JPEGS {
            let picture = decode_picture(file, 16).unwrap();
            assert_eq!((picture.width, picture.height, picture.pixels.len()), (16, 12, 16 * 12 * 3), "{kind}");
            let pixel = |x: usize, y: usize| &picture.pixels[(y * 16 + x) * 3..][..3];
            let near = |pixel: &[u8], color: [u8; 3]| pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) < 12);
            // luma of pure red and blue: 0.299 and 0.114 of 255
            let (left, right) = if kind == "gray" { ([76; 3], [29; 3]) } else { ([254, 0, 0], [0, 0, 254]) };
            for y in [0, 6, 11] {
                assert!(near(pixel(2, y), left), "{kind}: {:?} at row {y}", pixel(2, y));
                assert!(near(pixel(13, y), right), "{kind}: {:?} at row {y}", pixel(13, y));
            }
        }
    }

    #[test]
    fn a_file_cut_short_is_broken_wherever_it_is_cut() {
        let png = png(png::ColorType::Rgb, 16, 12, &[9; 16 * 12 * 3]);
        let jpegs = JPEGS.iter().map(|(_, file)| (file.to_vec(), 0));
        // the last chunk of a PNG is empty: 12 bytes that nobody misses
        for (whole, empty) in std::iter::once((png, 12)).chain(jpegs) {
            assert!(decode_picture(&whole, 16).is_ok());
            for length in 0..whole.len() - empty {
                let fault = decode_picture(&whole[..length], 16).expect_err("refused").code();
                assert!(["input_not_picture", "input_broken_picture"].contains(&fault), "{fault} at {length}");
            }
        }
    }

    /// A PNG file's chunk, its checksum wrong.
    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32).to_be_bytes(), &kind[..], content, &[0; 4]].concat()
    }

    fn reason(file: &[u8], max_side: u32) -> String {
        decode_picture(file, max_side).unwrap_err().to_string()
    }

    #[test]
    fn what_no_pixel_is_made_of_is_not_even_looked_at() {
        let plain = png(png::ColorType::Rgb, 16, 12, &[9; 16 * 12 * 3]);
        let picture = decode_picture(&plain, 16).unwrap();
        // behind the signature and the header
        let head = 8 + 25;
        for kind in [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"quRk"] {
            let mut file = plain.clone();
            file.splice(head..head, chunk(kind, &[0x78; 5000]));
            assert_eq!(decode_picture(&file, 16).unwrap(), picture, "{kind:?}");
            let behind = [&plain[..plain.len() - 12], &chunk(kind, &[1; 500])].concat();
            assert_eq!(decode_picture(&behind, 16).unwrap(), picture, "{kind:?} behind the pixels");
        }
    }

    #[test]
    fn data_that_are_too_few_or_too_many_for_the_pixels_are_refused_before_memory_is_taken() {
        let tiny = png(png::ColorType::Rgb, 1, 1, &[9; 3]);
        let mut claims = tiny.clone();
        claims[16..24].copy_from_slice(&[0, 0, 8, 0, 0, 0, 8, 0]);
        let said = reason(&claims, 2048);
        assert!(said.contains("expected data for 12584960 bytes of pixels"), "{said}");
        let mut stuffed = tiny.clone();
        let end = stuffed.len() - 12;
        stuffed.splice(end..end, chunk(b"IDAT", &[0; 70_000]));
        let said = reason(&stuffed, 64);
        assert!(said.contains("expected at most 65544 bytes of data for 4 bytes of pixels"), "{said}");
    }

    #[test]
    fn a_jpeg_of_many_scans_or_tables_is_refused_before_they_are_decoded() {
        let file = JPEGS[1].1;
        let scan = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        let next = scan + 2 + file[scan + 2..].windows(2).position(|pair| pair[0] == 0xff && pair[1] == 0xc4).unwrap();
        let repeated = |times: usize| [&file[..scan], &file[scan..next].repeat(times), &file[next..]].concat();
        let said = reason(&repeated(40), 16);
        assert!(said.contains("expected at most 1024 tables and scans over 24 pictures"), "{said}");
        let table: &[u8] = b"\xff\xdd\x00\x04\x00\x00";
        let tables = |count| [&file[..2], &table.repeat(count), &file[2..]].concat();
        assert!(decode_picture(&tables(900), 16).is_ok());
        assert!(reason(&tables(1100), 16).contains("expected at most 1024 tables"));
    }

    #[test]
    fn no_change_of_a_byte_brings_the_decoder_down() {
        for (_, file) in JPEGS {
            for at in 0..file.len() {
                for bits in [0xff, 0x01, 0x80] {
                    let mut changed = file.to_vec();
                    changed[at] ^= bits;
                    if let Ok(picture) = decode_picture(&changed, 16) {
                        assert!(picture.width <= 16 && picture.height <= 16);
                        assert_eq!(picture.pixels.len(), picture.width * picture.height * 3);
                    }
                }
            }
        }
    }

    #[test]
    fn a_picture_of_the_largest_size_is_decoded_and_a_larger_one_is_not() {
        let whole = png(png::ColorType::Rgb, 8, 2, &[9; 8 * 2 * 3]);
        assert!(decode_picture(&whole, 8).is_ok());
        assert_eq!(decode_picture(&whole, 7).unwrap_err().code(), "input_picture_size");
        assert_eq!(decode_picture(JPEGS[0].1, 15).unwrap_err().code(), "input_picture_size");
    }

    #[test]
    fn raw_numbers_are_pictures_too() {
        let kind = InputKind::Picture { max_side: 4, raw: vec![1, 2, 3] };
        let picture = picture_of(&Input::Samples(vec![0.0, 1.0, 2.4, 254.6, 255.0, 9.0].into()), &kind).unwrap();
        assert_eq!(picture, Picture { width: 2, height: 1, pixels: vec![0, 1, 2, 255, 255, 9] });
        let kind = InputKind::Video { frames: 2, max_side: 4, raw: vec![2, 1, 1, 3] };
        let frames = frames_of(&Input::Samples(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0].into()), &kind).unwrap();
        assert_eq!(frames.iter().map(|frame| &frame.pixels[..]).collect::<Vec<_>>(), [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(frames_of(&Input::Text("a".into()), &kind).unwrap_err().code(), "input_kind");
    }

    #[test]
    fn one_broken_frame_breaks_the_video() {
        let kind = InputKind::Video { frames: 2, max_side: 16, raw: Vec::new() };
        let video = |files: [&'static [u8]; 2]| frames_of(&Input::Frames(files.map(Bytes::from_static).into()), &kind);
        assert_eq!(video([JPEGS[0].1, JPEGS[1].1]).unwrap().len(), 2);
        let half = &JPEGS[1].1[..JPEGS[1].1.len() - 40];
        assert_eq!(video([JPEGS[0].1, half]).unwrap_err().code(), "input_broken_picture");
    }
}
