//! A decoded picture: its pixels, and how its sides are changed.

/// A decoded picture: rows from the top, each pixel red, green, blue from 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `3 * width * height` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// A picture of numbers from 0 to 255, rounded; others are taken as the nearest of these.
    pub fn from_numbers(numbers: &[f32], width: usize, height: usize) -> Picture {
        debug_assert_eq!(numbers.len(), 3 * width * height);
        let pixels = numbers.iter().map(|number| number.round() as u8).collect();
        Picture { width, height, pixels }
    }

    /// The picture in the middle of a white square as wide as its longer side.
    pub fn on_white_square(self) -> Picture {
        self.padded_to(1, 1)
    }

    /// The picture in the middle of the smallest white one whose sides are as `width` to `height`, neither of them 0.
    pub fn padded_to(self, width: usize, height: usize) -> Picture {
        let (to_width, to_height) = self.padded_size(width, height);
        if (to_width, to_height) == (self.width, self.height) {
            return self;
        }
        let (left, top) = ((to_width - self.width) / 2, (to_height - self.height) / 2);
        let mut pixels = vec![255; to_width * to_height * 3];
        for (y, row) in self.pixels.chunks_exact(self.width * 3).enumerate() {
            let start = ((top + y) * to_width + left) * 3;
            pixels[start..start + row.len()].copy_from_slice(row);
        }
        Picture { width: to_width, height: to_height, pixels }
    }

    /// Width and height of [`Picture::padded_to`] the same.
    pub fn padded_size(&self, width: usize, height: usize) -> (usize, usize) {
        if self.width * height > self.height * width {
            (self.width, (self.width * height).div_ceil(width))
        } else {
            ((self.height * width).div_ceil(height), self.height)
        }
    }

    /// The largest part of its middle whose sides are as `width` to `height`, neither of them 0.
    pub fn cropped_to(self, width: usize, height: usize) -> Picture {
        let (to_width, to_height) = if self.width * height > self.height * width {
            ((self.height * width / height).max(1), self.height)
        } else {
            (self.width, (self.width * height / width).max(1))
        };
        let (left, top) = ((self.width - to_width) / 2, (self.height - to_height) / 2);
        let rows = self.pixels.chunks_exact(self.width * 3).skip(top).take(to_height);
        let pixels = rows.flat_map(|row| &row[left * 3..(left + to_width) * 3]).copied().collect();
        Picture { width: to_width, height: to_height, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_filled_up_with_white() {
        let red = Picture { width: 1, height: 3, pixels: [255, 0, 0].repeat(3) }.on_white_square();
        let row = [255, 255, 255, 255, 0, 0, 255, 255, 255];
        assert_eq!(red, Picture { width: 3, height: 3, pixels: row.repeat(3) });
    }

    #[test]
    fn other_proportions_are_cut_out_or_filled_up() {
        let pixels: Vec<u8> = (0..8).flat_map(|pixel| [pixel; 3]).collect();
        let picture = || Picture { width: 4, height: 2, pixels: pixels.clone() };
        let cut = picture().cropped_to(10, 10);
        assert_eq!((cut.width, cut.height, cut.pixels), (2, 2, [[1; 3], [2; 3], [5; 3], [6; 3]].concat()));
        assert_eq!(picture().cropped_to(2, 1), picture());
        assert_eq!(picture().padded_to(2, 1), picture());
        assert_eq!((picture().cropped_to(1000, 1).height, picture().cropped_to(1, 1000).width), (1, 1));
        let padded = picture().padded_to(4, 3);
        assert_eq!((padded.width, padded.height, padded.pixels.len()), (4, 3, 36));
        assert_eq!(padded.pixels[24..], [255; 12]);
    }
}
