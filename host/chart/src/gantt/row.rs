//! One row: its bars, and where their texts have room.

use super::chart::{Bar, Row};
use crate::canvas::{Anchor, Area, Canvas, Label};
use crate::frame;
use crate::legend::{DEADLINE, LATE};
use crate::palette::Names;
use crate::span::Span;
use crate::text::SMALL;

/// A row whose bars have their places.
pub(super) struct Laid<'a> {
    pub(super) row: &'a Row,
    /// Pixels.
    pub(super) height: f64,
    bars: Vec<Placed<'a>>,
    deadline: Option<f64>,
}

/// A bar from one place to another, in pixels, and which of the row's levels it is on.
struct Placed<'a> {
    bar: &'a Bar,
    start: f64,
    end: f64,
    level: usize,
}

/// Pixels: a bar with what is free below it, a bar, what is free above and below all of them.
const LEVEL: f64 = 24.0;
const BAR: f64 = 20.0;
const ROUND: f64 = 6.0;
/// Pixels left free round a text, the shortest bar, the least room in which a text is worth to be cut.
const CLEAR: f64 = 4.0;
const SHORTEST: f64 = 1.5;
const LEAST: f64 = 26.0;
/// Bars that overlap by less than this are drawn as if they did not.
const TOUCHING: f64 = 0.05;
/// What is of no kind.
const PLAIN: &str = "fill=\"#eee\" stroke=\"#777\" stroke-width=\"1\"";

impl<'a> Laid<'a> {
    /// Bars along an axis that is as wide as this area.
    pub(super) fn of(row: &'a Row, area: Area, span: &Span) -> Laid<'a> {
        let x = |value| Some(frame::across(area, span.share(value)?));
        let place = |bar: &'a Bar| Some((bar, x(bar.start.min(bar.end))?, x(bar.start.max(bar.end))?));
        let finite = row.bars.iter().filter(|bar| bar.start.is_finite() && bar.end.is_finite());
        let mut places: Vec<(&Bar, f64, f64)> = finite.filter_map(place).collect();
        places.sort_by(|one, other| one.1.total_cmp(&other.1));
        let mut levels: Vec<f64> = Vec::new();
        let placed = |(bar, start, end): (&'a Bar, f64, f64)| {
            let level = levels.iter().position(|taken| *taken <= start + TOUCHING).unwrap_or(levels.len());
            levels.resize(levels.len().max(level + 1), 0.0);
            levels[level] = end.max(start + SHORTEST);
            Placed { bar, start, end: levels[level], level }
        };
        let bars: Vec<Placed> = places.into_iter().map(placed).collect();
        let height = levels.len().max(1) as f64 * LEVEL - (LEVEL - BAR) + 2.0 * ROUND;
        Laid { row, height, bars, deadline: row.deadline.and_then(x) }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, area: Area, kinds: &Names) {
        for placed in &self.bars {
            self.bar(canvas, placed, area, kinds);
        }
        if let Some(x) = self.deadline {
            canvas.line((x, area.top + 1.0), (x, area.bottom() - 1.0), DEADLINE);
        }
        for placed in &self.bars {
            self.text(canvas, placed, area);
        }
    }

    fn bar(&self, canvas: &mut Canvas, placed: &Placed, area: Area, kinds: &Names) {
        let kind = placed.bar.kind.as_str();
        let paint = if kind.is_empty() { PLAIN.to_owned() } else { kinds.style(kind).filled() };
        let rect = placed.rect(area);
        canvas.rect(rect, &paint, &placed.bar.text);
        if let Some(deadline) = self.deadline
            && deadline + SHORTEST < placed.end
        {
            let left = rect.left.max(deadline);
            canvas.rect(Area { left, width: placed.end - left, ..rect }, LATE, "");
        }
    }

    /// In the bar if it fits, else behind it if it fits there, else cut to fit into the bar.
    fn text(&self, canvas: &mut Canvas, placed: &Placed, area: Area) {
        let (start, end) = self.longest_part(placed);
        let inside = end - start - 2.0 * CLEAR;
        let behind = self.free_until(placed, area) - placed.end - 2.0 * CLEAR;
        let (text, wanted) = (placed.bar.text.as_str(), SMALL.width(&placed.bar.text));
        let y = placed.rect(area).top + BAR / 2.0;
        let middle = Label { anchor: Anchor::Middle, ..Label::at((start + end) / 2.0, y) };
        if wanted <= inside {
            canvas.text(&middle, text);
        } else if wanted <= behind {
            canvas.text(&Label::at(placed.end + CLEAR, y), text);
        } else if inside >= LEAST {
            canvas.text(&middle, &SMALL.fit(text, inside));
        }
    }

    /// The bar from its start to its end, or what is before the deadline, or what is behind it.
    fn longest_part(&self, placed: &Placed) -> (f64, f64) {
        let (start, end) = (placed.start, placed.end);
        match self.deadline.filter(|deadline| (start..end).contains(deadline)) {
            Some(deadline) if deadline - start >= end - deadline => (start, deadline),
            Some(deadline) => (deadline, end),
            None => (start, end),
        }
    }

    /// Where the next bar on the same level begins, or the deadline behind this bar, or the plot ends.
    fn free_until(&self, placed: &Placed, area: Area) -> f64 {
        let bars = self.bars.iter().filter(|other| other.level == placed.level).map(|other| other.start);
        let next = bars.chain(self.deadline).filter(|start| *start + TOUCHING >= placed.end);
        next.fold(area.right(), f64::min)
    }
}

impl Placed<'_> {
    fn rect(&self, area: Area) -> Area {
        let top = area.top + ROUND + self.level as f64 * LEVEL;
        Area { left: self.start, top, width: self.end - self.start, height: BAR }
    }
}
