//! One distribution: its name, its shape, its mean.

use super::sample::Sample;
use crate::Numbers;
use crate::canvas::{Anchor, Area, Canvas, FAINT, Label};
use crate::frame;
use crate::legend::{self, MEAN, MEAN_PAINT};
use crate::numbers::whole;
use crate::palette::Style;
use crate::span::Span;
use crate::text::{PLAIN, SMALL};

/// A distribution's place.
pub(super) struct Row<'a> {
    /// Of its shape.
    pub(super) area: Area,
    pub(super) span: &'a Span,
    pub(super) sample: &'a Sample,
    pub(super) style: Style,
}

/// Pixels between a plot and what stands beside it; names are cut to so many.
const BESIDE: f64 = 10.0;
const NAME: f64 = 160.0;
/// A shape's height, at its highest bin; how wide bins are; how far below shapes the bar of percentiles is.
const HEIGHT: f64 = 21.0;
const BIN: f64 = 5.0;
const BELOW: f64 = 6.0;
/// So few samples are drawn one by one.
const FEW: usize = 30;
/// From the middle of a row to the middles of its two lines of text.
const APART: f64 = 7.5;

/// What a distribution's name takes at the left of a plot.
pub(super) fn name_width(name: &str, sample: &Sample) -> f64 {
    PLAIN.width(name).min(NAME).max(SMALL.width(&count(sample))) + BESIDE
}

/// What a distribution's values take at the right of a plot.
pub(super) fn value_width(numbers: Numbers, sample: &Sample) -> f64 {
    let show = |value| numbers.show(value);
    SMALL.width(&mean(sample, show)).max(SMALL.width(&range(sample, show))) + BESIDE
}

/// How many samples there are.
fn count(sample: &Sample) -> String {
    let finite = whole(sample.values().len());
    if sample.values().len() == sample.given {
        format!("n = {finite}")
    } else {
        format!("n = {finite} of {}", whole(sample.given))
    }
}

fn mean(sample: &Sample, show: impl Fn(f64) -> String) -> String {
    if sample.values().is_empty() { "no samples".to_owned() } else { format!("mean {}", show(sample.mean())) }
}

fn range(sample: &Sample, show: impl Fn(f64) -> String) -> String {
    let (low, high) = (sample.percentile(0.05), sample.percentile(0.95));
    if sample.values().is_empty() { String::new() } else { format!("{} to {}", show(low), show(high)) }
}

impl Row<'_> {
    pub(super) fn draw(&self, canvas: &mut Canvas, name: &str) {
        self.words(canvas, name);
        if self.sample.values().is_empty() {
            return;
        }
        match self.sample.values().len() {
            ..=FEW => self.dots(canvas),
            _ => self.shape(canvas),
        }
        let ends = (self.across(self.sample.percentile(0.05)), self.across(self.sample.percentile(0.95)));
        let y = self.base() + BELOW;
        legend::range(canvas, ends, y, self.style.ink);
        let hint = format!("{name}: {}", mean(self.sample, |value| self.span.show(value)));
        canvas.mark(MEAN, (self.across(self.sample.mean()), y), MEAN_PAINT, &hint);
    }

    fn words(&self, canvas: &mut Canvas, name: &str) {
        let (left, right) = (self.area.left - BESIDE, self.area.right() + BESIDE);
        let (above, below) = (self.middle() - APART, self.middle() + APART);
        let show = |value| self.span.show(value);
        let (start, end) = (Anchor::Start, Anchor::End);
        canvas.text(&Label { face: PLAIN, anchor: end, ..Label::at(left, above) }, &PLAIN.fit(name, NAME));
        canvas.text(&Label { anchor: end, ink: FAINT, ..Label::at(left, below) }, &count(self.sample));
        canvas.text(&Label { anchor: start, ..Label::at(right, above) }, &mean(self.sample, show));
        canvas.text(&Label { anchor: start, ink: FAINT, ..Label::at(right, below) }, &range(self.sample, show));
    }

    fn middle(&self) -> f64 {
        self.area.top + self.area.height / 2.0
    }

    /// What shapes stand on, so that they and the bar below them are in the middle of the row.
    fn base(&self) -> f64 {
        self.middle() + (HEIGHT - BELOW) / 2.0
    }

    /// Where a value is; what has no place on the axis is at its beginning.
    fn across(&self, value: f64) -> f64 {
        frame::across(self.area, self.span.share(value).unwrap_or(0.0))
    }

    /// Every sample as a line; where they are many, they are darker.
    fn dots(&self, canvas: &mut Canvas) {
        let paint = format!("stroke=\"{}\" stroke-width=\"2\" stroke-opacity=\"0.55\"", self.style.color);
        let (top, base) = (self.base() - HEIGHT / 2.0, self.base());
        for share in self.sample.values().iter().filter_map(|value| self.span.share(*value)) {
            let x = frame::across(self.area, share);
            canvas.line((x, top), (x, base), &paint);
        }
    }

    /// Bins with samples in them.
    fn shape(&self, canvas: &mut Canvas) {
        let count = ((self.area.width - 2.0 * frame::INSET) / BIN) as usize;
        let bins = self.sample.bins(self.span, count);
        let highest = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
        let x = |edge: usize| frame::across(self.area, edge as f64 / count as f64);
        let top = |&(number, samples): &(usize, &usize)| {
            let y = self.base() - *samples as f64 / highest * HEIGHT;
            [(x(number), y), (x(number + 1), y)]
        };
        let bins: Vec<(usize, &usize)> = bins.iter().enumerate().collect();
        for run in bins.split(|(_, samples)| **samples == 0) {
            let ([first, ..], [.., last]) = (run, run) else { continue };
            let mut outline: Vec<(f64, f64)> = run.iter().flat_map(top).collect();
            outline.extend([(x(last.0 + 1), self.base()), (x(first.0), self.base())]);
            canvas.polygon(&outline, &self.style.filled());
        }
    }
}
