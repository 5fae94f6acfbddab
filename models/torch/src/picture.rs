//! Decoded pictures to the tensors that picture networks take.

use tch::{Device, Kind, TchError, Tensor};

use mosel_models::prepare::Picture;

/// Scaled pictures as one batch `[n, 3, height, width]`, normalized as ImageNet's networks want it.
///
/// The memory is laid out pixel by pixel (channels last), which the convolutions here are fastest on.
pub(super) fn batch(scaled: &[&Tensor], device: Device) -> Result<Tensor, TchError> {
    let pixels = Tensor::f_cat(scaled, 0)?.f_to_device(device)?;
    // (x / 255 - mean) / deviation, as one product and one sum
    let channel = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_view([1, 3, 1, 1])?.f_to_device(device);
    const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
    const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];
    let factor = channel(DEVIATION.map(|deviation| 1.0 / (255.0 * deviation)))?;
    let offset = channel([0, 1, 2].map(|i| -MEAN[i] / DEVIATION[i]))?;
    pixels.f_mul(&factor)?.f_add(&offset)
}

/// A picture as `[1, 3, height, width]` numbers from 0 to 255.
pub(super) fn scaled(picture: &Picture, size: [i64; 2]) -> Result<Tensor, TchError> {
    let (width, height) = (picture.width as i64, picture.height as i64);
    let rows = Tensor::f_from_data_size(&picture.pixels, &[1, height, width, 3], Kind::Uint8)?;
    let pixels = rows.f_to_kind(Kind::Float)?.f_permute([0, 3, 1, 2])?;
    if [height, width] == size { Ok(pixels) } else { pixels.f_internal_upsample_bicubic2d_aa(size, false, None, None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_pictures_of_any_size_become_the_same_batch() {
        let white = |side: usize| Picture { width: side, height: side, pixels: vec![255; side * side * 3] };
        let pictures = [64, 128, 300].map(|side| scaled(&white(side), [128, 128]).unwrap());
        let tensor = batch(&pictures.iter().collect::<Vec<_>>(), Device::Cpu).unwrap();
        assert_eq!(tensor.size(), [3, 3, 128, 128]);
        let spread = (tensor.get(0) - tensor.get(2)).abs().max().double_value(&[]);
        assert!(spread < 1e-4, "{spread}");
        assert!((tensor.double_value(&[0, 0, 5, 5]) - (1.0 - 0.485) / 0.229).abs() < 1e-4);
    }
}
