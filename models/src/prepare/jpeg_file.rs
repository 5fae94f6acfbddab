//! JPEG files to pixels.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::picture::Picture;

/// Passes over a progressive picture: a small file must not buy much work.
const MAX_SCANS: usize = 64;

/// Decodes a file; else the decoder's words.
///
/// The sides are bounded once more: what the decoder takes as the header need not be what admission took.
pub(super) fn decode(file: &[u8], max_side: u32) -> Result<Picture, String> {
    let options = DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .jpeg_set_max_scans(MAX_SCANS)
        .set_max_width(max_side as usize)
        .set_max_height(max_side as usize)
        // else what is missing is filled up with gray
        .set_strict_mode(true);
    if !is_ended(file) {
        return Err("it has no end".into());
    }
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it does not say how large it is")?;
    if pixels.len() != width * height * 3 {
        return Err(format!("{width}x{height} pixels are {} numbers, got {}", width * height * 3, pixels.len()));
    }
    Ok(Picture { width, height, pixels })
}

/// Whether there is an end of image (0xff 0xd9) after the last scan began (0xff 0xda): coded pixels hold neither.
///
/// The decoder itself does not miss what is missing of the last row.
fn is_ended(file: &[u8]) -> bool {
    let markers = file.windows(2).rev().filter(|pair| pair[0] == 0xff);
    markers.map(|pair| pair[1]).find(|marker| [0xd9, 0xda].contains(marker)) == Some(0xd9)
}
