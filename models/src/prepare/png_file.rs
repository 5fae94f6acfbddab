//! PNG files to pixels.

use std::io::Cursor;

use png::{ColorType, Decoder, Transformations};

use super::picture::Picture;

/// Whether the file says that it is one.
pub(super) fn is_png(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG")
}

/// Decodes a file whose size was checked; else the decoder's words.
///
/// Only the still picture is: color profiles, texts, EXIF, frames of an animation and whatever else is in the file are left out
/// before the decoder sees it, so that nothing of them is decompressed.
pub(super) fn decode(file: &[u8]) -> Result<Picture, String> {
    let broken = |error: png::DecodingError| error.to_string();
    let mut decoder = Decoder::new(Cursor::new(essential(file)?));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let mut buffer = vec![0; reader.output_buffer_size().ok_or("it does not say how large it is")?];
    let frame = reader.next_frame(&mut buffer).map_err(broken)?;
    buffer.truncate(frame.buffer_size());
    let pixels = over_white(buffer, frame.color_type);
    if pixels.len() != width * height * 3 {
        return Err(format!("expected {width}x{height} pixels, got {}", pixels.len() / 3));
    }
    Ok(Picture { width, height, pixels })
}

/// The chunks that pixels are made of.
const ESSENTIAL: [&[u8; 4]; 4] = [b"IHDR", b"PLTE", b"tRNS", b"IDAT"];
const SIGNATURE_BYTES: usize = 8;
/// Length, kind and checksum of a chunk.
const AROUND_CHUNK: usize = 12;
/// Deflate makes no more of a byte than this.
const MOST_INFLATION: u64 = 1032;
/// What compression may add to a picture that it cannot compress: as much again, and this.
const SPARE_BYTES: u64 = 1 << 16;
const END: &[u8] = b"\x00\x00\x00\x00IEND\xaeB`\x82";

/// The file without what no pixel is made of. Fails if its data are too few or too many for the picture that it claims to be.
fn essential(file: &[u8]) -> Result<Vec<u8>, String> {
    let mut kept = file[..file.len().min(SIGNATURE_BYTES)].to_vec();
    let (mut rest, mut data_bytes) = (&file[kept.len()..], 0u64);
    while let Some((length, kind)) = chunk(rest) {
        let whole = length.saturating_add(AROUND_CHUNK);
        if data_bytes > 0 && kind != b"IDAT" {
            kept.extend_from_slice(END);
            break;
        }
        if ESSENTIAL.contains(&kind) {
            kept.extend_from_slice(&rest[..whole.min(rest.len())]);
            data_bytes += if kind == b"IDAT" { length.min(rest.len()) as u64 } else { 0 };
        }
        rest = rest.get(whole..).unwrap_or_default();
    }
    let raw = raw_bytes(file).ok_or("it has no header")?;
    if data_bytes.saturating_mul(MOST_INFLATION).saturating_add(SPARE_BYTES) < raw {
        return Err(format!("expected data for {raw} bytes of pixels, {data_bytes} bytes cannot be as many"));
    }
    let most = (2 * raw).saturating_add(SPARE_BYTES);
    if data_bytes > most {
        return Err(format!("expected at most {most} bytes of data for {raw} bytes of pixels, got {data_bytes}"));
    }
    Ok(kept)
}

/// Length of the content, and kind, of the chunk at the beginning.
fn chunk(rest: &[u8]) -> Option<(usize, &[u8; 4])> {
    let (length, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*length) as usize, rest.first_chunk()?))
}

/// Bytes of all rows as they are filtered: the header says width, height, bits and what a pixel is.
fn raw_bytes(file: &[u8]) -> Option<u64> {
    let header = file.get(16..26)?;
    let side = |at: usize| header[at..at + 4].iter().fold(0, |side, &byte| side << 8 | u64::from(byte));
    let samples = match header[9] {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let row = (side(0) * samples * u64::from(header[8])).div_ceil(8) + 1;
    row.checked_mul(side(4))
}

fn over_white(pixels: Vec<u8>, color: ColorType) -> Vec<u8> {
    match color {
        ColorType::Rgb => pixels,
        _ => pixels.chunks_exact(color.samples()).flat_map(blend).collect(),
    }
}

/// One pixel of gray, gray and alpha, or color and alpha, over white.
fn blend(pixel: &[u8]) -> [u8; 3] {
    let over = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match *pixel {
        [gray] => [gray; 3],
        [gray, alpha] => [over(gray, alpha); 3],
        [red, green, blue, alpha] => [over(red, alpha), over(green, alpha), over(blue, alpha)],
        _ => [255; 3],
    }
}
