//! Where the plans of a Gantt chart are, and what they have in common.

use super::chart::{Gantt, Row};
use super::place::{BESIDE, EDGE, NAME, Place};
use super::plan;
use crate::WIDTH;
use crate::canvas::{Area, Canvas};
use crate::legend::{self, Swatch};
use crate::palette::Names;
use crate::span::Span;
use crate::text::{PLAIN, SMALL};

/// Pixels between plans.
const BETWEEN: f64 = 24.0;
/// Notes are broken into lines at so many pixels.
const NOTE: f64 = 230.0;

impl Gantt {
    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        let place = self.place();
        let mut canvas = Canvas::default();
        let entries = self.entries(&place.kinds);
        let mut top = EDGE;
        if !entries.is_empty() {
            let area = Area { left: EDGE, top, width: WIDTH - 2.0 * EDGE, height: 0.0 };
            top = legend::draw(&mut canvas, &entries, area) + EDGE;
        }
        for (number, plan) in self.plans.iter().enumerate() {
            let is_last = number + 1 == self.plans.len();
            let name = if is_last { self.x.label.as_str() } else { "" };
            top = plan::draw(&mut canvas, &place, plan, name, top) + if is_last { EDGE } else { BETWEEN };
        }
        canvas.finish(WIDTH, top, &self.title, &self.description)
    }

    /// What all plans have in common.
    fn place(&self) -> Place<'_> {
        let names = self.rows().map(|row| row.name.as_str());
        let notes = self.rows().map(|row| row.note.as_str());
        let span = self.span();
        let left = EDGE + (PLAIN.widest(names).min(NAME) + BESIDE).max(span.overhang());
        let note = SMALL.widest(notes).min(NOTE);
        let right = WIDTH - EDGE - (note + BESIDE).max(span.overhang());
        let kinds = Names::of(self.bars().map(|bar| bar.kind.as_str()).filter(|kind| !kind.is_empty()));
        Place { left, right, note, span, kinds }
    }

    fn span(&self) -> Span {
        let bars = self.bars().flat_map(|bar| [bar.start, bar.end]);
        let own = self.rows().filter_map(|row| row.deadline);
        let common = self.plans.iter().flat_map(|plan| &plan.deadlines).map(|deadline| deadline.at);
        Span::of(&self.x, bars.chain(own).chain(common))
    }

    fn entries<'a>(&self, kinds: &Names<'a>) -> Vec<(Swatch, &'a str)> {
        let mut entries: Vec<(Swatch, &str)> =
            kinds.iter().map(|kind| (Swatch::Bar(kinds.style(kind)), kind)).collect();
        if self.rows().any(|row| row.deadline.is_some()) {
            entries.push((Swatch::Deadline, "deadline"));
        }
        if self.rows().any(Row::is_late) {
            entries.push((Swatch::Late, "late"));
        }
        entries
    }
}
