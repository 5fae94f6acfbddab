//! Where the panels of a figure of bars are, and what stands round them.

use super::chart::{Bars, Panel};
use super::layout::{self, HEIGHT, Layout};
use super::panel;
use crate::WIDTH;
use crate::canvas::{Area, Canvas};
use crate::frame::{self, BESIDE, NAME_LINES, rung_count};
use crate::palette::Names;
use crate::text::{PLAIN, SMALL};
use crate::titles::Titles;

impl Bars {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let figure = Figure::of(self);
        let mut canvas = Canvas::default();
        let mut top = EDGE;
        for (number, row) in self.panels.chunks(figure.columns).enumerate() {
            top = figure.row(&mut canvas, row, if number == 0 { top } else { top + BETWEEN });
        }
        canvas.finish(figure.width, top + EDGE, &self.title, &self.description)
    }
}

/// Pixels: round the figure, below titles, between panels.
const EDGE: f64 = 10.0;
const BELOW_TITLE: f64 = 4.0;
const BETWEEN: f64 = 22.0;

/// What all panels have in common.
struct Figure<'a> {
    columns: usize,
    names: Names<'a>,
    width: f64,
    plot_width: f64,
    /// From the figure's edge to the first plot, which is what stands at the left of every plot.
    left: f64,
}

impl<'a> Figure<'a> {
    fn of(bars: &'a Bars) -> Figure<'a> {
        let columns = bars.columns.clamp(1, bars.panels.len().max(1));
        let all = || bars.panels.iter().flat_map(|panel| &panel.groups).flat_map(|group| &group.bars);
        let ticks = bars.panels.iter().flat_map(|panel| panel::span(panel).ticks(rung_count(HEIGHT)));
        let numbers = ticks.map(|tick| SMALL.width(&tick.label)).fold(0.0, f64::max) + BESIDE;
        let lines = bars.panels.iter().map(|panel| name(panel).len()).max().unwrap_or(0);
        let left = EDGE + lines as f64 * PLAIN.line() + BESIDE + numbers;
        let taken = columns as f64 * left + (columns - 1) as f64 * BETWEEN + EDGE;
        let needed = bars.panels.iter().map(layout::least_width).fold(0.0, f64::max);
        let plot_width = ((WIDTH - taken) / columns as f64).max(needed);
        let names = Names::of(all().map(|bar| bar.name.as_str()));
        Figure { columns, names, width: taken + columns as f64 * plot_width, plot_width, left }
    }

    /// Draws panels side by side; returns where what stands below them ends.
    fn row(&self, canvas: &mut Canvas, panels: &[Panel], top: f64) -> f64 {
        let titles = Titles::of(panels.iter().map(|panel| &panel.title), self.plot_width);
        let layouts: Vec<Layout> = panels.iter().map(|panel| Layout::of(panel, self.plot_width)).collect();
        let heads = layouts.iter().map(|layout| layout.head).fold(0.0, f64::max);
        let titles_end = top + titles.height();
        let start = titles_end + BELOW_TITLE + heads;
        for (column, panel) in panels.iter().enumerate() {
            let left = self.left + column as f64 * (self.plot_width + BETWEEN + self.left);
            let area = Area { left, top: start, width: self.plot_width, height: HEIGHT };
            titles.draw(canvas, column, left, titles_end);
            frame::name_beside(canvas, area, &name(panel), left - self.left + EDGE + PLAIN.line() / 2.0);
            panel::draw(canvas, area, panel, &layouts[column], &self.names);
        }
        start + HEIGHT + layouts.iter().map(|layout| layout.foot).fold(0.0, f64::max)
    }
}

/// The lines of the vertical axis's name.
fn name(panel: &Panel) -> Vec<String> {
    PLAIN.wrap(&panel.label, HEIGHT, NAME_LINES)
}
