//! The bars of one panel.

use super::chart::{Bar, Group, Panel};
use super::layout::{BETWEEN, CLEAR, HEIGHT, Layout, across_name, bar_slots, group_name, turned_name};
use crate::Axis;
use crate::canvas::{Anchor, Area, Canvas, INK, Label};
use crate::frame::{self, rung_count};
use crate::palette::{Names, Style};
use crate::span::Span;
use crate::text::{PLAIN, SMALL};

/// The share of a slot that is bar, and the widest a bar gets.
const FILLED: f64 = 0.76;
const WIDEST: f64 = 54.0;
/// Half the width of a whisker's ends, in pixels.
const WHISKER: f64 = 3.5;
const WHISKER_PAINT: &str = "stroke=\"#222\" stroke-width=\"1.1\"";

/// From 0 to where the largest bar and interval reach, or below.
pub(super) fn span(panel: &Panel) -> Span {
    let axis = Axis { numbers: panel.numbers, reach: Some((0.0, 0.0)), ..Axis::default() };
    let bars = panel.groups.iter().flat_map(|group| &group.bars);
    let values = bars.flat_map(|bar| {
        let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
        [bar.value, low, high]
    });
    Span::of(&axis, values).snapped(rung_count(HEIGHT))
}

pub(super) fn draw(canvas: &mut Canvas, area: Area, panel: &Panel, layout: &Layout, names: &Names) {
    let span = span(panel);
    frame::rungs(canvas, area, &span.ticks(rung_count(area.height)), true);
    let mut left = area.left + layout.start;
    for group in &panel.groups {
        left += BETWEEN / 2.0 * layout.slot;
        let width = bar_slots(group) * layout.slot;
        for (place, bar) in group.bars.iter().enumerate() {
            let x = left + (place as f64 + 0.5) * layout.slot;
            let upright = Upright { area, span: &span, panel, layout, x };
            upright.draw(canvas, bar, names.style(&bar.name));
        }
        let below = Area { left, top: area.bottom() + layout.names, width, height: layout.foot - layout.names };
        name(canvas, group, layout.slot, below);
        left += width + BETWEEN / 2.0 * layout.slot;
    }
    let zero = span.share(0.0).map_or(area.bottom(), |share| frame::up(area, share));
    frame::base(canvas, area, zero);
}

/// The group's name under a line as long as its bars.
fn name(canvas: &mut Canvas, group: &Group, slot: f64, below: Area) {
    let lines = group_name(group, slot);
    if lines.is_empty() {
        return;
    }
    let inset = slot * (1.0 - FILLED) / 2.0;
    let y = below.top + CLEAR;
    canvas.line((below.left + inset, y), (below.right() - inset, y), frame::BASE);
    let middle = below.left + below.width / 2.0;
    let label = Label { face: PLAIN, anchor: Anchor::Middle, ..Label::at(middle, 0.0) };
    frame::paragraph(canvas, &lines, label, y + CLEAR);
}

/// One bar's place.
struct Upright<'a> {
    area: Area,
    span: &'a Span,
    panel: &'a Panel,
    layout: &'a Layout,
    /// The middle of its slot.
    x: f64,
}

impl Upright<'_> {
    fn draw(&self, canvas: &mut Canvas, bar: &Bar, style: Style) {
        let zero = self.up(0.0).unwrap_or(self.area.bottom());
        let tip = self.up(bar.value).unwrap_or(zero);
        let width = (self.layout.slot * FILLED).min(WIDEST);
        let (top, height) = (tip.min(zero), (tip - zero).abs());
        let area = Area { left: self.x - width / 2.0, top, width, height };
        canvas.rect(area, &style.filled(), &self.hint(bar));
        let interval = bar.interval.and_then(|(low, high)| Some((self.up(low)?, self.up(high)?)));
        if let Some((low, high)) = interval {
            self.whisker(canvas, low, high);
        }
        let over = interval.map_or(top, |(low, high)| top.min(low).min(high));
        self.value(canvas, bar, over);
        self.name(canvas, bar);
    }

    fn up(&self, value: f64) -> Option<f64> {
        Some(frame::up(self.area, self.span.share(value)?))
    }

    fn whisker(&self, canvas: &mut Canvas, low: f64, high: f64) {
        canvas.line((self.x, low), (self.x, high), WHISKER_PAINT);
        for y in [low, high] {
            canvas.line((self.x - WHISKER, y), (self.x + WHISKER, y), WHISKER_PAINT);
        }
    }

    fn value(&self, canvas: &mut Canvas, bar: &Bar, over: f64) {
        let label = match self.layout.values_turned {
            true => Label { turned: true, ..Label::at(self.x, over - CLEAR) },
            false => Label { anchor: Anchor::Middle, ..Label::at(self.x, over - SMALL.line() / 2.0 - 1.0) },
        };
        canvas.text_on_white(&label, &self.panel.numbers.show(bar.value));
    }

    fn name(&self, canvas: &mut Canvas, bar: &Bar) {
        let top = self.area.bottom() + CLEAR;
        if self.layout.names_turned {
            let label = Label { anchor: Anchor::End, turned: true, ..Label::at(self.x, top) };
            canvas.text(&label, &turned_name(bar));
        } else {
            let label = Label { anchor: Anchor::Middle, ink: INK, ..Label::at(self.x, 0.0) };
            frame::paragraph(canvas, &across_name(bar, self.layout.slot), label, top);
        }
    }

    fn hint(&self, bar: &Bar) -> String {
        let show = |value| self.panel.numbers.show(value);
        let interval = bar.interval.map(|(low, high)| format!(" ({} to {})", show(low), show(high)));
        format!("{}: {}{}", bar.name, show(bar.value), interval.unwrap_or_default())
    }
}
