//! Where the panels of a figure of lines are, and what stands round them.

use super::chart::{Lines, Panel, Position, Row, Sharing};
use super::plot::Plot;
use super::{ends, extent, panel};
use crate::WIDTH;
use crate::canvas::{Area, Canvas};
use crate::frame::{self, BELOW, BESIDE, NAME_LINES, rung_count};
use crate::legend::{self, Swatch};
use crate::palette::Style;
use crate::span::Span;
use crate::strip::Strip;
use crate::text::{PLAIN, SMALL};
use crate::titles::Titles;

/// Pixels: round the figure, between rows, below a title and the legend.
const EDGE: f64 = 8.0;
const BETWEEN_ROWS: f64 = 20.0;
const BELOW_TITLE: f64 = 6.0;
const BELOW_LEGEND: f64 = 10.0;
/// Between a panel's names and what stands left of the next panel.
const BETWEEN_COLUMNS: f64 = 14.0;
/// A panel is never narrower than this.
const NARROWEST: f64 = 130.0;

impl Lines {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        draw(self)
    }
}

fn draw(lines: &Lines) -> String {
    let figure = Figure::of(lines);
    let mut canvas = Canvas::default();
    let mut top = EDGE;
    if lines.panels().count() > 1 && !figure.keys.is_empty() {
        let area = Area { left: EDGE, top, width: figure.width - 2.0 * EDGE, height: 0.0 };
        let entries: Vec<_> = figure.keys.iter().map(|(name, style)| (Swatch::Line(*style), *name)).collect();
        top = legend::draw(&mut canvas, &entries, area) + BELOW_LEGEND;
    }
    for (number, row) in lines.rows.iter().enumerate() {
        let start = if number == 0 { top } else { top + BETWEEN_ROWS };
        top = figure.row(&mut canvas, row, number, start);
        // panels that have none below them name their axis
        let below = lines.rows.get(number + 1).map_or(0, |next| next.panels.len());
        top = figure.names_below(&mut canvas, row, below, top);
    }
    canvas.finish(figure.width, top + EDGE, &lines.title, &lines.description)
}

/// What all panels have in common.
struct Figure<'a> {
    lines: &'a Lines,
    keys: Vec<(&'a str, Style)>,
    x: Span,
    /// By row and panel.
    y: Vec<Vec<Span>>,
    width: f64,
    /// Of a plot without anything round it.
    plot: (f64, f64),
    /// From the figure's edge to the first plot, and from one plot's left to the next one's.
    left: f64,
    pitch: f64,
    /// What the names at the ends of lines take.
    margin: f64,
}

