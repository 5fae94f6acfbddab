//! One plan: its title, what is to be said of it, its rows.

use super::chart::Plan;
use super::place::{BESIDE, EDGE, NAME, Place};
use super::row;
use crate::WIDTH;
use crate::canvas::{Anchor, Area, Canvas, FAINT, Label};
use crate::frame::{self, BELOW};
use crate::strip::Strip;
use crate::text::{PLAIN, SMALL, TITLE};
use crate::titles;

const GOOD: &str = "#00704f";
const BAD: &str = "#b34700";
/// Pixels below titles.
const BELOW_TITLE: f64 = 8.0;
const NOTE_LINES: usize = 2;
const VERDICT_LINES: usize = 3;

/// Draws a plan from `top` down, with the name of the axis below it; returns where it ends.
pub(super) fn draw(canvas: &mut Canvas, place: &Place, plan: &Plan, axis: &str, top: f64) -> f64 {
    let top = words(canvas, plan, top);
    let area = Area { left: place.left, top, width: place.right - place.left, height: 0.0 };
    let marks = plan
        .deadlines
        .iter()
        .filter_map(|deadline| Some((frame::across(area, place.span.share(deadline.at)?), deadline.text.as_str())));
    let strip = Strip::of(marks, area.left, WIDTH - EDGE);
    let rows: Vec<row::Laid> = plan.rows.iter().map(|row| row::Laid::of(row, area, &place.span)).collect();
    let height = rows.iter().map(|row| row.height).sum();
    let area = Area { top: top + strip.height(), height, ..area };
    frame::posts(canvas, area, &place.span.ticks_across(area.width - 2.0 * frame::INSET));
    frame::base(canvas, area, area.bottom());
    strip.draw(canvas, area.top, area.bottom());
    let mut row_top = area.top;
    for laid in &rows {
        let area = Area { top: row_top, height: laid.height, ..area };
        if row_top > top + strip.height() {
            canvas.line((area.left, row_top), (area.right(), row_top), frame::GRID);
        }
        beside(canvas, place, area, laid);
        laid.draw(canvas, area, &place.kinds);
        row_top = area.bottom();
    }
    if axis.is_empty() { area.bottom() + BELOW } else { frame::name_below(canvas, area, axis) }
}

/// Title and verdict; returns where they end.
fn words(canvas: &mut Canvas, plan: &Plan, top: f64) -> f64 {
    let width = WIDTH - 2.0 * EDGE;
    let title = TITLE.wrap(&plan.title, width, titles::LINES);
    let top = frame::paragraph(canvas, &title, Label { face: TITLE, ..Label::at(EDGE, 0.0) }, top);
    let verdict = PLAIN.wrap(&plan.verdict, width, VERDICT_LINES);
    let ink = plan.good.map_or(FAINT, |good| if good { GOOD } else { BAD });
    frame::paragraph(canvas, &verdict, Label { face: PLAIN, ink, ..Label::at(EDGE, 0.0) }, top) + BELOW_TITLE
}

/// A row's name and note.
fn beside(canvas: &mut Canvas, place: &Place, area: Area, laid: &row::Laid) {
    let middle = area.top + area.height / 2.0;
    let name = Label { face: PLAIN, anchor: Anchor::End, ..Label::at(area.left - BESIDE, middle) };
    canvas.text(&name, &PLAIN.fit(&laid.row.name, NAME));
    let note = SMALL.wrap(&laid.row.note, place.note, NOTE_LINES);
    let top = middle - note.len() as f64 * SMALL.line() / 2.0;
    frame::paragraph(canvas, &note, Label::at(area.right() + BESIDE, 0.0), top);
}
