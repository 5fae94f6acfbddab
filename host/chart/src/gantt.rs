//! Gantt: what runs when, under several plans one above the other, and whether deadlines are met.

mod plan;
mod row;

use self::plan::Place;
use crate::canvas::{Area, Canvas};
use crate::legend::{self, Swatch};
use crate::palette::Names;
use crate::span::Span;
use crate::text::{PLAIN, SMALL};
use crate::{Axis, WIDTH};

/// Plans one above the other along the same time. The same kind has the same colour in all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gantt {
    /// What the figure is, for screen readers; not drawn.
    pub title: String,
    /// What there is to see, for screen readers; not drawn.
    pub description: String,
    /// Time.
    pub x: Axis,
    /// From above to below.
    pub plans: Vec<Plan>,
}

/// One way to do it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Stands above it.
    pub title: String,
    /// What is to be said of it, below its title.
    pub verdict: String,
    /// Whether that is good: its colour. `None` if it is neither.
    pub good: Option<bool>,
    /// Lanes, or jobs, from above to below.
    pub rows: Vec<Row>,
    /// Upright lines through all rows.
    pub deadlines: Vec<Deadline>,
}

/// What runs one after the other; what runs at the same time is drawn one below the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Stands at its left.
    pub name: String,
    /// In any order.
    pub bars: Vec<Bar>,
    /// A thick line through this row alone. Whatever of its bars is behind it is marked as late.
    pub deadline: Option<f64>,
    /// Stands at its right, on two lines at most.
    pub note: String,
}

/// Something that runs. One whose start or end is not finite is not drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bar {
    /// When it starts.
    pub start: f64,
    /// When it ends.
    pub end: f64,
    /// Stands in the bar or behind it, if there is room; shown in full to whoever points at it.
    pub text: String,
    /// What sort it is: its colour, named in the legend unless it is empty.
    pub kind: String,
}

/// A time with a text above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deadline {
    /// When it is.
    pub at: f64,
    /// What it is.
    pub text: String,
}

/// Pixels: round the figure, between plans, between a plot and what stands beside it.
const EDGE: f64 = 10.0;
const BETWEEN: f64 = 24.0;
const BESIDE: f64 = 10.0;
/// Names and notes are cut, or broken into lines, at so many pixels.
const NAME: f64 = 170.0;
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

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.plans.iter().flat_map(|plan| &plan.rows)
    }

    fn bars(&self) -> impl Iterator<Item = &Bar> {
        self.rows().flat_map(|row| &row.bars)
    }
}

impl Row {
    /// Whether some bar ends behind the row's own deadline.
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.bars.iter().any(|bar| bar.start.max(bar.end) > deadline))
    }
}