impl<'a> Figure<'a> {
    fn of(lines: &'a Lines) -> Figure<'a> {
        let columns = lines.rows.iter().map(|row| row.panels.len()).max().unwrap_or(0).max(1);
        let height = height(lines, columns);
        let (x, y) = (extent::across(lines), extent::up(lines, rung_count(height)));
        let ticks = y.iter().flatten().flat_map(|span| span.ticks(rung_count(height)));
        let numbers = ticks.map(|tick| SMALL.width(&tick.label)).fold(0.0, f64::max) + BESIDE;
        let name_lines = lines.rows.iter().map(|row| name_beside(row, height).len()).max().unwrap_or(0);
        let left = (EDGE + name_lines as f64 * PLAIN.line() + BESIDE + numbers).max(x.overhang());
        let margin = lines.panels().map(|panel| ends::width(panel, columns)).fold(x.overhang(), f64::max);
        let own_numbers = if lines.sharing == Sharing::Panel { numbers } else { 0.0 };
        let between = margin.max(2.0 * x.overhang()) + BETWEEN_COLUMNS + own_numbers;
        let taken = left + between * (columns - 1) as f64 + margin + EDGE;
        let plot = ((WIDTH - taken) / columns as f64).max(NARROWEST);
        let (width, pitch) = (taken + plot * columns as f64, plot + between);
        Figure { lines, keys: lines.keys(), x, y, width, plot: (plot, height), left, pitch, margin }
    }

    /// Draws a row of panels with their titles; returns where the numbers below them end.
    fn row(&self, canvas: &mut Canvas, row: &Row, number: usize, top: f64) -> f64 {
        let (width, height) = self.plot;
        let titles = Titles::of(row.panels.iter().map(|panel| &panel.title), width + self.margin);
        let strips: Vec<Strip> =
            row.panels.iter().enumerate().map(|(column, panel)| self.strip(panel, self.left_of(column))).collect();
        let titles_end = top + titles.height();
        let top = titles_end + BELOW_TITLE + strips.iter().map(Strip::height).fold(0.0, f64::max);
        for (column, panel) in row.panels.iter().enumerate() {
            let area = Area { left: self.left_of(column), top, width, height };
            titles.draw(canvas, column, area.left, titles_end);
            self.frame(canvas, area, number, column);
            strips[column].draw(canvas, area.top, area.bottom());
            let (x, y, spread) = (self.x, self.y[number][column], self.lines.spread);
            let plot = Plot { area, x, y, spread, margin: self.margin, keys: &self.keys };
            panel::draw(canvas, &plot, panel);
        }
        top + height + BELOW
    }

    /// The grid of a panel, its numbers, and the name of the vertical axis left of the first.
    fn frame(&self, canvas: &mut Canvas, area: Area, row: usize, column: usize) {
        let numbered = column == 0 || self.lines.sharing == Sharing::Panel;
        frame::rungs(canvas, area, &self.y[row][column].ticks(rung_count(area.height)), numbered);
        frame::posts(canvas, area, &self.x.ticks_across(area.width - 2.0 * frame::INSET));
        frame::base(canvas, area, area.bottom());
        if column == 0 {
            let name = name_beside(&self.lines.rows[row], area.height);
            frame::name_beside(canvas, area, &name, EDGE + PLAIN.line() / 2.0);
        }
    }

    fn left_of(&self, column: usize) -> f64 {
        self.left + column as f64 * self.pitch
    }

    /// The name of the horizontal axis under the panels from this one on; returns where it ends.
    fn names_below(&self, canvas: &mut Canvas, row: &Row, first: usize, top: f64) -> f64 {
        let (width, height) = self.plot;
        // the name may be longer than the panel is wide, as far as its neighbors are not
        let beyond = (self.left - EDGE).min(self.margin).min((self.pitch - width) / 2.0 - EDGE).max(0.0);
        let mut end = top;
        for column in first..row.panels.len() {
            let left = self.left_of(column) - beyond;
            let area = Area { left, top: top - BELOW - height, width: width + 2.0 * beyond, height };
            end = frame::name_below(canvas, area, &self.lines.x.label);
        }
        end
    }

    fn strip(&self, panel: &Panel, left: f64) -> Strip {
        let area = Area { left, top: 0.0, width: self.plot.0, height: 0.0 };
        let marks = panel.references.iter().filter_map(|reference| match reference.at {
            Position::X(x) => Some((frame::across(area, self.x.share(x)?), reference.text.as_str())),
            Position::Y(_) => None,
        });
        Strip::of(marks, left, left + self.plot.0 + self.margin)
    }
}

/// How high plots are: lower where there are many, but never too low for the names at their right.
fn height(lines: &Lines, columns: usize) -> f64 {
    let usual = match columns {
        1 if lines.rows.len() < 2 => 360.0,
        1 => 260.0,
        2 => 235.0,
        _ => 190.0,
    };
    let names = lines.panels().map(|panel| panel.series.len() + panel.references.len()).max().unwrap_or(0);
    f64::max(usual, (names + 1) as f64 * SMALL.line())
}

/// The lines of the vertical axis's name.
fn name_beside(row: &Row, height: f64) -> Vec<String> {
    PLAIN.wrap(&row.y.label, height, NAME_LINES)
}
