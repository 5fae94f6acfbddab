//! The row above a figure that says what everything in it stands for.

use crate::canvas::{Area, Canvas, INK, Label};
use crate::palette::Style;
use crate::text::{Face, PLAIN};

/// What a name looks like in the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Swatch {
    /// A piece of line with a mark on it.
    Line(Style),
    /// A piece of a bar.
    Bar(Style),
    /// The end of a bar that is past its deadline.
    Late,
    /// When a row is to be done.
    Deadline,
    /// Where a mean is.
    Mean,
    /// From one value to another.
    Range,
}

/// How a mean is drawn, round (0, 0).
pub(crate) const MEAN: &str = "M0-5.2L5.2 0L0 5.2L-5.2 0Z";
pub(crate) const MEAN_PAINT: &str = "fill=\"#fff\" stroke=\"#222\" stroke-width=\"1.4\"";
/// How a bar past its deadline is drawn over, and how the deadline is.
pub(crate) const LATE: &str = "fill=\"#fff\" fill-opacity=\"0.5\" stroke=\"#be5400\" stroke-width=\"2\"";
pub(crate) const DEADLINE: &str = "stroke=\"#222\" stroke-width=\"2.2\"";

const FACE: Face = PLAIN;
/// Pixels: a swatch, what is left free behind it, between entries, from row to row.
const SWATCH: f64 = 26.0;
const BEHIND: f64 = 6.0;
const BETWEEN: f64 = 22.0;
const ROW: f64 = 20.0;

/// Draws entries into as many rows as they need, from the upper left corner of `area` down and as wide as it is.
///
/// Returns where the last row ends.
pub(crate) fn draw(canvas: &mut Canvas, entries: &[(Swatch, &str)], area: Area) -> f64 {
    let (mut x, mut y) = (area.left, area.top + ROW / 2.0);
    for (swatch, name) in entries {
        let name = FACE.fit(name, area.width - SWATCH - BEHIND);
        let width = SWATCH + BEHIND + FACE.width(&name);
        if x > area.left && x + width > area.right() {
            (x, y) = (area.left, y + ROW);
        }
        sample(canvas, *swatch, x, y);
        canvas.text(&Label { face: FACE, ..Label::at(x + SWATCH + BEHIND, y) }, &name);
        x += width + BETWEEN;
    }
    y + ROW / 2.0
}

fn sample(canvas: &mut Canvas, swatch: Swatch, x: f64, y: f64) {
    let middle = x + SWATCH / 2.0;
    let bar = Area { left: x + 4.0, top: y - 6.0, width: SWATCH - 4.0, height: 12.0 };
    match swatch {
        Swatch::Line(style) => {
            canvas.line((x, y), (x + SWATCH, y), &style.stroke(1.8));
            canvas.mark(style.mark, (middle, y), &style.fill(), "");
        }
        Swatch::Bar(style) => canvas.rect(bar, &style.filled(), ""),
        Swatch::Late => canvas.rect(bar, LATE, ""),
        Swatch::Deadline => canvas.line((x + SWATCH - 6.0, y - 8.0), (x + SWATCH - 6.0, y + 8.0), DEADLINE),
        Swatch::Mean => canvas.mark(MEAN, (x + SWATCH - 8.0, y), MEAN_PAINT, ""),
        Swatch::Range => range(canvas, (x + 2.0, x + SWATCH), y, INK),
    }
}

/// A bar from one value to another, at the height `y`.
pub(crate) fn range(canvas: &mut Canvas, (start, end): (f64, f64), y: f64, color: &str) {
    let area = Area { left: start, top: y - 2.0, width: (end - start).max(1.0), height: 4.0 };
    canvas.rect(area, &format!("fill=\"{color}\""), "");
}
