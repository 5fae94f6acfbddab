//! What a figure of lines is made of.

use crate::Axis;
use crate::palette::{Names, Style};

/// A grid of panels with the same horizontal axis. The same name has the same color and mark in all of them.
///
/// Every line is named at its right end; with more than one panel there is a legend above them too.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// What the figure is, for screen readers; not drawn.
    pub title: String,
    /// What there is to see, for screen readers; not drawn.
    pub description: String,
    /// The horizontal axis of every panel.
    pub x: Axis,
    /// From above to below.
    pub rows: Vec<Row>,
    /// Which panels have the same vertical axis.
    pub sharing: Sharing,
    /// How the intervals of points are drawn.
    pub spread: Spread,
}

/// Panels side by side that show the same quantity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Their vertical axis.
    pub y: Axis,
    /// From left to right.
    pub panels: Vec<Panel>,
}

/// Some lines in one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Stands above it.
    pub title: String,
    /// Those further behind are drawn over those before.
    pub series: Vec<Series>,
    /// Values to compare with.
    pub references: Vec<Reference>,
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Stands at its end and in the legend.
    pub name: String,
    /// Joined in this order. A point that is not finite, or has no place on a logarithmic axis, leaves a gap.
    pub points: Vec<Point>,
    /// Drawn with dashes: a bound or a baseline rather than one of those compared.
    pub dashed: bool,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Along the horizontal axis.
    pub x: f64,
    /// Along the vertical axis.
    pub y: f64,
    /// From where to where `y` may as well be; an interval that is not finite is not drawn.
    pub interval: Option<(f64, f64)>,
}

impl Point {
    /// A point without an interval.
    pub const fn new(x: f64, y: f64) -> Point {
        Point { x, y, interval: None }
    }
}

/// A dashed line across a panel, with a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What it stands for, in a few words.
    pub text: String,
    /// Where it is.
    pub at: Position,
}

/// Where a reference is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Position {
    /// Upright, at this value of the horizontal axis; its text stands above the panel.
    X(f64),
    /// Level, at this value of the vertical axis; its text stands among the names at the right.
    Y(f64),
}

/// Which panels have the same vertical axis, so that heights can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// All of the figure; only sensible if all rows show the same quantity.
    Figure,
    /// Those of one row.
    #[default]
    Row,
    /// None: each has its own, just as far as its points reach.
    Panel,
}

/// How the intervals of points are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// As a pale band along the line.
    #[default]
    Band,
    /// As a bar with ends through every point.
    Whiskers,
}

impl Lines {
    pub(super) fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flat_map(|row| &row.panels)
    }

    /// Every name with its style, in the order in which they come first.
    pub(super) fn keys(&self) -> Vec<(&str, Style)> {
        let series = || self.panels().flat_map(|panel| &panel.series);
        let is_dashed = |name: &str| series().any(|series| series.dashed && series.name == name);
        let names = Names::of(series().map(|series| series.name.as_str()));
        let key = |name| (name, if is_dashed(name) { names.style(name).dashed() } else { names.style(name) });
        names.iter().map(key).collect()
    }
}
