//! The names at the right ends of lines, clear of each other, in the order in which the lines end.

use super::chart::{Panel, Position};
use super::plot::Plot;
use crate::canvas::{Canvas, FAINT, Label};
use crate::palette::Style;
use crate::place::apart;
use crate::text::SMALL;

/// The name of one line or reference.
struct End {
    name: String,
    /// Where the line ends.
    at: (f64, f64),
    /// `None` for a reference.
    style: Option<Style>,
}

/// Names are cut to so many pixels, where panels have much room and where they have little.
const WIDEST: [f64; 2] = [180.0, 115.0];
/// More columns than this leave little room.
const FEW_COLUMNS: usize = 2;
/// Pixels from the panel to where the leaders arrive, to the mark's middle, to the name.
const LEADER: f64 = 16.0;
const MARK: f64 = 23.0;
const NAME: f64 = 31.0;
/// How far above and below a panel names may stand, in pixels.
const OVER: f64 = 4.0;

/// What the names of a panel take at its right, in a figure with so many columns.
pub(super) fn width(panel: &Panel, columns: usize) -> f64 {
    let series = panel.series.iter().map(|series| series.name.as_str());
    let level = panel.references.iter().filter(|reference| matches!(reference.at, Position::Y(_)));
    let names = series.chain(level.map(|reference| reference.text.as_str()));
    NAME + SMALL.widest(names).min(WIDEST[usize::from(columns > FEW_COLUMNS)])
}

pub(super) fn draw(canvas: &mut Canvas, plot: &Plot, panel: &Panel) {
    let mut ends = ends(plot, panel);
    ends.sort_by(|one, other| one.at.1.total_cmp(&other.at.1));
    let wanted: Vec<f64> = ends.iter().map(|end| end.at.1).collect();
    let sizes = vec![SMALL.line(); ends.len()];
    let placed = apart(&wanted, &sizes, plot.area.top - OVER, plot.area.bottom() + OVER);
    for (end, y) in ends.iter().zip(placed) {
        label(canvas, end, plot, y);
    }
}

fn ends(plot: &Plot, panel: &Panel) -> Vec<End> {
    let series = panel.series.iter().filter_map(|series| {
        let at = series.points.iter().rev().find_map(|point| plot.at(point))?;
        Some(End { name: series.name.clone(), at, style: Some(plot.style(series)) })
    });
    let references = panel.references.iter().filter_map(|reference| match reference.at {
        Position::X(_) => None,
        Position::Y(y) => Some(End { name: reference.text.clone(), at: (plot.area.right(), plot.up(y)?), style: None }),
    });
    series.chain(references).collect()
}

fn label(canvas: &mut Canvas, end: &End, plot: &Plot, y: f64) {
    let right = plot.area.right();
    let (color, ink) = end.style.map_or((FAINT, FAINT), |style| (style.color, style.ink));
    let level = (right.max(end.at.0), end.at.1);
    let leader = [end.at, level, (right + LEADER, y)];
    canvas.polyline(&leader, &format!("stroke=\"{color}\" stroke-width=\"0.8\" stroke-opacity=\"0.75\""));
    if let Some(style) = end.style {
        canvas.mark(style.mark, (right + MARK, y), &style.fill(), "");
    }
    let x = right + if end.style.is_some() { NAME } else { LEADER + 3.0 };
    let name = SMALL.fit(&end.name, right + plot.margin - x);
    canvas.text(&Label { ink, ..Label::at(x, y) }, &name);
}
