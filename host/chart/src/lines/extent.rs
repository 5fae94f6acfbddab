//! From where to where the axes of a figure of lines run.

use super::chart::{Lines, Panel, Position, Row, Sharing};
use crate::span::Span;

/// The horizontal axis, which all panels have in common.
pub(super) fn across(lines: &Lines) -> Span {
    let points = lines.panels().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
    let references = lines.panels().flat_map(|panel| &panel.references).filter_map(|reference| match reference.at {
        Position::X(x) => Some(x),
        Position::Y(_) => None,
    });
    Span::of(&lines.x, points.map(|point| point.x).chain(references))
}

/// The vertical axes by row and panel; each ends at a tick if it is to have about this many.
pub(super) fn up(lines: &Lines, ticks: usize) -> Vec<Vec<Span>> {
    let reaches = || lines.rows.iter().filter_map(|row| row.y.reach).flat_map(|(low, high)| [low, high]);
    let span = |row: &Row, panel: &Panel| match lines.sharing {
        Sharing::Figure => Span::of(&row.y, lines.panels().flat_map(heights).chain(reaches())),
        Sharing::Row => Span::of(&row.y, row.panels.iter().flat_map(heights)),
        Sharing::Panel => Span::of(&row.y, heights(panel)),
    };
    let spans = |row: &Row| row.panels.iter().map(|panel| span(row, panel).snapped(ticks)).collect();
    lines.rows.iter().map(spans).collect()
}

/// Every value that is drawn in a panel.
fn heights(panel: &Panel) -> impl Iterator<Item = f64> {
    let points = panel.series.iter().flat_map(|series| &series.points);
    let values = points.flat_map(|point| {
        let (low, high) = point.interval.unwrap_or((point.y, point.y));
        [point.y, low, high]
    });
    values.chain(panel.references.iter().filter_map(|reference| match reference.at {
        Position::X(_) => None,
        Position::Y(y) => Some(y),
    }))
}
