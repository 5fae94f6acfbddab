//! The lines of one panel, with their intervals and marks.

use super::chart::{Panel, Point, Position, Series, Spread};
use super::ends;
use super::plot::Plot;
use crate::canvas::Canvas;
use crate::palette::Style;
use crate::strip::REFERENCE;

/// A point that has a place in the plot.
#[derive(Clone, Copy)]
struct Spot {
    point: Point,
    at: (f64, f64),
    /// Where its interval begins and ends, in pixels.
    interval: Option<(f64, f64)>,
}

/// Lines of more points than this have marks at some of them only, and no hints.
const MOST_MARKS: usize = 24;
/// How many marks such a line has.
const FEW_MARKS: usize = 8;
/// Half the width of a whisker's ends.
const WHISKER: f64 = 3.0;

/// Everything within the frame, and the names at its right.
pub(super) fn draw(canvas: &mut Canvas, plot: &Plot, panel: &Panel) {
    for reference in &panel.references {
        if let Position::Y(y) = reference.at
            && let Some(y) = plot.up(y)
        {
            canvas.line((plot.area.left, y), (plot.area.right(), y), REFERENCE);
        }
    }
    let runs: Vec<(usize, &Series, Vec<Vec<Spot>>)> =
        panel.series.iter().enumerate().map(|(number, series)| (number, series, runs(plot, series))).collect();
    for (_, series, runs) in &runs {
        runs.iter().for_each(|run| spread(canvas, plot.spread, plot.style(series), run));
    }
    for (_, series, runs) in &runs {
        runs.iter().for_each(|run| line(canvas, plot.style(series), run));
    }
    for (number, series, runs) in &runs {
        marks(canvas, plot, series, &runs.concat(), *number);
    }
    ends::draw(canvas, plot, panel);
}

/// The points of a series in pieces without gaps.
fn runs(plot: &Plot, series: &Series) -> Vec<Vec<Spot>> {
    let spots: Vec<Option<Spot>> = series.points.iter().map(|point| spot(plot, *point)).collect();
    pieces(&spots)
}

fn spot(plot: &Plot, point: Point) -> Option<Spot> {
    let interval = point.interval.and_then(|(low, high)| Some((plot.up(low)?, plot.up(high)?)));
    Some(Spot { point, at: plot.at(&point)?, interval })
}

/// What is there, in pieces between what is not.
fn pieces<T: Copy>(items: &[Option<T>]) -> Vec<Vec<T>> {
    let runs = items.split(Option::is_none).filter(|run| !run.is_empty());
    runs.map(|run| run.iter().copied().flatten().collect()).collect()
}

fn spread(canvas: &mut Canvas, spread: Spread, style: Style, run: &[Spot]) {
    let bounds: Vec<Option<(f64, f64, f64)>> =
        run.iter().map(|spot| spot.interval.map(|(low, high)| (spot.at.0, low, high))).collect();
    match spread {
        Spread::Band => pieces(&bounds).iter().for_each(|piece| band(canvas, style, piece)),
        Spread::Whiskers => bounds.into_iter().flatten().for_each(|bound| whisker(canvas, style, bound)),
    }
}

/// Points are (x, where the interval begins, where it ends).
fn band(canvas: &mut Canvas, style: Style, bounds: &[(f64, f64, f64)]) {
    if let [alone] = bounds {
        // a band of one point has no width
        return whisker(canvas, style, *alone);
    }
    let there = bounds.iter().map(|&(x, _, high)| (x, high));
    let back = bounds.iter().rev().map(|&(x, low, _)| (x, low));
    let outline: Vec<(f64, f64)> = there.chain(back).collect();
    canvas.polygon(&outline, &format!("fill=\"{}\" fill-opacity=\"0.13\"", style.color));
}

fn whisker(canvas: &mut Canvas, style: Style, (x, low, high): (f64, f64, f64)) {
    let paint = format!("stroke=\"{}\" stroke-width=\"1\"", style.color);
    canvas.line((x, low), (x, high), &paint);
    for y in [low, high] {
        canvas.line((x - WHISKER, y), (x + WHISKER, y), &paint);
    }
}

fn line(canvas: &mut Canvas, style: Style, run: &[Spot]) {
    let points: Vec<(f64, f64)> = run.iter().map(|spot| spot.at).collect();
    if points.len() > 1 {
        canvas.polyline(&points, &style.stroke(1.8));
    }
}

/// Marks at all points of a short line and at some of a long one: others than those of the line before.
fn marks(canvas: &mut Canvas, plot: &Plot, series: &Series, spots: &[Spot], number: usize) {
    let style = plot.style(series);
    let is_long = spots.len() > MOST_MARKS;
    let stride = if is_long { spots.len() / FEW_MARKS } else { 1 };
    let first = number * stride / 3 % stride;
    for spot in spots.iter().skip(first).step_by(stride) {
        let hint = if is_long { series.name.clone() } else { hint(plot, series, &spot.point) };
        canvas.mark(style.mark, spot.at, &style.fill(), &hint);
    }
}

fn hint(plot: &Plot, series: &Series, point: &Point) -> String {
    let (x, y) = (plot.x.show(point.x), plot.y.show(point.y));
    let interval = point.interval.map(|(low, high)| format!(" ({} to {})", plot.y.show(low), plot.y.show(high)));
    format!("{}: {y}{} at {x}", series.name, interval.unwrap_or_default())
}
