//! Distributions: rows of shapes along one axis, each with its mean and from where to where most of it lies.

mod row;
mod sample;

use self::sample::Sample;
use crate::canvas::{Area, Canvas};
use crate::frame;
use crate::legend::{self, Swatch};
use crate::palette::Names;
use crate::span::Span;
use crate::strip::Strip;
use crate::titles::Titles;
use crate::{Axis, WIDTH};

/// Panels of distributions, given as samples. The same name has the same color in all of them.
///
/// A row shows how many samples lie where: as a histogram, every row's highest bin as high as the others', or sample by
/// sample where they are few. On the bar below it, from the 5th to the 95th percentile, a diamond is the mean; all
/// three are written at its right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distributions {
    /// What the figure is, for screen readers; not drawn.
    pub title: String,
    /// What there is to see, for screen readers; not drawn.
    pub description: String,
    /// Panels side by side; 0 is taken as 1.
    pub columns: usize,
    /// Row by row.
    pub panels: Vec<Panel>,
}

/// Some distributions of one quantity, one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Stands above it.
    pub title: String,
    /// The quantity.
    pub x: Axis,
    /// From above to below.
    pub distributions: Vec<Distribution>,
    /// Upright lines to compare with.
    pub references: Vec<Reference>,
}

/// Samples with a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Stands at the left.
    pub name: String,
    /// In any order. Those that are not finite are left out, and it is said how many are left.
    pub samples: Vec<f64>,
}

/// A dashed line across a panel, with a text above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reference {
    /// What it stands for, in a few words.
    pub text: String,
    /// Where it is.
    pub at: f64,
}

impl Distributions {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let figure = Figure::of(self);
        let mut canvas = Canvas::default();
        let key = [(Swatch::Mean, "mean"), (Swatch::Range, "5th to 95th percentile")];
        let area = Area { left: EDGE, top: EDGE, width: figure.width - 2.0 * EDGE, height: 0.0 };
        let mut top = legend::draw(&mut canvas, &key, area) + BELOW_TITLE;
        for (number, (panels, samples)) in figure.rows().enumerate() {
            top = figure.row(&mut canvas, panels, samples, if number == 0 { top } else { top + BETWEEN });
        }
        canvas.finish(figure.width, top + EDGE, &self.title, &self.description)
    }
}

/// Pixels: round the figure, below titles, between panels, a row.
const EDGE: f64 = 10.0;
const BELOW_TITLE: f64 = 8.0;
const BETWEEN: f64 = 22.0;
const ROW: f64 = 40.0;
/// A panel is never narrower than this.
const NARROWEST: f64 = 160.0;

/// What all panels have in common.
struct Figure<'a> {
    panels: &'a [Panel],
    /// By panel.
    samples: Vec<Vec<Sample>>,
    names: Names<'a>,
    columns: usize,
    width: f64,
    plot_width: f64,
    /// What names take at the left of a plot, and values at its right.
    left: f64,
    right: f64,
}

impl<'a> Figure<'a> {
    fn of(figure: &'a Distributions) -> Figure<'a> {
        let columns = figure.columns.clamp(1, figure.panels.len().max(1));
        let samples_of = |panel: &Panel| panel.distributions.iter().map(|one| Sample::of(&one.samples)).collect();
        let samples: Vec<Vec<Sample>> = figure.panels.iter().map(samples_of).collect();
        let named = || figure.panels.iter().flat_map(|panel| &panel.distributions);
        let (mut left, mut right) = (0.0, 0.0);
        for (panel, samples) in figure.panels.iter().zip(&samples) {
            let overhang = span(panel).overhang();
            (left, right) = (f64::max(left, overhang), f64::max(right, overhang));
            for (distribution, sample) in panel.distributions.iter().zip(samples) {
                left = f64::max(left, row::name_width(&distribution.name, sample));
                right = f64::max(right, row::value_width(panel.x.numbers, sample));
            }
        }
        let taken = columns as f64 * (left + right) + (columns - 1) as f64 * BETWEEN + 2.0 * EDGE;
        let plot_width = ((WIDTH - taken) / columns as f64).max(NARROWEST);
        let names = Names::of(named().map(|distribution| distribution.name.as_str()));
        let width = taken + columns as f64 * plot_width;
        Figure { panels: &figure.panels, samples, names, columns, width, plot_width, left, right }
    }

    fn rows(&self) -> impl Iterator<Item = (&[Panel], &[Vec<Sample>])> {
        self.panels.chunks(self.columns).zip(self.samples.chunks(self.columns))
    }

    /// Draws panels side by side; returns where the names of their axes end.
    fn row(&self, canvas: &mut Canvas, panels: &[Panel], samples: &[Vec<Sample>], top: f64) -> f64 {
        let titles = Titles::of(panels.iter().map(|panel| &panel.title), self.plot_width);
        let strip = |(column, panel): (usize, &Panel)| self.strip(panel, self.left_of(column));
        let strips: Vec<Strip> = panels.iter().enumerate().map(strip).collect();
        let titles_end = top + titles.height();
        let top = titles_end + BELOW_TITLE + strips.iter().map(Strip::height).fold(0.0, f64::max);
        let mut end = top;
        for (column, panel) in panels.iter().enumerate() {
            let height = panel.distributions.len() as f64 * ROW;
            let area = Area { left: self.left_of(column), top, width: self.plot_width, height };
            titles.draw(canvas, column, area.left, titles_end);
            frame::posts(canvas, area, &span(panel).ticks_across(area.width - 2.0 * frame::INSET));
            frame::base(canvas, area, area.bottom());
            strips[column].draw(canvas, area.top, area.bottom());
            self.shapes(canvas, area, panel, &samples[column]);
            end = f64::max(end, frame::name_below(canvas, area, &panel.x.label));
        }
        end
    }

    fn shapes(&self, canvas: &mut Canvas, area: Area, panel: &Panel, samples: &[Sample]) {
        let span = span(panel);
        for (number, (distribution, sample)) in panel.distributions.iter().zip(samples).enumerate() {
            let area = Area { top: area.top + number as f64 * ROW, height: ROW, ..area };
            let style = self.names.style(&distribution.name);
            row::Row { area, span: &span, sample, style }.draw(canvas, &distribution.name);
        }
    }

    fn left_of(&self, column: usize) -> f64 {
        EDGE + self.left + column as f64 * (self.plot_width + self.left + self.right + BETWEEN)
    }

    fn strip(&self, panel: &Panel, left: f64) -> Strip {
        let span = span(panel);
        let area = Area { left, top: 0.0, width: self.plot_width, height: 0.0 };
        let marks = panel
            .references
            .iter()
            .filter_map(|reference| Some((frame::across(area, span.share(reference.at)?), reference.text.as_str())));
        Strip::of(marks, left, area.right())
    }
}

fn span(panel: &Panel) -> Span {
    let samples = panel.distributions.iter().flat_map(|distribution| &distribution.samples).copied();
    Span::of(&panel.x, samples.chain(panel.references.iter().map(|reference| reference.at)))
}
