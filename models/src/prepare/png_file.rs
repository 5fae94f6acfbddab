//! PNG files to pixels.

use std::io::Cursor;

use png::{ColorType, Decoder, Transformations};

use super::picture::Picture;

/// Whether the file says that it is one.
pub(super) fn is_png(file: &[u8]) -> bool {
    file.starts_with(b"\x89PNG")
}

/// Decodes a file whose size was checked; else the decoder's words.
pub(super) fn decode(file: &[u8]) -> Result<Picture, String> {
    let broken = |error: png::DecodingError| error.to_string();
    let mut decoder = Decoder::new(Cursor::new(file));
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
