//! PNG files to the tensors that picture networks take.

use std::io::Cursor;

use png::{ColorType, Decoder, Transformations};
use tch::{Device, Kind, TchError, Tensor};

use crate::InputFault;

/// A decoded picture on a white square: `side` x `side` pixels of red, green, blue.
pub(super) struct Picture {
    side: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// Decodes a PNG file of any kind; what is transparent becomes white.
    ///
    /// The size is checked again: the file may have come another way than through admission.
    pub(super) fn decode(file: &[u8], max_side: u32) -> Result<Picture, InputFault> {
        let broken = |error: png::DecodingError| InputFault::BrokenPicture { reason: error.to_string() };
        let mut decoder = Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(broken)?;
        let (width, height) = (reader.info().width, reader.info().height);
        if width > max_side || height > max_side {
            return Err(InputFault::PictureSize { max_side, width, height });
        }
        let no_size = || InputFault::BrokenPicture { reason: "it does not say how large it is".into() };
        let mut buffer = vec![0; reader.output_buffer_size().ok_or_else(no_size)?];
        let frame = reader.next_frame(&mut buffer).map_err(broken)?;
        let pixels = &buffer[..frame.buffer_size()];
        Ok(on_white_square(pixels, frame.color_type, width as usize, height as usize))
    }
}

/// Pictures as one batch `[n, 3, side, side]`, scaled to `side` and normalised as ImageNet's networks want it.
///
/// The memory is laid out pixel by pixel (channels last), which the convolutions here are fastest on.
pub(super) fn batch(pictures: &[&Picture], side: i64, device: Device) -> Result<Tensor, TchError> {
    let scaled: Result<Vec<Tensor>, TchError> = pictures.iter().map(|picture| scale(picture, side)).collect();
    let pixels = Tensor::f_cat(&scaled?, 0)?.f_to_device(device)?;
    // (x / 255 - mean) / deviation, as one product and one sum
    let channel = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?.f_to_device(device);
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
    let factor = channel(DEVIATION.map(|deviation| 1.0 / (255.0 * deviation)))?;
    let offset = channel([0, 1, 2].map(|i| -MEAN[i] / DEVIATION[i]))?;
    pixels.f_mul(&factor)?.f_add(&offset)
}

fn scale(picture: &Picture, side: i64) -> Result<Tensor, TchError> {
    let own = picture.side as i64;
    let rows = Tensor::f_from_data_size(&picture.pixels, &[1, own, own, 3], Kind::Uint8)?;
    let pixels = rows.f_to_kind(Kind::Float)?.f_permute([0, 3, 1, 2])?;
    if own == side { Ok(pixels) } else { pixels.f_internal_upsample_bicubic2d_aa([side, side], false, None, None) }
}

/// Centres the picture on a white square, blending transparent pixels.
fn on_white_square(pixels: &[u8], color: ColorType, width: usize, height: usize) -> Picture {
    let side = width.max(height);
    let (left, top) = ((side - width) / 2, (side - height) / 2);
    let samples = color.samples();
    let mut square = vec![255; side * side * 3];
    for (y, row) in pixels.chunks_exact(width * samples).enumerate() {
        let start = ((top + y) * side + left) * 3;
        let target = square[start..start + width * 3].chunks_exact_mut(3);
        for (to, from) in target.zip(row.chunks_exact(samples)) {
            to.copy_from_slice(&blend(from));
        }
    }
    Picture { side, pixels: square }
}

/// One pixel of grey, grey and alpha, colour, or colour and alpha, over white.
fn blend(pixel: &[u8]) -> [u8; 3] {
    let over = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    match *pixel {
        [grey] => [grey; 3],
        [grey, alpha] => [over(grey, alpha); 3],
        [red, green, blue] => [red, green, blue],
        [red, green, blue, alpha] => [over(red, alpha), over(green, alpha), over(blue, alpha)],
        _ => [255; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(color: ColorType, width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        file
    }

    #[test]
    fn what_is_transparent_or_outside_becomes_white() {
        let picture = Picture::decode(&file(ColorType::Rgba, 2, 1, &[255, 0, 0, 255, 0, 0, 0, 0]), 64).unwrap();
        assert_eq!(picture.side, 2);
        assert_eq!(picture.pixels, [255, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn half_transparent_black_is_grey() {
        let picture = Picture::decode(&file(ColorType::GrayscaleAlpha, 1, 1, &[0, 128]), 64).unwrap();
        assert_eq!(picture.pixels, [127; 3]);
    }

    #[test]
    fn a_file_cut_short_is_broken_and_a_large_one_too_large() {
        let whole = file(ColorType::Rgb, 8, 8, &[9; 8 * 8 * 3]);
        assert!(Picture::decode(&whole, 8).is_ok());
        let fault = |file: &[u8], max_side| Picture::decode(file, max_side).err().expect("refused").code();
        assert_eq!(fault(&whole[..whole.len() - 20], 8), "input_broken_picture");
        assert_eq!(fault(&whole, 7), "input_picture_size");
    }

    #[test]
    fn white_pictures_of_any_size_become_the_same_batch() {
        let white = |side: usize| Picture { side, pixels: vec![255; side * side * 3] };
        let tensor = batch(&[&white(64), &white(128), &white(300)], 128, Device::Cpu).unwrap();
        assert_eq!(tensor.size(), [3, 3, 128, 128]);
        let spread = (tensor.get(0) - tensor.get(2)).abs().max().double_value(&[]);
        assert!(spread < 1e-4, "{spread}");
        assert!((tensor.double_value(&[0, 0, 5, 5]) - (1.0 - 0.485) / 0.229).abs() < 1e-4);
    }
}
