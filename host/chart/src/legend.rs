//! The row above a figure that says how every name looks.

use crate::canvas::{Area, Canvas, Label};
use crate::palette::Style;
use crate::text::{Face, PLAIN};

/// What a name looks like in the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Swatch {
    /// A piece of line with a mark on it.
    Line,
    /// A piece of a bar.
    Box,
}

const FACE: Face = PLAIN;
/// Pixels: a swatch, what is left free behind it, between entries, from row to row.
const SWATCH: f64 = 26.0;
const BEHIND: f64 = 6.0;
const BETWEEN: f64 = 22.0;
const ROW: f64 = 20.0;

/// Draws names into as many rows as they need from `top` down; returns where the last row ends.
pub(crate) fn draw(
    canvas: &mut Canvas,
    keys: &[(&str, Style)],
    swatch: Swatch,
    left: f64,
    width: f64,
    top: f64,
) -> f64 {
    let (mut x, mut y) = (left, top + ROW / 2.0);
    for (name, style) in keys {
        let name = FACE.fit(name, width - SWATCH - BEHIND);
        let entry = SWATCH + BEHIND + FACE.width(&name);
        if x > left && x + entry > left + width {
            (x, y) = (left, y + ROW);
        }
        sample(canvas, *style, swatch, x, y);
        canvas.text(&Label { face: FACE, ..Label::at(x + SWATCH + BEHIND, y) }, &name);
        x += entry + BETWEEN;
    }
    y + ROW / 2.0
}

fn sample(canvas: &mut Canvas, style: Style, swatch: Swatch, x: f64, y: f64) {
    match swatch {
        Swatch::Line => {
            canvas.line((x, y), (x + SWATCH, y), &style.stroke(1.8));
            canvas.mark(style.mark, (x + SWATCH / 2.0, y), &style.fill(), "");
        }
        Swatch::Box => {
            let area = Area { left: x + 4.0, top: y - 6.0, width: SWATCH - 4.0, height: 12.0 };
            canvas.rect(area, &style.filled(), "");
        }
    }
}
