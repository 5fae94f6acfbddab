//! Pictures of extreme proportions, scaled to a part of what they would become: only that part is computed.
//!
//! A picture of 1024x1 pixels whose shorter side is scaled to 224 would be 229,376 pixels wide before its middle is cut out; one
//! that is filled up to a square would be mostly white. The numbers here are those of the long way, up to rounding: an
//! antialiased filter over the pixels, as torch and Pillow have it.

use super::picture::Picture;

/// How one axis of a picture becomes an axis of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Pixels of the picture.
    pub own: usize,
    /// Pixels of the canvas that it lies on; what it does not cover is white.
    pub canvas: usize,
    /// Pixels of the canvas before it.
    pub before: usize,
    /// Pixels that the canvas is scaled to.
    pub scaled: usize,
    /// The first of these that is wanted.
    pub first: usize,
    /// How many are wanted.
    pub count: usize,
}

/// What neighbors are weighted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Triangles.
    Bilinear,
    /// Cubic curves.
    Bicubic,
}

/// A pixel of the result: the first pixel of the picture that is in it, and the weights from there on.
struct Window {
    first: usize,
    weights: Vec<f32>,
}

/// The wanted part of the scaled picture: red, green and blue, each row by row, from 0 to 255 (bicubic ones may lie outside).
///
/// No intermediate is larger than the picture or than what its longer side and the result's span, whichever order is cheaper.
pub fn resize(picture: &Picture, down: Axis, across: Axis, kernel: Kernel) -> Vec<f32> {
    let (rows, columns) = (down.windows(kernel), across.windows(kernel));
    let pixel = |row: usize, column: usize, channel: usize| {
        f32::from(picture.pixels[(row * picture.width + column) * 3 + channel]) - WHITE
    };
    let (used_rows, used_columns) = (used(&rows), used(&columns));
    let across_first = used_rows.len() * across.count <= used_columns.len() * down.count;
    let mut result = Vec::with_capacity(3 * down.count * across.count);
    for channel in 0..3 {
        if across_first {
            let narrowed: Vec<f32> = used_rows
                .clone()
                .flat_map(|row| columns.iter().map(move |window| window.sum(|column| pixel(row, column, channel))))
                .collect();
            for window in &rows {
                let at = |row: usize, column: usize| narrowed[(row - used_rows.start) * across.count + column];
                result.extend((0..across.count).map(|column| WHITE + window.sum(|row| at(row, column))));
            }
        } else {
            for window in &rows {
                let row: Vec<f32> =
                    used_columns.clone().map(|column| window.sum(|row| pixel(row, column, channel))).collect();
                result.extend(columns.iter().map(|window| WHITE + window.sum(|at| row[at - used_columns.start])));
            }
        }
    }
    result
}

const WHITE: f32 = 255.0;

/// The pixels of the picture that are in any of the windows.
fn used(windows: &[Window]) -> std::ops::Range<usize> {
    let some = || windows.iter().filter(|window| !window.weights.is_empty());
    let first = some().map(|window| window.first).min().unwrap_or(0);
    first..some().map(|window| window.first + window.weights.len()).max().unwrap_or(first)
}

impl Axis {
    /// The whole of an axis, scaled.
    pub fn whole(own: usize, scaled: usize) -> Axis {
        Axis { own, canvas: own, before: 0, scaled, first: 0, count: scaled }
    }

    /// The middle of an axis, scaled.
    pub fn middle(own: usize, scaled: usize, count: usize) -> Axis {
        Axis { first: (scaled - count) / 2, count, ..Axis::whole(own, scaled) }
    }

    fn windows(self, kernel: Kernel) -> Vec<Window> {
        let scale = self.canvas as f64 / self.scaled as f64;
        let stretch = scale.max(1.0);
        let support = kernel.support() * stretch;
        let window = |place: usize| {
            let center = scale * (place as f64 + 0.5);
            let first = ((center - support + 0.5).max(0.0)) as usize;
            let end = ((center + support + 0.5) as usize).min(self.canvas);
            let weight = |at: usize| kernel.weight((at as f64 - center + 0.5) / stretch);
            let all: f64 = (first..end).map(weight).sum();
            let (left, right) = (first.max(self.before), end.min(self.before + self.own));
            let weights = (left..right.max(left)).map(|at| (weight(at) / all) as f32).collect();
            Window { first: left.saturating_sub(self.before), weights }
        };
        (self.first..self.first + self.count).map(window).collect()
    }
}

impl Kernel {
    fn support(self) -> f64 {
        match self {
            Kernel::Bilinear => 1.0,
            Kernel::Bicubic => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Kernel::Bilinear => (1.0 - x).max(0.0),
            // a = -0.5
            Kernel::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Kernel::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Kernel::Bicubic => 0.0,
        }
    }
}

impl Window {
    fn sum(&self, of: impl Fn(usize) -> f32) -> f32 {
        self.weights.iter().enumerate().map(|(offset, weight)| weight * of(self.first + offset)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Picture {
        let pixels = (0..width * height * 3).map(|at| (at * 37 % 251) as u8).collect();
        Picture { width, height, pixels }
    }

    fn assert_near(a: &[f32], b: &[f32]) {
        let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(a.len() == b.len() && off < 1e-2, "{} and {} numbers, off by {off}", a.len(), b.len());
    }

    #[test]
    fn what_is_made_of_a_part_is_what_the_whole_has_there() {
        let picture = ramp(50, 7);
        for kernel in [Kernel::Bilinear, Kernel::Bicubic] {
            let whole = resize(&picture, Axis::whole(7, 20), Axis::whole(50, 142), kernel);
            let part = resize(&picture, Axis::whole(7, 20), Axis::middle(50, 142, 20), kernel);
            let rows = whole.chunks_exact(142).flat_map(|row| &row[61..81]).copied();
            assert_near(&part, &rows.collect::<Vec<f32>>());
        }
    }

    #[test]
    fn white_that_is_not_there_counts_as_if_it_were() {
        let picture = ramp(9, 40);
        let padded = picture.clone().on_white_square();
        let across = Axis { own: 9, canvas: 40, before: 15, ..Axis::whole(40, 12) };
        for kernel in [Kernel::Bilinear, Kernel::Bicubic] {
            let long = resize(&padded, Axis::whole(40, 12), Axis::whole(40, 12), kernel);
            assert_near(&resize(&picture, Axis::whole(40, 12), across, kernel), &long);
        }
    }

    #[test]
    fn a_line_becomes_a_square_in_work_that_its_longer_side_bounds() {
        let across = Axis::middle(1024, 1024 * 224, 224);
        let taken: usize = across.windows(Kernel::Bilinear).iter().map(|window| window.weights.len()).sum();
        assert!(taken <= 3 * 224, "{taken}");
        let line = resize(&ramp(1024, 1), Axis::whole(1, 224), across, Kernel::Bilinear);
        assert_eq!(line.len(), 3 * 224 * 224);
    }
}
