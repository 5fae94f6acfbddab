//! The frame that the lines of a panel are drawn in, and where values are in it.

use super::chart::{Point, Series, Spread};
use crate::canvas::Area;
use crate::frame;
use crate::palette::Style;
use crate::span::Span;

/// The frame that the lines are drawn in.
pub(super) struct Plot<'a> {
    pub(super) area: Area,
    pub(super) x: Span,
    pub(super) y: Span,
    pub(super) spread: Spread,
    /// Pixels at the right of the area for the names of lines.
    pub(super) margin: f64,
    /// How every name looks.
    pub(super) keys: &'a [(&'a str, Style)],
}

impl Plot<'_> {
    /// Where a point is, if it has a place.
    pub(super) fn at(&self, point: &Point) -> Option<(f64, f64)> {
        Some((frame::across(self.area, self.x.share(point.x)?), self.up(point.y)?))
    }

    pub(super) fn up(&self, y: f64) -> Option<f64> {
        Some(frame::up(self.area, self.y.share(y)?))
    }

    pub(super) fn style(&self, series: &Series) -> Style {
        let key = self.keys.iter().find(|(name, _)| *name == series.name);
        key.map_or(Style::of(0), |(_, style)| *style)
    }
}
