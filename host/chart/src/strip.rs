//! Upright lines across a panel whose texts stand in a strip above it, clear of each other.

use crate::canvas::{Anchor, Canvas, FAINT, Label};
use crate::place::{Spot, in_rows};
use crate::text::SMALL;

/// The lines of one panel.
#[derive(Debug)]
pub(crate) struct Strip {
    marks: Vec<Mark>,
    spots: Vec<Spot>,
}

#[derive(Debug)]
struct Mark {
    x: f64,
    text: String,
    width: f64,
}

/// How the lines are drawn.
pub(crate) const REFERENCE: &str = "stroke=\"#5c5c5c\" stroke-width=\"1.1\" stroke-dasharray=\"4 3\"";
/// Pixels between two texts of a row, and below the last row.
const GAP: f64 = 8.0;
const BELOW: f64 = 3.0;

impl Strip {
    /// Lines at these places, in pixels; their texts stay between `left` and `right`.
    pub(crate) fn of<'a>(marks: impl IntoIterator<Item = (f64, &'a str)>, left: f64, right: f64) -> Strip {
        let mark = |(x, text): (f64, &str)| {
            let text = SMALL.fit(text, right - left);
            Mark { x, width: SMALL.width(&text), text }
        };
        let mut marks: Vec<Mark> = marks.into_iter().map(mark).collect();
        marks.sort_by(|one, other| one.x.total_cmp(&other.x));
        let labels: Vec<(f64, f64)> = marks.iter().map(|mark| (mark.x, mark.width)).collect();
        Strip { spots: in_rows(&labels, left, right, GAP), marks }
    }

    /// What the texts take above the panel.
    pub(crate) fn height(&self) -> f64 {
        let rows = self.spots.iter().map(|spot| spot.row + 1).max().unwrap_or(0);
        if rows == 0 { 0.0 } else { rows as f64 * SMALL.line() + BELOW }
    }

    /// The lines from `top` of the panel down, and their texts above it.
    pub(crate) fn draw(&self, canvas: &mut Canvas, top: f64, bottom: f64) {
        for (mark, spot) in self.marks.iter().zip(&self.spots) {
            let row = if self.is_free_below(mark.x, spot.row) { spot.row } else { 0 };
            let start = top - BELOW - row as f64 * SMALL.line();
            canvas.line((mark.x, start), (mark.x, bottom), REFERENCE);
            let y = top - BELOW - (spot.row as f64 + 0.5) * SMALL.line();
            let label = Label { anchor: Anchor::Middle, ink: FAINT, ..Label::at(spot.x, y) };
            canvas.text(&label, &mark.text);
        }
    }

    /// Whether a line can be drawn up to this row without crossing a text.
    fn is_free_below(&self, x: f64, row: usize) -> bool {
        let mut below = self.marks.iter().zip(&self.spots).filter(|(_, spot)| spot.row < row);
        below.all(|(mark, spot)| (spot.x - x).abs() > mark.width / 2.0 + 2.0)
    }
}
