//! What stands round a panel: a thin grid, the numbers along it, the names of its axes.

use crate::canvas::{Anchor, Area, Canvas, FAINT, INK, Label};
use crate::span::Tick;
use crate::text::{PLAIN, SMALL};

/// How the lines of grids are drawn.
pub(crate) const GRID: &str = "stroke=\"#e4e4e4\" stroke-width=\"1\"";
/// How the lines are drawn that panels stand on.
pub(crate) const BASE: &str = "stroke=\"#8a8a8a\" stroke-width=\"1\"";
/// Pixels from a panel to the numbers beside it.
pub(crate) const BESIDE: f64 = 6.0;
/// Pixels that the numbers below a panel take.
pub(crate) const BELOW: f64 = 21.0;
/// Pixels left free at both ends of a horizontal axis, so that marks do not stand on the edge.
pub(crate) const INSET: f64 = 8.0;

/// Where a share of the horizontal axis is.
pub(crate) fn across(area: Area, share: f64) -> f64 {
    area.left + INSET + share * (area.width - 2.0 * INSET)
}

/// Where a share of the vertical axis is.
pub(crate) fn up(area: Area, share: f64) -> f64 {
    area.bottom() - share * area.height
}

/// Lines across the panel at these ticks; their numbers at its left if they are to be there.
pub(crate) fn rungs(canvas: &mut Canvas, area: Area, ticks: &[Tick], numbered: bool) {
    for tick in ticks {
        let y = up(area, tick.share);
        canvas.line((area.left, y), (area.right(), y), GRID);
        if numbered {
            let label = Label { anchor: Anchor::End, ink: FAINT, ..Label::at(area.left - BESIDE, y) };
            canvas.text(&label, &tick.label);
        }
    }
}

/// Upright lines at these ticks, with their numbers below the panel.
pub(crate) fn posts(canvas: &mut Canvas, area: Area, ticks: &[Tick]) {
    for tick in ticks {
        let x = across(area, tick.share);
        canvas.line((x, area.top), (x, area.bottom()), GRID);
        canvas.line((x, area.bottom()), (x, area.bottom() + 4.0), BASE);
        let label = Label { anchor: Anchor::Middle, ink: FAINT, ..Label::at(x, area.bottom() + 13.0) };
        canvas.text(&label, &tick.label);
    }
}

/// The line that a panel stands on.
pub(crate) fn base(canvas: &mut Canvas, area: Area, y: f64) {
    canvas.line((area.left, y), (area.right(), y), BASE);
}

/// The name of the vertical axis, turned, its first line's middle at `x`.
pub(crate) fn name_beside(canvas: &mut Canvas, area: Area, lines: &[String], x: f64) {
    let y = area.top + area.height / 2.0;
    for (number, line) in lines.iter().enumerate() {
        let x = x + number as f64 * PLAIN.line();
        let label = Label { face: PLAIN, anchor: Anchor::Middle, turned: true, ..Label::at(x, y) };
        canvas.text(&label, line);
    }
}

/// Lines of text one below the other from `top` down; returns where they end.
pub(crate) fn paragraph(canvas: &mut Canvas, lines: &[String], label: Label, top: f64) -> f64 {
    for (number, line) in lines.iter().enumerate() {
        canvas.text(&Label { y: top + (number as f64 + 0.5) * label.face.line(), ..label }, line);
    }
    top + lines.len() as f64 * label.face.line()
}

/// The name of the horizontal axis, below its numbers; returns where it ends.
pub(crate) fn name_below(canvas: &mut Canvas, area: Area, name: &str) -> f64 {
    let lines = PLAIN.wrap(name, area.width, NAME_LINES);
    let middle = area.left + area.width / 2.0;
    let label = Label { face: PLAIN, anchor: Anchor::Middle, ink: INK, ..Label::at(middle, 0.0) };
    paragraph(canvas, &lines, label, area.bottom() + BELOW)
}

/// Lines that the name of an axis is broken into at most.
pub(crate) const NAME_LINES: usize = 3;

/// Numbers along an axis of this height, about as many as can be read with ease.
pub(crate) fn rung_count(height: f64) -> usize {
    (height / (SMALL.line() * 2.6)).floor().max(2.0) as usize
}
