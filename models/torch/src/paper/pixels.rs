//! Pictures to the numbers that the networks were trained on: scaled, cut and normalized as their authors did.

use tch::{Kind, TchError, Tensor};

use mosel_models::prepare::{Axis, Kernel, Picture, resize};

/// How a picture is scaled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filter {
    /// Triangles over the pixels.
    Bilinear,
    /// Cubic curves over the pixels.
    Bicubic,
}

/// What is subtracted from each channel and what the rest is divided by, in steps of 1 to 255.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normal {
    pub(super) mean: [f32; 3],
    pub(super) deviation: [f32; 3],
}

/// A picture at this size, `[3, height, width]`, in whole numbers from 0 to 255, as image libraries give them.
pub(super) fn scaled(picture: &Picture, [height, width]: [i64; 2], filter: Filter) -> Result<Tensor, TchError> {
    let own = [picture.height as i64, picture.width as i64];
    let rows = Tensor::f_from_data_size(&picture.pixels, &[1, own[0], own[1], 3], Kind::Uint8)?;
    let pixels = rows.f_permute([0, 3, 1, 2])?.f_to_kind(Kind::Float)?;
    if own == [height, width] {
        return pixels.f_squeeze_dim(0)?.f_contiguous();
    }
    let scaled = match filter {
        Filter::Bilinear => pixels.f_internal_upsample_bilinear2d_aa([height, width], false, None, None),
        Filter::Bicubic => pixels.f_internal_upsample_bicubic2d_aa([height, width], false, None, None),
    };
    scaled?.f_round()?.f_clamp(0.0, 255.0)?.f_squeeze_dim(0)
}

/// Proportions of a picture beyond which only its middle is scaled.
const EXTREME: i64 = 8;

/// The middle square of a picture whose shorter side is made so long, `[3, side, side]`, in whole numbers from 0 to 255. What is
/// cut off is not computed where it would be much more.
pub(super) fn scaled_middle(picture: &Picture, shorter: i64, side: i64) -> Result<Tensor, TchError> {
    let [height, width] = with_shorter_side(picture, shorter);
    if height.max(width) <= EXTREME * shorter {
        return middle(&scaled(picture, [height, width], Filter::Bilinear)?, side);
    }
    let count = side as usize;
    let down = Axis::middle(picture.height, height as usize, count);
    let across = Axis::middle(picture.width, width as usize, count);
    let numbers = resize(picture, down, across, Kernel::Bilinear);
    Tensor::f_from_slice(&numbers)?.f_view([3, side, side])?.f_round()?.f_clamp(0.0, 255.0)
}

/// The middle square of a picture `[channels, height, width]`.
fn middle(pixels: &Tensor, side: i64) -> Result<Tensor, TchError> {
    let (_, height, width) = pixels.size3()?;
    pixels.f_narrow(1, (height - side) / 2, side)?.f_narrow(2, (width - side) / 2, side)
}

/// Height and width of a picture whose shorter side is made this long.
pub(super) fn with_shorter_side(picture: &Picture, side: i64) -> [i64; 2] {
    let (height, width) = (picture.height as i64, picture.width as i64);
    if height <= width { [side, side * width / height] } else { [side * height / width, side] }
}

impl Normal {
    /// Of `[3, height, width]`.
    pub(super) fn of(&self, pixels: &Tensor) -> Result<Tensor, TchError> {
        let channels = |numbers: &[f32; 3]| Tensor::f_from_slice(numbers)?.f_view([3, 1, 1]);
        pixels.f_sub(&channels(&self.mean)?)?.f_div(&channels(&self.deviation)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: usize, height: usize, value: u8) -> Picture {
        Picture { width, height, pixels: vec![value; 3 * width * height] }
    }

    #[test]
    fn the_shorter_side_is_the_one_that_is_asked_for() {
        assert_eq!(with_shorter_side(&gray(300, 200, 0), 224), [224, 336]);
        assert_eq!(with_shorter_side(&gray(200, 300, 0), 224), [336, 224]);
        assert_eq!(with_shorter_side(&gray(7, 7, 0), 224), [224, 224]);
    }

    #[test]
    fn scaling_keeps_a_plain_picture_and_stays_within_bytes() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let plain = scaled(&gray(30, 20, 77), [8, 12], filter).unwrap();
            assert_eq!(
                (plain.size(), plain.min().double_value(&[]), plain.max().double_value(&[])),
                (vec![3, 8, 12], 77.0, 77.0)
            );
            let mut edge = gray(16, 16, 0);
            edge.pixels[16 * 3 * 8..].fill(255);
            let edge = scaled(&edge, [40, 40], filter).unwrap();
            assert_eq!((edge.min().double_value(&[]), edge.max().double_value(&[])), (0.0, 255.0));
        }
    }

    #[test]
    fn the_middle_of_a_line_is_what_the_long_way_makes_of_it() {
        for (width, height) in [(60, 4), (4, 60), (200, 2)] {
            let pixels = (0..width * height * 3).map(|at| (at * 37 % 251) as u8).collect();
            let picture = Picture { width, height, pixels };
            let size = with_shorter_side(&picture, 20);
            let long = middle(&scaled(&picture, size, Filter::Bilinear).unwrap(), 16).unwrap();
            let short = scaled_middle(&picture, 20, 16).unwrap();
            assert_eq!(short.size(), long.size());
            assert!((short - long).abs().max().double_value(&[]) <= 1.0);
        }
        // 229,376 pixels wide, if all of it was scaled
        assert_eq!(scaled_middle(&gray(1024, 1, 7), 224, 224).unwrap().max().double_value(&[]), 7.0);
    }

    #[test]
    fn the_middle_is_in_the_middle() {
        let columns = Tensor::arange(6, (Kind::Float, tch::Device::Cpu)).view([1, 1, 6]).expand([1, 4, 6], false);
        let middle = middle(&columns, 2).unwrap();
        assert_eq!(Vec::<f32>::try_from(middle.flatten(0, -1)).unwrap(), [2.0, 3.0, 2.0, 3.0]);
    }
}
